"""``proctor templates``: how hosts are assessed, and runs of that.

In: options, and the store that the server uses. Out: templates on standard output, an exit code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from analyzer.assessments import Assessments
from analyzer.assessments.names import all_of, target_named, template_named
from analyzer.commands.desk import Desks, with_desks
from analyzer.commands.following import follow
from analyzer.commands.options import (
    Data,
    ListFormat,
    Rules,
    Yes,
    output_of,
    require_consent,
    tags_of,
    words,
)
from analyzer.errors import AssessmentError
from analyzer.model import Exclusion, Page, TargetFilter, Template, TemplateFilter
from analyzer.present.assessments import put_json, show_exclusions, show_templates
from analyzer.present.terminal import Terminal
from analyzer.runs.leftovers import remove_leftovers
from analyzer.words import counted
from rules.durations import parse_duration
from rules.loader import Package, load_packages

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Say how hosts are assessed, and start runs of that.",
)

TemplateName = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Name or ARN of a template.")]
TargetOption = Annotated[
    str, typer.Option("--target", metavar="TARGET", help="Name or ARN of a target.")
]
Duration = Annotated[
    str, typer.Option("--for", metavar="TIME", help="How long a run collects, 3m to 24h.")
]
PackageIds = Annotated[
    str, typer.Option("--packages", metavar="IDS", help="Rules packages, comma-separated, or all.")
]
Attributes = Annotated[
    list[str] | None,
    typer.Option("--attribute", metavar="KEY=VALUE", help="Given to every finding."),
]
_CREATE_EPILOG: Final = """\b
Examples:
  proctor templates create weekly --target everything --for 1h --packages all
  proctor templates run weekly --watch

A template is not changed afterwards; clone makes another one from it.
"""


@app.command("list")
def list_templates(
    *, target: TargetOption = "", output: ListFormat = "table", data: Data = None
) -> None:
    """List templates, newest first."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        arns = ((await target_named(desk, target)).arn,) if target else ()
        within = TemplateFilter(target_arns=arns)
        templates = await all_of(lambda token: desk.list_templates(within, token=token))
        await _show(terminal, desk, templates, output)
        return 0

    with_desks(data, work)


@app.command()
def show(template: TemplateName, *, output: ListFormat = "table", data: Data = None) -> None:
    """Show one template."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        await _show(terminal, desk, [await template_named(desk, template)], output)
        return 0

    with_desks(data, work)


@app.command(epilog=_CREATE_EPILOG)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Unique among the target's.")],
    *,
    target: TargetOption,
    duration: Duration = "1h",
    packages: PackageIds = "all",
    attribute: Attributes = None,
    rules: Rules = None,
    data: Data = None,
) -> None:
    """Create a template; prints its ARN."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        known = load_packages(rules)
        desk = desks.assessments(known)
        made = await desk.create_template(
            (await target_named(desk, target)).arn,
            name=name,
            duration_s=_seconds(duration),
            packages=_ids(packages, known),
            user_attributes=tags_of(attribute or []),
        )
        terminal.say(made.arn)
        return 0

    with_desks(data, work)


@app.command()
def clone(
    template: TemplateName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new template.")],
    *,
    target: TargetOption = "",
    duration: Duration = "",
    packages: PackageIds = "",
    rules: Rules = None,
    data: Data = None,
) -> None:
    """Create a template like another one, but for what is given; prints its ARN."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        known = load_packages(rules)
        desk = desks.assessments(known)
        old = await template_named(desk, template)
        made = await desk.create_template(
            (await target_named(desk, target)).arn if target else old.target_arn,
            name=name,
            duration_s=_seconds(duration) if duration else old.duration_s,
            packages=_ids(packages, known) if packages else old.packages,
            user_attributes=old.user_attributes,
        )
        if old.tags:
            await desk.set_tags(made.arn, old.tags)
        terminal.say(made.arn)
        return 0

    with_desks(data, work)


@app.command()
def run(
    template: TemplateName,
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="Of the run.")] = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it, then show its findings.")
    ] = False,
    data: Data = None,
) -> None:
    """Start a run of a template; prints its id."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        arn = (await template_named(desk, template)).arn
        started = await desk.start_run(arn, name=name or None)
        if not watch:
            terminal.say(started.id)
            return 0
        terminal.note(f"Started run {started.id}. Ctrl+C stops watching; the run goes on.")
        output = output_of("table", None)
        return await follow(desks.runs, started, terminal, output=output, clock=desks.clock)

    with_desks(data, work, needs_server=True)


@app.command()
def delete(template: TemplateName, *, yes: Yes = False, data: Data = None) -> None:
    """Delete a template with its runs, their findings and reports."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        found = await template_named(desk, template)
        require_consent(
            f"Delete template {found.name} and its {counted(found.run_count, 'run')} with their "
            "findings and reports?",
            yes=yes,
        )
        await desk.delete_template(found.arn)
        await remove_leftovers(desks.store, desks.folder)
        terminal.note(f"Deleted template {found.name}.")
        return 0

    with_desks(data, work)


@app.command()
def exclusions(template: TemplateName, *, output: ListFormat = "table", data: Data = None) -> None:
    """Show what a run of a template would exclude now."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        desk = desks.assessments()
        arn = (await template_named(desk, template)).arn
        found = await _preview(desk, arn)
        if output == "json":
            put_json(terminal, found)
        else:
            show_exclusions(terminal, found)
        return 0

    with_desks(data, work)


async def _preview(desk: Assessments, template_arn: str) -> list[Exclusion]:
    preview = await desk.create_exclusions_preview(template_arn)
    await desk.make_previews()  # a server does the same; whoever is first has made it

    async def page(token: str | None) -> Page[Exclusion]:
        found = await desk.exclusions_preview(template_arn, preview, token=token)
        return found or Page(())

    return await all_of(page)


def _seconds(duration: str) -> int:
    try:
        return parse_duration(duration) // 1_000_000
    except ValueError as error:
        raise AssessmentError(f"--for {duration}: {error}") from error


def _ids(packages: str, known: Sequence[Package]) -> list[str]:
    if packages == "all":
        return [package.id for package in known]
    return list(words(packages))


async def _show(
    terminal: Terminal, desk: Assessments, templates: Sequence[Template], form: str
) -> None:
    if form == "json":
        put_json(terminal, templates)
        return
    targets = await all_of(lambda token: desk.list_targets(TargetFilter(), token=token))
    show_templates(terminal, templates, {target.arn: target.name for target in targets})
