"""``proctor runs``: start, follow, stop and read the assessment runs of a server.

In: options, and the store that the server uses. Out: runs and results on standard output, progress
on standard error, an exit code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, Literal

import typer

from analyzer.commands.options import Data, folder_of
from analyzer.data_folder import DataFolder
from analyzer.errors import AnalyzerError, AssessmentError, ServerMissingError
from analyzer.gates import INTERRUPTED, MISUSE, UNREACHED
from analyzer.present import open_terminal
from analyzer.present.runs import show_result, show_runs
from analyzer.present.terminal import Terminal
from analyzer.runs import RunDesk
from analyzer.store import Store, open_store
from rules.durations import parse_duration
from rules.errors import RuleFileError
from rules.telemetry.clock import SystemClock

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Start, follow, stop and read assessment runs.",
)

Format = Annotated[Literal["table", "json"], typer.Option("--output", "-o", help="Format.")]
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
    output: Format = "table",
    data: Data = None,
) -> None:
    """Start an assessment run; prints its id."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        try:
            seconds = parse_duration(duration) // 1_000_000
        except ValueError as error:
            raise AssessmentError(f"--for {duration}: {error}") from error
        wanted = [] if packages == "all" else [item.strip() for item in packages.split(",")]
        run = await desk.start(name=name, duration_s=seconds, packages=wanted)
        if not watch_it:
            terminal.say(run.id)
            return 0
        terminal.note(f"Started run {run.id}. Ctrl+C stops watching; the run goes on.")
        return await desk.follow(run.id, terminal, form=output, evidence=evidence)

    _run(data, work, needs_server=True)


@app.command("list")
def list_runs(*, output: Format = "table", data: Data = None) -> None:
    """List runs, newest first."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        show_runs(terminal, await desk.runs(), form=output)
        return 0

    _run(data, work)


@app.command()
def show(
    run: RunName = "last",
    *,
    evidence: Evidence = False,
    output: Format = "table",
    data: Data = None,
) -> None:
    """Show what a run came to, or how far it is."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        found = await desk.find(run)
        result = await desk.result(found)
        show_result(terminal, found, result, form=output, evidence=evidence)
        return 0

    _run(data, work)


@app.command()
def watch(
    run: RunName = "last",
    *,
    evidence: Evidence = False,
    output: Format = "table",
    data: Data = None,
) -> None:
    """Follow a run to its end, then show its findings."""

    async def work(terminal: Terminal, desk: RunDesk) -> int:
        found = await desk.find(run)
        return await desk.follow(found.id, terminal, form=output, evidence=evidence)

    _run(data, work)


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

    _run(data, work, needs_server=True)


def _run(
    data: object,
    work: Callable[[Terminal, RunDesk], Awaitable[int]],
    *,
    needs_server: bool = False,
) -> None:
    """Do ``work`` on the store of a data folder, and exit with its code."""
    terminal = open_terminal()
    try:
        folder = folder_of(data)  # type: ignore[arg-type]
        code = asyncio.run(_with_desk(folder, terminal, work, needs_server=needs_server))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except ServerMissingError as error:
        terminal.error(str(error))
        code = UNREACHED
    except (AnalyzerError, RuleFileError) as error:
        terminal.error(str(error))
        code = MISUSE
    raise typer.Exit(code)


async def _with_desk(
    folder: DataFolder,
    terminal: Terminal,
    work: Callable[[Terminal, RunDesk], Awaitable[int]],
    *,
    needs_server: bool,
) -> int:
    if needs_server and not folder.has_server():
        raise ServerMissingError(folder.path)
    if not folder.store.exists():
        raise ServerMissingError(folder.path)
    store: Store = await open_store(folder.store)
    try:
        return await work(terminal, RunDesk(store, folder, clock=SystemClock()))
    finally:
        await store.close()
