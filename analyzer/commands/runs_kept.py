"""``proctor runs agents|exclusions|delete``: what is kept of a run beside its result.

In: a run. Out: its hosts or exclusions on standard output, or nothing of it any more.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from analyzer.assessments.names import all_of
from analyzer.commands.desk import Desks, with_desks
from analyzer.commands.options import Data, Yes, require_consent
from analyzer.model import RunAgentFilter
from analyzer.present.assessments import put_json, show_exclusions, show_run_agents
from analyzer.present.terminal import Terminal
from analyzer.runs.leftovers import remove_leftovers
from analyzer.words import counted

KeptRun = Annotated[
    str, typer.Argument(metavar="RUN", help="Id of a run, the start of one, or last.")
]
KeptFormat = Annotated[
    Literal["table", "json"], typer.Option("--output", "-o", help="Format.", show_choices=True)
]


def agents(run: KeptRun = "last", *, output: KeptFormat = "table", data: Data = None) -> None:
    """Show the hosts of a run: how they were, and how much they sent."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        arn, desk = (await desks.runs.find(run)).arn, desks.assessments()
        found = await all_of(lambda token: desk.list_run_agents(arn, RunAgentFilter(), token=token))
        if output == "json":
            put_json(terminal, found)
        else:
            show_run_agents(terminal, found)
        return 0

    with_desks(data, work)


def exclusions(run: KeptRun = "last", *, output: KeptFormat = "table", data: Data = None) -> None:
    """Show what a run could not assess or judge, why, and what to do."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        arn, desk = (await desks.runs.find(run)).arn, desks.assessments()
        found = await all_of(lambda token: desk.list_exclusions(arn, token=token))
        if output == "json":
            put_json(terminal, found)
        else:
            show_exclusions(terminal, found)
        return 0

    with_desks(data, work)


def delete(run: KeptRun, *, yes: Yes = False, data: Data = None) -> None:
    """Delete an ended run with its telemetry, findings and reports."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        found = await desks.runs.find(run)
        findings = len(await desks.runs.finding_rows(found))
        require_consent(
            f"Delete run {found.id}, its telemetry, {counted(findings, 'finding')} and reports?",
            yes=yes,
        )
        await desks.assessments().delete_run(found.arn)
        await remove_leftovers(desks.store, desks.folder)
        terminal.note(f"Deleted run {found.id}.")
        return 0

    with_desks(data, work)
