"""``proctor targets``: which hosts are assessed.

In: options, and the store that the server uses. Out: targets on standard output, an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from analyzer.assessments.names import all_of, target_named
from analyzer.commands.desk import Desks, with_desks
from analyzer.commands.options import Data, ListFormat, Yes, require_consent, tags_of
from analyzer.errors import AssessmentError
from analyzer.model import Tag, Target, TargetFilter, TemplateFilter
from analyzer.present.assessments import put_json, show_agents, show_targets
from analyzer.present.terminal import Terminal
from analyzer.runs.leftovers import remove_leftovers
from analyzer.words import counted

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Say which hosts are assessed.",
)

TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="Name or ARN of a target.")]
TagOptions = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="Hosts with any of these; KEY = any value."),
]
_CREATE_EPILOG: Final = """\b
Examples:
  proctor targets create everything
  proctor targets create payments --tag app=payments --tag app=ledger

A host is in the target if it has any of the tags; without tags every host is. Agents get their
tags from proctor-agent's configuration.
"""


@app.command("list")
def list_targets(*, output: ListFormat = "table", data: Data = None) -> None:
    """List targets, newest first."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        targets = await all_of(lambda token: desk.list_targets(TargetFilter(), token=token))
        await _show(terminal, desks, targets, output)
        return 0

    with_desks(data, work)


@app.command()
def show(target: TargetName, *, output: ListFormat = "table", data: Data = None) -> None:
    """Show one target."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        await _show(terminal, desks, [await target_named(desks.assessments(), target)], output)
        return 0

    with_desks(data, work)


@app.command(epilog=_CREATE_EPILOG)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that is free.")],
    *,
    tag: TagOptions = None,
    data: Data = None,
) -> None:
    """Create a target; prints its ARN."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        group = await desk.create_resource_group(tags_of(tag)) if tag else None
        made = await desk.create_target(name, resource_group_arn=group.arn if group else None)
        terminal.say(made.arn)
        return 0

    with_desks(data, work)


@app.command()
def update(
    target: TargetName,
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="A new name.")] = "",
    tag: TagOptions = None,
    every: Annotated[bool, typer.Option("--all-hosts", help="Select every host.")] = False,
    data: Data = None,
) -> None:
    """Change a target's name or hosts; active runs keep theirs."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        if tag and every:
            raise AssessmentError("--tag and --all-hosts exclude each other")
        desk = desks.assessments()
        before = await target_named(desk, target)
        group_arn = None if every else before.resource_group_arn
        if tag:
            group_arn = (await desk.create_resource_group(tags_of(tag))).arn
        after = await desk.update_target(
            before.arn, name=name or before.name, resource_group_arn=group_arn
        )
        await _show(terminal, desks, [after], "table")
        return 0

    with_desks(data, work)


@app.command()
def preview(target: TargetName, *, output: ListFormat = "table", data: Data = None) -> None:
    """Show which hosts a target selects now, and whether they can be assessed."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        arn = (await target_named(desk, target)).arn
        agents = await all_of(lambda token: desk.preview_agents(arn, token=token))
        if output == "json":
            put_json(terminal, agents)
        else:
            show_agents(terminal, agents, now_us=desks.clock.now_us())
        return 0

    with_desks(data, work)


@app.command()
def delete(target: TargetName, *, yes: Yes = False, data: Data = None) -> None:
    """Delete a target with its templates, their runs, findings and reports."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        found = await target_named(desk, target)
        within = TemplateFilter(target_arns=(found.arn,))
        templates = await all_of(lambda token: desk.list_templates(within, token=token))
        runs = sum(template.run_count for template in templates)
        require_consent(
            f"Delete target {found.name}, its {counted(len(templates), 'template')} and "
            f"{counted(runs, 'run')} with their findings and reports?",
            yes=yes,
        )
        await desk.delete_target(found.arn)
        await remove_leftovers(desks.store, desks.folder)
        terminal.note(f"Deleted target {found.name}.")
        return 0

    with_desks(data, work)


async def _show(terminal: Terminal, desks: Desks, targets: Sequence[Target], form: str) -> None:
    if form == "json":
        put_json(terminal, targets)
        return
    selectors: dict[str, Sequence[Tag]] = {}
    async with desks.store.reading() as rows:
        for arn in {target.resource_group_arn for target in targets} - {None}:
            group = await rows.targets.group(arn or "")
            selectors[arn or ""] = group.tags if group else ()
    show_targets(terminal, targets, selectors)
