"""``proctor replay``: judge stored telemetry again, and show what became of each finding.

In: a run of a server's data folder, a folder of segments, or recordings. Out: the difference to
what was found before, or the result itself, on standard output; an exit code.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
import typer

from analyzer.commands.ending import finish
from analyzer.commands.options import Data, OutFile, Rules, aws_account, folder_of, output_of
from analyzer.engine.workers import On, Workers
from analyzer.errors import AnalyzerError, AssessmentError, ServerMissingError
from analyzer.present import Terminal, open_terminal
from analyzer.present.comparison import show_comparison
from analyzer.present.junit import failure_text, to_junit
from analyzer.present.outcome import labels_of, looked_at, show_outcome
from analyzer.present.output import write_whole
from analyzer.replay.expectations import checks, read_expectations
from analyzer.reports import Format, document
from analyzer.results.differences import Comparison, compare, to_diff_json
from analyzer.results.document import from_json
from analyzer.results.gates import DONE, FAILED
from analyzer.words import counted
from rules.loader import load_packages, rules_digest
from rules.outcome import MAX_GROUPS
from rules.telemetry.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.data_folder import DataFolder
    from analyzer.model import Run
    from analyzer.replay.expectations import Check, ExpectationFile
    from analyzer.replay.sources import StoredLog
    from analyzer.results.document import Result
    from rules.loader import Package

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

ReplayFormat = Literal[Format, "diff"]
_EPILOG: Final = """\b
Examples:
  proctor replay last --data DIR                  the last run again: the same, to the byte
  proctor replay 0-fim8 --rules my-rules          what other rules would have found in it
  proctor replay 0-fim8 --rules my-rules -o diff  the same for a program
  proctor replay web.ndjson.zst db.ndjson.zst --rules my-rules
  proctor replay web.ndjson.zst --rules my-rules --against before.json
  proctor replay DIR/runs/0-fim8SBlF --workers 4  a folder that came from elsewhere
  proctor replay web.ndjson.zst --rules my-rules --expect counts.yaml --junit counts.xml

A file of expectations states counts of findings; what it does not state may be anything:
  {total: 3, severities: {High: 1}, rules: {telnet-client: 1}, hosts: {i-db: {total: 2}}}

Exit codes, the first that applies:
  2    wrong usage, or a file of rules, telemetry or expectations with errors
  4    there is no server's data folder where the run is looked for
  130  stopped by Ctrl+C; nothing is printed
  1    a count that is not as expected, or --fail-on-difference and something differs
  0    done
"""


@dataclass(frozen=True, slots=True)
class _Request:
    sources: tuple[str, ...]
    data: Path | None
    rules: Path | None
    against: Path | None
    workers: Workers
    max_groups: int | None
    unverified: bool
    format: ReplayFormat
    out: Path | None
    expect: Path | None
    junit: Path | None
    fail_on_difference: bool


@dataclass(frozen=True, slots=True)
class _Replayed:
    result: Result
    packages: Sequence[Package]
    before: Result | None = None
    rules_before: Sequence[Package] | None = None

    @property
    def rules(self) -> list[str]:
        """Return the ids of the rules that judged."""
        return [rule.id for package in self.packages for rule in package.rules]

    @property
    def comparison(self) -> Comparison | None:
        """Return what became of each finding; None where there is nothing to compare with."""
        if self.before is None:
            return None
        if self.rules_before is None:
            return compare(self.before, self.result)
        rules = [
            [rule for package in packages for rule in package.rules]
            for packages in (self.rules_before, self.packages)
        ]
        return compare(self.before, self.result, rules=(rules[0], rules[1]))


@app.command(epilog=_EPILOG)
def replay(
    *,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|FILES",
            help="A run, a folder of segments, or recordings (plain, zstd, gzip).",
        ),
    ],
    data: Data = None,
    rules: Rules = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with this result (written by -o json)."),
    ] = None,
    expect: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Exit with 1 if counts differ from these (YAML, JSON)."),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --expect: write a JUnit report there."),
    ] = None,
    fail_on_difference: Annotated[
        bool, typer.Option("--fail-on-difference", help="Exit with 1 if any finding differs.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes that share the hosts.")
    ] = 1,
    on: Annotated[
        On, typer.Option("--on", help="Where they run: this machine, or a Ray or Dask cluster.")
    ] = "processes",
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Judge a damaged log as far as it goes.")
    ] = False,
    all_groups: Annotated[
        bool, typer.Option("--all-groups", help="Show more than 100 findings of one rule.")
    ] = False,
    output: Annotated[
        ReplayFormat,
        typer.Option("--output", "-o", help="diff: the comparison as JSON; others: the result."),
    ] = "table",
    out: OutFile = None,
) -> None:
    """Judge stored telemetry again, and show what differs."""
    request = _Request(
        sources=tuple(sources),
        data=data,
        rules=rules,
        against=against,
        workers=Workers(workers, on),
        max_groups=None if all_groups else MAX_GROUPS,
        unverified=unverified,
        format=output,
        out=out,
        expect=expect,
        junit=junit,
        fail_on_difference=fail_on_difference,
    )
    finish(lambda terminal: _run(terminal, request))


def _run(terminal: Terminal, request: _Request) -> int:
    _refuse_impossible(request)
    request.workers.start()
    expected = _expected(request.expect)
    replayed = _replayed(terminal, request)
    made = None if expected is None else checks(expected, replayed.result, replayed.rules)
    comparison = replayed.comparison
    if comparison is None and (request.fail_on_difference or request.format == "diff"):
        what = "--fail-on-difference" if request.fail_on_difference else "-o diff"
        raise AnalyzerError(
            f"{what}: there is no earlier result to compare with; name one with --against"
        )
    _write(terminal, request, replayed, comparison)
    code = DONE if made is None else _report(terminal, request, made)
    if request.fail_on_difference and comparison is not None and comparison.differs:
        terminal.note("Failed: findings differ (--fail-on-difference).", style="bold red")
        return FAILED
    return code


def _refuse_impossible(request: _Request) -> None:
    if request.junit is not None and request.expect is None:
        raise AnalyzerError("--junit needs --expect: it reports what was expected")
    for path in (request.out, request.junit):
        output_of("table", path)


def _expected(path: Path | None) -> ExpectationFile | None:
    if path is None:
        return None
    try:
        return read_expectations(path)
    except OSError as error:
        raise AnalyzerError(f"cannot read --expect {path}: {error.strerror}") from error


def _report(terminal: Terminal, request: _Request, made: Sequence[Check]) -> int:
    if request.junit is not None:
        _write_file(request.junit, to_junit(made))
    failed = [item for item in made if not item.holds]
    for item in failed:
        terminal.note(failure_text(item), style="red")
    total = counted(len(made), "expectation")
    if failed:
        terminal.note(f"Failed: {len(failed)} of {total} (--expect).", style="bold red")
        return FAILED
    terminal.note(f"As expected: {total}.")
    return DONE


def _replayed(terminal: Terminal, request: _Request) -> _Replayed:
    paths = [Path(source) for source in request.sources]
    if all(path.is_file() for path in paths):
        return _replay_files(terminal, request, paths)
    if len(paths) > 1:
        wrong = next(path for path in paths if not path.is_file())
        raise AnalyzerError(f"{wrong} is no file; several sources must all be recordings")
    if paths[0].is_dir():
        from analyzer.replay.sources import stored_folder

        return _replay_log(terminal, request, stored_folder(paths[0]))
    return _replay_log(terminal, request, _stored_run(request))


def _replay_files(terminal: Terminal, request: _Request, paths: list[Path]) -> _Replayed:
    from analyzer.replay.recordings import replay_recordings

    packages = load_packages(request.rules)
    result = replay_recordings(
        paths, packages, workers=request.workers, max_groups=request.max_groups
    )
    what = str(paths[0]) if len(paths) == 1 else f"{len(paths)} recordings"
    terminal.note(f"Judged {what}: {looked_at(result)}.")
    return _Replayed(result, packages, before=_against(request.against))


def _replay_log(terminal: Terminal, request: _Request, stored: StoredLog) -> _Replayed:
    from analyzer.replay.log import replay_log

    packages = _packages(terminal, request, stored)
    if stored.result is not None and stored.log.taken is None:
        terminal.note(
            "What this run was judged from was not kept: every batch of its log is judged, and "
            "none counts as late.",
            style="yellow",
        )
    result = replay_log(
        stored.log,
        packages,
        workers=request.workers,
        max_groups=request.max_groups,
        unverified=request.unverified,
    )
    what = request.sources[0] if stored.result is None else stored.log.name
    terminal.note(f"Judged {what} again: {looked_at(result)}.")
    if request.against is not None:
        return _Replayed(result, packages, before=_against(request.against))
    if result == stored.result:
        terminal.note("The result is the same as the run's own, to the byte.")
    return _Replayed(result, packages, before=stored.result, rules_before=stored.rules)


def _packages(terminal: Terminal, request: _Request, stored: StoredLog) -> list[Package]:
    if request.rules is not None:
        return load_packages(request.rules)
    if stored.rules is not None:
        return stored.rules
    packages = [
        package for package in load_packages() if not stored.wanted or package.id in stored.wanted
    ]
    verdict = stored.log.verdict
    if verdict is not None and rules_digest(packages) != verdict.digests.rules:
        terminal.note(
            "The rules that judged this run were not kept; those of this version are others.",
            style="yellow",
        )
    return packages


def _stored_run(request: _Request) -> StoredLog:
    from analyzer.replay.sources import stored_run

    data = folder_of(request.data)
    if not data.has_store():
        raise ServerMissingError(data.path)
    try:
        run, result, hostnames = asyncio.run(_look_up(data, request.sources[0]))
    except AssessmentError as error:
        raise AssessmentError(f"{error}; nor is it a file or folder") from error
    return stored_run(run, folder=data.runs / run.id, result=result, hostnames=hostnames)


async def _look_up(data: DataFolder, name: str) -> tuple[Run, Result | None, dict[str, str]]:
    from analyzer.runs.desk import RunDesk
    from analyzer.store import open_store

    store = await open_store(data.database())
    try:
        desk = RunDesk(store, data, clock=SystemClock())
        run = await desk.find(name)
        hostnames = {agent.agent_id: agent.hostname for agent in await store.agents()}
        return run, await desk.result(run), hostnames
    finally:
        await store.close()


def _against(path: Path | None) -> Result | None:
    if path is None:
        return None
    try:
        return from_json(path.read_bytes())
    except OSError as error:
        raise AnalyzerError(f"cannot read --against {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise AnalyzerError(
            f"--against {path} is no result of format 1: {error}; -o json writes one"
        ) from error


def _write(
    terminal: Terminal, request: _Request, replayed: _Replayed, comparison: Comparison | None
) -> None:
    if request.format == "table":
        if request.out is None:
            _show(terminal, replayed, comparison)
            return
        text = StringIO()
        _show(open_terminal(text, text), replayed, comparison)
        data = text.getvalue().encode()
    elif request.format == "diff":
        assert comparison is not None  # noqa: S101 (refused without one)
        data = to_diff_json(comparison)
    else:
        result, packages = replayed.result, replayed.packages
        data = document(request.format, result, packages, aws=aws_account())
    if request.out is None:
        terminal.put(data)
        return
    _write_file(request.out, data)


def _write_file(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise AnalyzerError(f"cannot write {path}: {error.strerror}") from error


def _show(terminal: Terminal, replayed: _Replayed, comparison: Comparison | None) -> None:
    if comparison is None or replayed.before is None:
        show_outcome(terminal, replayed.result, replayed.packages)
        return
    labels = labels_of(replayed.result, replayed.packages)
    labels_before = labels_of(replayed.before, replayed.rules_before or replayed.packages)
    texts = {item.issue_id: labels_before.text(item) for item in replayed.before.findings}
    texts |= {item.issue_id: labels.text(item) for item in replayed.result.findings}
    show_comparison(terminal, comparison, texts=texts, hosts=labels.hosts)
