"""``proctor check``: assess this host in this process, or judge a recording.

In: options. Out: findings on standard output, progress and verdict on standard error, an exit code.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from analyzer.commands.options import Rules
from analyzer.errors import AnalyzerError
from analyzer.gates import INTERRUPTED, MISUSE, Gates, exit_code, rulings
from analyzer.present import Output, ProgressView, Terminal, open_terminal
from analyzer.present.outcome import completed_line, looked_at
from analyzer.present.output import Format
from analyzer.present.words import counted, listed, span
from rules.durations import parse_duration
from rules.errors import RecordingError, RuleFileError
from rules.format import NUMERIC_SEVERITY
from rules.loader import load_packages
from rules.outcome import MAX_GROUPS
from rules.telemetry.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.check import Assessment
    from analyzer.results import Result
    from rules.loader import Package

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

DEFAULT_DURATION: Final = "2m"
FailOn = Annotated[
    Literal["high", "medium", "low", "informational"] | None,
    typer.Option(case_sensitive=False, help="Exit with 1 from this severity upwards."),
]
MinCoverage = Annotated[
    float | None,
    typer.Option(min=0, max=100, metavar="PERCENT", help="Exit with 3 below this coverage."),
]
_EPILOG: Final = """\b
Examples:
  proctor check                                   two minutes, all rules packages
  proctor check --for 10m --evidence              with the events behind each finding
  proctor check --for 5m --fail-on medium         exit code 1 from Medium upwards
  proctor check --packages runtime-behavior,secure-channels
  proctor check --rules my-rules -o json --out result.json
  proctor-agent capture --for 60s --out web.ndjson.zst
  proctor check --events web.ndjson.zst           the same judgement, as often as you like

Exit codes, the first that applies:
  2    wrong usage, or a rule file or recording with errors (all are listed with their lines)
  130  stopped by Ctrl+C; what was seen until then is judged and printed
  1    a finding at or above --fail-on
  3    a host watched for less than --min-coverage
  0    done; there may be findings
"""


@dataclass(frozen=True, slots=True)
class _Request:
    duration_s: float
    packages: Sequence[Package]
    events: Path | None
    lenient: bool
    gates: Gates
    output: Output
    max_groups: int | None


@app.command(epilog=_EPILOG)
def check(
    *,
    duration: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help=f"How long, such as 90s. [{DEFAULT_DURATION}]"),
    ] = None,
    packages: Annotated[
        str, typer.Option(metavar="IDS", help="Rules packages, comma-separated, or all.")
    ] = "all",
    rules: Rules = None,
    events: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge a recording: NDJSON, plain, zstd or gzip."),
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Skip and count bad lines of --events.")
    ] = False,
    fail_on: FailOn = None,
    min_coverage: MinCoverage = None,
    output: Annotated[
        Literal["table", "json", "ndjson"], typer.Option("--output", "-o", help="Format.")
    ] = "table",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there instead of standard output.")
    ] = None,
    all_groups: Annotated[
        bool, typer.Option("--all-groups", help="Show more than 100 findings of one rule.")
    ] = False,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Show the decisive events of each finding.")
    ] = False,
) -> None:
    """Assess this host now, or judge a recording."""
    terminal = open_terminal()
    try:
        _refuse_contradictions(events=events, duration=duration, lenient=lenient)
        severities = {name.lower(): name for name in NUMERIC_SEVERITY}
        request = _Request(
            duration_s=_seconds(DEFAULT_DURATION if duration is None else duration),
            packages=_packages(rules, packages),
            events=events,
            lenient=lenient,
            gates=Gates(
                fail_on=severities[fail_on] if fail_on else None,
                min_coverage=None if min_coverage is None else min_coverage / 100,
            ),
            output=_place(output, out, evidence=evidence),
            max_groups=None if all_groups else MAX_GROUPS,
        )
        code = _check_recording(terminal, request) if events else _check_host(terminal, request)
    except AnalyzerError as error:
        terminal.error(str(error))
        code = MISUSE
    except (RecordingError, RuleFileError) as error:
        terminal.problems(str(error))
        code = MISUSE
    raise typer.Exit(code)


def _refuse_contradictions(*, events: Path | None, duration: str | None, lenient: bool) -> None:
    if events is not None and duration is not None:
        raise AnalyzerError("--for and --events exclude each other: a recording has its length")
    if lenient and events is None:
        raise AnalyzerError("--lenient needs --events: it skips bad lines of a recording")


def _place(form: Format, path: Path | None, *, evidence: bool) -> Output:
    place = Output(form, path, evidence)
    problem = place.problem()
    if problem is not None:
        raise AnalyzerError(f"cannot write the result: {problem}")
    return place


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text) / 1e6
    except ValueError as error:
        raise AnalyzerError(f"--for {text}: {error}") from error
    if seconds < 1:
        raise AnalyzerError(f"--for {text}: an assessment takes at least 1s")
    return seconds


def _packages(folder: Path | None, wanted: str) -> list[Package]:
    packages = load_packages(folder)
    if wanted != "all":
        known = [package.id for package in packages]
        ids = [name.strip() for name in wanted.split(",") if name.strip()]
        unknown = [name for name in ids if name not in known]
        if unknown or not ids:
            what = f"no rules package {listed(unknown)}" if unknown else "no rules package named"
            raise AnalyzerError(f"--packages: {what}; there are: {', '.join(known)}")
        packages = [package for package in packages if package.id in ids]
    return packages


def _check_recording(terminal: Terminal, request: _Request) -> int:
    from analyzer.recorded import judge_recording
    from rules.telemetry.recording import read_recording

    path = request.events
    assert path is not None  # noqa: S101 (the caller asked)
    try:
        recording = read_recording(path, lenient=request.lenient)
    except OSError as error:
        raise AnalyzerError(f"cannot read {path}: {error.strerror}; check --events") from error
    if recording.skipped:
        terminal.note(
            f"Skipped {counted(recording.skipped, 'bad line')} of {path}.", style="yellow"
        )
    result = judge_recording(
        recording, request.packages, lenient=request.lenient, max_groups=request.max_groups
    )
    terminal.note(f"Judged {path}: {looked_at(result)}.")
    return _report(terminal, request, result, interrupted=False)


def _check_host(terminal: Terminal, request: _Request) -> int:
    from analyzer.check import Assessment, this_host

    clock = SystemClock()
    host, collector = this_host(os.environ, clock)
    assessment = Assessment(
        collector,
        clock=clock,
        host=host,
        packages=request.packages,
        duration_s=request.duration_s,
        max_groups=request.max_groups,
    )
    rules = sum(len(package.rules) for package in request.packages)
    terminal.note(
        f"Assessing {host.hostname} for {span(request.duration_s)} with "
        f"{counted(len(request.packages), 'rules package')} ({counted(rules, 'rule')}). "
        "Ctrl+C stops early and keeps results."
    )
    return asyncio.run(_assess(terminal, request, assessment))


async def _assess(terminal: Terminal, request: _Request, assessment: Assessment) -> int:
    with ProgressView(terminal) as view, _interruptible(view) as stop:
        await assessment.start()
        _tell_blind_spots(terminal, assessment)
        began_s = asyncio.get_running_loop().time()
        checked = await assessment.run(stop, view.update)
        took_s = asyncio.get_running_loop().time() - began_s
    line = completed_line(
        checked.result, took_s=took_s, processes=checked.processes, stopped=checked.interrupted
    )
    terminal.note(line, style="bold")
    terminal.note()
    return _report(terminal, request, checked.result, interrupted=checked.interrupted)


def _tell_blind_spots(terminal: Terminal, assessment: Assessment) -> None:
    """Say in one line which sensors are not fully on, and what that leaves unevaluated."""
    less = [
        f"{report.name} is {report.state}" + (f" ({report.reason})" if report.reason else "")
        for report in assessment.reports
        if report.state != "on"
    ]
    blind = assessment.blind_rules()
    if blind:
        total = counted(len(blind), "rule")
        less.append(f"{total} cannot be evaluated on this host ({listed(sorted(blind), most=3)})")
    if less:
        terminal.note(f"With less than everything: {'; '.join(less)}.", style="yellow")


@contextmanager
def _interruptible(view: ProgressView) -> Iterator[asyncio.Event]:
    """Yield an event that the first Ctrl+C or SIGTERM sets; the second ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if stop.is_set():
            view.pause()
            os._exit(INTERRUPTED)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _report(terminal: Terminal, request: _Request, result: Result, *, interrupted: bool) -> int:
    code = MISUSE
    try:
        request.output.write(terminal, result, request.packages)
    except OSError as error:
        # Two minutes of looking must not be lost because a disk is full.
        terminal.error(f"cannot write {request.output.path}: {error.strerror}; printed instead")
        Output(request.output.format).write(terminal, result, request.packages)
        return code
    failed = rulings(request.gates, result)
    code = exit_code(failed, interrupted=interrupted)
    for ruling in failed:
        terminal.note(ruling.text, style="bold red" if ruling is failed[0] else "red")
    if failed:
        terminal.note(f"Exit code {code}.")
    return code
