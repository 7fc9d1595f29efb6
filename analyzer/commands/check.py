"""``proctor check``: assess this host in this process, or judge a recording.

In: options. Out: findings on standard output, progress and verdict on standard error, an exit code.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from analyzer.commands.options import FormatOption, OutFile, Rules, output_of
from analyzer.errors import AnalyzerError
from analyzer.present import ProgressView, RunStatus, Terminal, open_terminal
from analyzer.present.estimate import Estimate
from analyzer.present.outcome import completed_line, looked_at
from analyzer.results.gates import INTERRUPTED, MISUSE, Gates, exit_code, rulings
from analyzer.words import counted, listed, span
from rules.durations import parse_duration
from rules.errors import RecordingError, RuleFileError
from rules.format import NUMERIC_SEVERITY
from rules.loader import load_packages
from rules.outcome import MAX_GROUPS
from rules.telemetry.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from analyzer.check import Assessment
    from analyzer.present import Output
    from analyzer.recording import Recorded
    from analyzer.results.document import Result
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
  proctor check -o html --out report.html         one page to read, print or send
  proctor check -o sarif --out proctor.sarif      also csv, ocsf, asff: for other programs
  proctor-agent capture --for 60s --out web.ndjson.zst
  proctor check --events web.ndjson.zst           the same judgement, as often as you like
  proctor check --pcap web.pcap --local 10.0.0.5  what recorded traffic shows of a host

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
    pcap: Path | None
    local: Sequence[str]
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
    pcap: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge recorded traffic: pcap or pcapng, gzip too."),
    ] = None,
    local: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR", help="Addresses of the host in --pcap. [whoever opens a connection]"
        ),
    ] = None,
    fail_on: FailOn = None,
    min_coverage: MinCoverage = None,
    output: FormatOption = "table",
    out: OutFile = None,
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
        _refuse_contradictions(events, pcap, duration=duration, lenient=lenient, local=local)
        severities = {name.lower(): name for name in NUMERIC_SEVERITY}
        request = _Request(
            duration_s=_seconds(DEFAULT_DURATION if duration is None else duration),
            packages=_packages(rules, packages),
            events=events,
            lenient=lenient,
            pcap=pcap,
            local=local or [],
            gates=Gates(
                fail_on=severities[fail_on] if fail_on else None,
                min_coverage=None if min_coverage is None else min_coverage / 100,
            ),
            output=output_of(output, out, evidence=evidence),
            max_groups=None if all_groups else MAX_GROUPS,
        )
        code = _check(terminal, request)
    except AnalyzerError as error:
        terminal.error(str(error))
        code = MISUSE
    except (RecordingError, RuleFileError) as error:
        terminal.problems(str(error))
        code = MISUSE
    raise typer.Exit(code)


def _refuse_contradictions(
    events: Path | None,
    pcap: Path | None,
    *,
    duration: str | None,
    lenient: bool,
    local: list[str] | None,
) -> None:
    given = [
        name
        for name, value in (("--for", duration), ("--events", events), ("--pcap", pcap))
        if value is not None
    ]
    if len(given) > 1:
        raise AnalyzerError(f"{' and '.join(given)} exclude each other: a recording has its length")
    if lenient and events is None:
        raise AnalyzerError("--lenient needs --events: it skips bad lines of a recording")
    if local and pcap is None:
        raise AnalyzerError("--local needs --pcap: this host knows its own addresses")


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


def _check(terminal: Terminal, request: _Request) -> int:
    if request.events is not None:
        recording = _read_events(terminal, request.events, lenient=request.lenient)
        return _judge(terminal, request, recording, request.events)
    if request.pcap is not None:
        recording = _read_traffic(terminal, request.pcap, request.local)
        return _judge(terminal, request, recording, request.pcap)
    return _check_host(terminal, request)


def _read_events(terminal: Terminal, path: Path, *, lenient: bool) -> Recorded:
    from analyzer.recording import read_recorded

    try:
        size = path.stat().st_size
        with ProgressView(terminal) as view:
            tell = _telling(view, "Reading", size)
            recording = read_recorded(path, lenient=lenient, on_block=tell)
    except OSError as error:
        raise AnalyzerError(f"cannot read {path}: {error.strerror}; check --events") from error
    if recording.skipped:
        terminal.note(
            f"Skipped {counted(recording.skipped, 'bad line')} of {path}.", style="yellow"
        )
    return recording


def _read_traffic(terminal: Terminal, path: Path, local: Sequence[str]) -> Recorded:
    from analyzer.recording.pcap import read_traffic

    terminal.note(f"Reading {path}.")
    traffic = read_traffic(path, local)
    terminal.note(f"Read {counted(traffic.packets, 'packet')}; packets name no process.")
    if traffic.lost:
        causes = ", ".join(f"{cause} {count:,}" for cause, count in sorted(traffic.lost.items()))
        terminal.note(f"Not decoded, so coverage is degraded: {causes}.", style="yellow")
    if traffic.problem is not None:
        terminal.note(f"{path} {traffic.problem}; what was read is judged.", style="yellow")
    return traffic.recording


def _judge(terminal: Terminal, request: _Request, recording: Recorded, path: Path) -> int:
    from analyzer.recording.judgement import judge_recording

    with ProgressView(terminal) as view:
        result = judge_recording(
            recording,
            request.packages,
            lenient=request.lenient,
            max_groups=request.max_groups,
            on_piece=_telling(view, "Judging", sum(map(len, recording.tables))),
        )
    terminal.note(f"Judged {path}: {looked_at(result)}.")
    return _report(terminal, request, result, interrupted=False)


def _telling(view: ProgressView, phase: str, total: int) -> Callable[[int, int], None]:
    """Return what shows that so much of ``total`` is done, and how many events that is."""
    clock = SystemClock()
    began_s = clock.monotonic_s()
    estimate = Estimate(total)

    def tell(done: int, events: int) -> None:
        elapsed_s = clock.monotonic_s() - began_s
        total_s, share = estimate.total_s(done, elapsed_s), done / max(1, total)
        view.update(RunStatus(phase, elapsed_s, total_s, events, findings=None, done=share))

    return tell


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
        replace(request.output, path=None).write(terminal, result, request.packages)
        return code
    failed = rulings(request.gates, result)
    code = exit_code(failed, interrupted=interrupted)
    for ruling in failed:
        terminal.note(ruling.text, style="bold red" if ruling is failed[0] else "red")
    if failed:
        terminal.note(f"Exit code {code}.")
    return code
