"""``proctor runs``: start, follow, stop and read the assessment runs of a server.

In: options, and the store that the server uses. Out: runs and results on standard output, progress
on standard error, an exit code.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from analyzer.commands.desk import with_desk
from analyzer.commands.ending import finish
from analyzer.commands.following import follow
from analyzer.commands.options import (
    Data,
    FormatOption,
    ListFormat,
    OutFile,
    Rules,
    output_of,
    words,
)
from analyzer.commands.runs_diff import DIFF_EPILOG, diff
from analyzer.commands.runs_kept import agents, delete, exclusions
from analyzer.errors import AnalyzerError, AssessmentError
from analyzer.present.opinions import show_opinions
from analyzer.present.runs import show_export, show_result, show_runs
from analyzer.present.terminal import Terminal
from analyzer.runs.desk import RunDesk
from rules.durations import parse_duration
from rules.loader import load_packages
from rules.telemetry.clock import SystemClock

if TYPE_CHECKING:
    from analyzer.replay.second_opinion import Opinions

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Start, follow, stop and read assessment runs.",
)

Evidence = Annotated[
    bool, typer.Option("--evidence", help="Show the decisive events of each finding.")
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of a run, the start of one, or last.")
]
_START_EPILOG: Final = """\b
Examples:
  proctor runs start --for 15m --watch
  proctor runs start --for 1h --packages runtime-behavior --name nightly

A run assesses every agent that is connected and in no other run.
"""

_SHOW_EPILOG: Final = """\b
Examples:
  proctor runs show last --evidence
  proctor runs show last -o html --out report.html    one page to read, print or send
  proctor runs show 0-fim8 -o csv > findings.csv
  proctor runs show 0-fim8 -o ocsf --out findings.ocsf.ndjson
  AWS_ACCOUNT_ID=111122223333 AWS_REGION=eu-west-1 proctor runs show last -o asff
"""
_EXPORT_EPILOG: Final = """\b
Examples:
  proctor runs export last --out telemetry
  proctor rules explain imdsv1-burst --sql --parquet telemetry | duckdb

Read them with DuckDB, pandas, or whatever else reads Parquet.
"""


@app.command(epilog=_START_EPILOG)
def start(
    *,
    duration: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long, 5s to 24h.")
    ] = "15m",
    name: Annotated[str, typer.Option(help="A name for the run.")] = "",
    packages: Annotated[
        str, typer.Option(metavar="IDS", help="Rules packages, comma-separated, or all.")
    ] = "all",
    watch_it: Annotated[
        bool, typer.Option("--watch", help="Follow it, then show its findings.")
    ] = False,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="With --watch: show the decisive events.")
    ] = False,
    output: FormatOption = "table",
    data: Data = None,
) -> None:
    """Start an assessment run; prints its id."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        try:
            seconds = parse_duration(duration) // 1_000_000
        except ValueError as error:
            raise AssessmentError(f"--for {duration}: {error}") from error
        place = output_of(output, None, evidence=evidence)
        wanted = () if packages == "all" else words(packages)
        if packages != "all" and not wanted:
            raise AssessmentError("--packages: no rules package named; leave it out for all")
        run = await desk.start(name=name, duration_s=seconds, packages=wanted)
        if not watch_it:
            terminal.say(run.id)
            return 0
        terminal.note(f"Started run {run.id}. Ctrl+C stops watching; the run goes on.")
        return await follow(desk, run, terminal, output=place, clock=SystemClock())

    with_desk(data, work, needs_server=True)


@app.command("list")
def list_runs(*, output: ListFormat = "table", data: Data = None) -> None:
    """List runs, newest first."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        show_runs(terminal, await desk.runs(), form=output)
        return 0

    with_desk(data, work)


@app.command(epilog=_SHOW_EPILOG)
def show(
    run: RunName = "last",
    *,
    evidence: Evidence = False,
    output: FormatOption = "table",
    out: OutFile = None,
    data: Data = None,
) -> None:
    """Show what a run came to, or how far it is."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        place = output_of(output, out, evidence=evidence)
        found = await desk.find(run)
        result = await desk.result(found)
        show_result(terminal, found, result, desk.packages(found), output=place)
        return 0

    with_desk(data, work)


@app.command()
def watch(
    run: RunName = "last",
    *,
    evidence: Evidence = False,
    output: FormatOption = "table",
    data: Data = None,
) -> None:
    """Follow a run to its end, then show its findings."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        found = await desk.find(run)
        place = output_of(output, None, evidence=evidence)
        return await follow(desk, found, terminal, output=place, clock=SystemClock())

    with_desk(data, work)


@app.command()
def stop(
    run: RunName = "last",
    *,
    skip_evaluation: Annotated[
        bool, typer.Option("--skip-evaluation", help="Cancel it: no findings.")
    ] = False,
    data: Data = None,
) -> None:
    """Stop a run early; what was collected is judged."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        found = await desk.find(run)
        await desk.stop(found, evaluate=not skip_evaluation)
        terminal.note(f"Asked run {found.id} to stop.")
        return 0

    with_desk(data, work, needs_server=True)


@app.command(epilog=_EXPORT_EPILOG)
def export(
    run: RunName = "last",
    *,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the files; same names are replaced.")
    ],
    data: Data = None,
) -> None:
    """Write the telemetry of a run to Parquet files, one per telemetry kind."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        found = await desk.find(run)
        rows = await asyncio.to_thread(desk.export, found, out)
        show_export(terminal, rows, out)
        return 0

    with_desk(data, work)


@app.command("second-opinion")
def second_opinion(
    run: RunName = "last",
    *,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A recording instead of a run.")
    ] = None,
    rules: Rules = None,
    data: Data = None,
) -> None:
    """Judge a run by the engine and by SQL, and show where they differ."""

    def show(terminal: Terminal, opinions: Opinions) -> int:
        show_opinions(terminal, opinions)
        return 1 if opinions.differences else 0

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        found = await desk.find(run)
        packages = load_packages(rules)
        return show(terminal, await asyncio.to_thread(desk.second_opinion, found, packages))

    if events is None:
        with_desk(data, work)
    else:
        finish(lambda terminal: show(terminal, _of_recording(events, rules)))


app.command("diff", epilog=DIFF_EPILOG)(diff)
for _command in (agents, exclusions, delete):
    app.command()(_command)


def _of_recording(path: Path, rules: Path | None) -> Opinions:
    from analyzer.recording import read_recorded
    from analyzer.recording.judgement import SealedRecording
    from analyzer.replay.second_opinion import second_opinion

    try:
        recording = read_recorded(path)
    except OSError as error:
        raise AnalyzerError(f"cannot read {path}: {error.strerror}; check --events") from error
    judged_by = [rule for package in load_packages(rules) for rule in package.rules]
    return second_opinion(SealedRecording(recording), judged_by)
