"""``proctor findings``: read the findings of a run, accept risks, call issues resolved.

In: options, and the store that the server uses. Out: findings in any format, or a note of what was
kept.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import typer

from analyzer.commands.desk import Desks, with_desks
from analyzer.commands.finding_options import (
    FindingId,
    Hosts,
    OfRun,
    Owner,
    PackageIds,
    RuleIds,
    Severities,
    StatusName,
    expiry_us,
    group_of,
    query_of,
)
from analyzer.commands.options import Data, OutFile, aws_account, output_of, tags_of
from analyzer.errors import AssessmentError
from analyzer.model import Matcher
from analyzer.present.finding_list import show_finding, show_finding_list, show_suppressions
from analyzer.present.output import deliver
from analyzer.present.terminal import Terminal
from analyzer.reports import Document, document
from analyzer.suppression.finding_list import (
    FindingList,
    FindingQuery,
    ListedFinding,
    one_of,
    select,
    to_list_json,
    to_list_ndjson,
)
from rules.loader import Package

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Read findings, accept risks, call issues resolved.",
)

ListFormat = Annotated[
    Literal["table", "json", "ndjson"],
    typer.Option("--output", "-o", help="Format.", show_choices=True),
]
_LIST_EPILOG: Final = """\b
Examples:
  proctor findings list                             what is open in the last run
  proctor findings list --severity high --status all -o ndjson
  proctor findings export -o ocsf --out findings.ocsf.ndjson
"""
_ATTR_EPILOG: Final = """\b
Examples:
  proctor findings attr 0-3fa9c1d2 team=payments ticket=OPS-17
  proctor findings attr 0-3fa9c1d2 --remove ticket
"""
_ACCEPT_EPILOG: Final = """\b
Examples:
  proctor findings accept 3fa9c1d2 --owner Kim --for 90d --reason "mail relay in the cluster"
  proctor findings accept --rule insecure-client-general --host 'i-0*' --group remote_port=389 \\
      --owner Kim --until 2027-01-31 --reason "LDAP behind the VPN until it moves"

Accepted findings stay stored and counted. When the time is over they are open again.
"""


@app.command("list", epilog=_LIST_EPILOG)
def list_findings(
    *,
    run: OfRun = "last",
    severity: Severities = "",
    rule: RuleIds = "",
    package: PackageIds = "",
    host: Hosts = "",
    status: StatusName = "open",
    output: ListFormat = "table",
    out: OutFile = None,
    data: Data = None,
) -> None:
    """List findings of a run."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        query = query_of(
            severities=severity, rules=rule, packages=package, hosts=host, status=status
        )
        found, packages = await _found(desks, run, query)
        looked = await desks.suppressions.review()

        def show(shown: Terminal) -> None:
            show_finding_list(shown, found, packages, looked)

        deliver(terminal, show if output == "table" else _document(found, output), out)
        return 0

    with_desks(data, work)


@app.command()
def show(
    finding: FindingId,
    *,
    run: OfRun = "last",
    output: Annotated[
        Literal["table", "json"], typer.Option("--output", "-o", help="Format.", show_choices=True)
    ] = "table",
    data: Data = None,
) -> None:
    """Show everything about one finding."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        item, found, packages = await _one(desks, run, finding)
        if output == "json":
            terminal.put(to_list_ndjson([item]))
        else:
            show_finding(terminal, item, found, packages)
        return 0

    with_desks(data, work)


@app.command()
def export(
    *,
    run: OfRun = "last",
    severity: Severities = "",
    rule: RuleIds = "",
    package: PackageIds = "",
    host: Hosts = "",
    status: StatusName = "open",
    output: Annotated[
        Document, typer.Option("--output", "-o", help="Format.", show_choices=True)
    ] = "csv",
    out: OutFile = None,
    data: Data = None,
) -> None:
    """Write exactly the findings that list shows, in a format of other programs."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        output_of(output, out)  # a place that cannot be written is named before the work
        query = query_of(
            severities=severity, rules=rule, packages=package, hosts=host, status=status
        )
        found, packages = await _found(desks, run, query)
        deliver(terminal, document(output, found.as_result(), packages, aws=aws_account()), out)
        return 0

    with_desks(data, work)


@app.command(epilog=_ACCEPT_EPILOG)
def accept(
    finding: Annotated[
        str, typer.Argument(metavar="[FINDING]", help="A finding whose issue is accepted.")
    ] = "",
    *,
    owner: Owner,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why the risk is accepted.")],
    until: Annotated[str, typer.Option(metavar="DATE", help="Last day, as 2027-01-31 (UTC).")] = "",
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 90d.")] = "",
    rule: Annotated[str, typer.Option(metavar="ID", help="Instead: of a rule; * is any.")] = "",
    host: Annotated[str, typer.Option(metavar="AGENT", help="On this agent; * is any.")] = "",
    group: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Of this group; * is any.")
    ] = None,
    run: OfRun = "last",
    data: Data = None,
) -> None:
    """Accept the risk of findings for a while."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        expires_us = expiry_us(until=until, duration=duration, now_us=desks.clock.now_us())
        if finding and (rule or host or group):
            raise AssessmentError("name a finding, or a rule with --host and --group; not both")
        matcher = Matcher(rule=rule, agent_id=host, group=group_of(group or []))
        if finding:
            item, _, _ = await _one(desks, run, finding)
            matcher = Matcher(issue_id=item.finding.issue_id)
        made = await desks.suppressions.accept(
            matcher, reason=reason, owner=owner, expires_us=expires_us
        )
        terminal.say(made.id)
        terminal.note(f"Accepted: {matcher.text()}. 'proctor findings reopen {made.id}' ends it.")
        return 0

    with_desks(data, work)


@app.command()
def accepted(*, data: Data = None) -> None:
    """List the risks that are or were accepted."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        suppressions = await desks.suppressions.suppressions()
        show_suppressions(terminal, suppressions, now_us=desks.clock.now_us())
        return 0

    with_desks(data, work)


@app.command()
def resolve(
    finding: FindingId,
    *,
    owner: Owner,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What was done.")] = "",
    run: OfRun = "last",
    data: Data = None,
) -> None:
    """Call the issue of a finding resolved; if it is seen later, it is open again."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        item, _, _ = await _one(desks, run, finding)
        await desks.suppressions.resolve(item.finding.issue_id, owner=owner, note=note)
        terminal.note(f"Issue {item.finding.issue_id} is resolved until it is seen again.")
        return 0

    with_desks(data, work)


@app.command(epilog=_ATTR_EPILOG)
def attr(
    finding: FindingId,
    pairs: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Attributes to set.")
    ] = None,
    *,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Attributes to take away.")
    ] = None,
    run: OfRun = "last",
    data: Data = None,
) -> None:
    """Set, take away or show the attributes that people give to a finding."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        item, _, _ = await _one(desks, run, finding)
        if item.row is None:
            raise AssessmentError(f"finding {item.id} is of a run that keeps no attributes")
        desk, arn = desks.assessments(), item.row.arn
        failed = await desk.remove_attributes([arn], remove) if remove else {}
        if pairs:
            failed |= await desk.add_attributes([arn], tags_of(pairs))
        if failed:
            raise AssessmentError(f"{arn}: {failed[arn]}; a finding has at most 10 attributes")
        for row in (await desk.describe_findings([arn])).items:
            for tag in row.user_attributes:
                terminal.say(f"{tag.key}={tag.value or ''}")
        return 0

    with_desks(data, work)


@app.command()
def reopen(
    finding: Annotated[
        str, typer.Argument(metavar="FINDING", help="A finding, or the id of an acceptance.")
    ],
    *,
    run: OfRun = "last",
    data: Data = None,
) -> None:
    """Take back what was accepted or called resolved."""

    async def work(terminal: Terminal, desks: Desks) -> int:
        if finding.startswith("s-"):
            if not await desks.suppressions.take_back(finding):
                raise AssessmentError(
                    f"{finding} accepts nothing; 'proctor findings accepted' shows what does"
                )
            terminal.note(f"{finding} was taken back.")
            return 0
        item, _, _ = await _one(desks, run, finding)
        kept = await desks.suppressions.reopen(item.finding)
        for each in kept:
            terminal.note(
                f"Still accepted by {each.id} ({each.matcher.text()}); "
                f"'proctor findings reopen {each.id}' takes that back for all its findings."
            )
        if not kept:
            terminal.note(f"Issue {item.finding.issue_id} is open.")
        return 0

    with_desks(data, work)


def _document(found: FindingList, form: Literal["json", "ndjson"]) -> bytes:
    return to_list_json(found) if form == "json" else to_list_ndjson(found.items)


async def _found(desks: Desks, name: str, query: FindingQuery) -> tuple[FindingList, list[Package]]:
    run = await desks.runs.find(name)
    result = await desks.runs.result(run)
    if result is None:
        raise AssessmentError(f"run {run.id} is {run.state} and has no findings")
    statuses = await desks.suppressions.statuses()
    found = select(result, query, statuses, rows=await desks.runs.finding_rows(run))
    return found, desks.runs.packages(run)


async def _one(
    desks: Desks, run: str, name: str
) -> tuple[ListedFinding, FindingList, list[Package]]:
    _, is_arn, rest = name.partition("/run/")
    found, packages = await _found(desks, rest.split("/")[0] if is_arn else run, FindingQuery())
    return one_of(found.items, name), found, packages
