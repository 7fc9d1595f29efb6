"""``proctor rules explain ID --run RUN --host HOST``: why a rule fired on a host; a rule as SQL.

In: a rule, a run or a recording, a host. Out: the explanation, or the SQL, on standard output, an
exit code.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from analyzer.commands.options import Data, Rules, folder_of
from analyzer.errors import AnalyzerError, ServerMissingError
from analyzer.ingest.segments import segments_of
from analyzer.present import open_terminal
from analyzer.present.explain import show_explanation
from analyzer.recording import read_recorded
from analyzer.replay.explained import explained, explanation_json
from analyzer.replay.replayed import HostTelemetry, from_log, from_recording
from analyzer.results.gates import MISUSE, UNREACHED
from analyzer.runs.desk import RunDesk
from analyzer.sql import compile_rule
from analyzer.store import open_store
from rules.columns import suggestion
from rules.errors import RecordingError, RuleFileError
from rules.loader import load_packages
from rules.telemetry.clock import SystemClock

if TYPE_CHECKING:
    from analyzer.data_folder import DataFolder
    from rules.format import Rule

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EPILOG: Final = """\b
Examples:
  proctor rules explain imdsv1-burst                            the rule in words
  proctor rules explain imdsv1-burst --run last --host web-1    why it fired there, or why not
  proctor rules explain imdsv1-burst --events web.ndjson.zst    the same of a recording
  proctor rules explain imdsv1-burst --run last --host web-1 -o json
  proctor rules explain imdsv1-burst --sql --parquet telemetry  as SQL on an exported run
"""


@app.command(epilog=_EPILOG)
def explain(
    rule: Annotated[str, typer.Argument(metavar="ID", help="Id of the rule.")],
    *,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Id of a run, the start of one, or last."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A recording instead of a run.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Agent id or name; not needed if it is the only one."),
    ] = None,
    rules: Rules = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the rule as DuckDB SQL instead.")
    ] = False,
    parquet: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="With --sql: folder of 'proctor runs export'."),
    ] = None,
    output: Annotated[
        Literal["table", "json"], typer.Option("--output", "-o", help="Format.")
    ] = "table",
    data: Data = None,
) -> None:
    """Say why a rule fired on a host, or why not; without --run or --events, what it means."""
    terminal = open_terminal()
    try:
        package, found = _find(rules, rule)
        if sql or parquet is not None:
            alone = sql and run is None and events is None and host is None
            terminal.put(_statement(found, parquet, alone=alone))
        else:
            if events is not None and run is None:
                telemetry = _recorded(events, host, found)
            else:
                telemetry = asyncio.run(_logged(folder_of(data), _one(run, events), host, found))
            explanation = explained(found, package, telemetry)
            if output == "json":
                terminal.put(explanation_json(explanation))
            else:
                show_explanation(terminal, explanation)
        code = 0
    except ServerMissingError as error:
        terminal.error(str(error))
        code = UNREACHED
    except AnalyzerError as error:
        terminal.error(str(error))
        code = MISUSE
    except (RecordingError, RuleFileError) as error:
        terminal.problems(str(error))
        code = MISUSE
    raise typer.Exit(code)


def _find(path: Path | None, rule_id: str) -> tuple[str, Rule]:
    """Return a rule and the id of its package."""
    rules = {
        rule.id: (package.id, rule) for package in load_packages(path) for rule in package.rules
    }
    if rule_id not in rules:
        known = ", ".join(sorted(rules))
        raise AnalyzerError(
            f"there is no rule {rule_id!r}{suggestion(rule_id, rules)}; there are: {known}"
        )
    return rules[rule_id]


def _statement(rule: Rule, folder: str | None, *, alone: bool) -> bytes:
    if not alone:
        raise AnalyzerError(
            "--sql prints the rule for every host: use it without --run, --events and --host; "
            "--parquet goes with it"
        )
    return compile_rule(rule, folder).encode() + b"\n"


def _one(run: str | None, events: Path | None) -> str:
    if run is None or events is not None:
        raise AnalyzerError("name either a run with --run, or a recording with --events")
    return run


def _recorded(path: Path, host: str | None, rule: Rule) -> HostTelemetry:
    try:
        recording = read_recorded(path)
    except OSError as error:
        raise AnalyzerError(f"cannot read {path}: {error.strerror}; check --events") from error
    return from_recording(recording, name=str(path), host=host, kinds=rule.telemetry)


async def _logged(folder: DataFolder, name: str, host: str | None, rule: Rule) -> HostTelemetry:
    if not folder.has_store():
        raise ServerMissingError(folder.path)
    store = await open_store(folder.database())
    try:
        run = await RunDesk(store, folder, clock=SystemClock()).find(name)
        hostnames = {agent.agent_id: agent.hostname for agent in await store.agents()}
    finally:
        await store.close()
    log = segments_of(folder.runs, run.id)
    return from_log(log, run, hostnames=hostnames, host=host, kinds=rule.telemetry)
