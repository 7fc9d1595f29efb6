"""Lists of findings on a terminal, one finding in full, and the suppressions there are.

In: findings with their status, and what they are told in. Out: printed lines; whatever is not shown
is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from analyzer.present.evidence import evidence_lines
from analyzer.present.outcome import labels_of
from analyzer.present.terminal import fitting
from analyzer.results.document import SEVERITIES
from analyzer.words import counted, group_text, printable, severity_style, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import Suppression
    from analyzer.present.terminal import Terminal
    from analyzer.suppression import Review
    from analyzer.suppression.finding_list import FindingList, ListedFinding
    from rules.loader import Package

_EVIDENCE_LINES: Final = 20


def show_finding_list(
    terminal: Terminal, found: FindingList, packages: Sequence[Package], looked: Review
) -> None:
    """Print findings one a row, how many others there are, and suppressions to look at."""
    if found.items:
        terminal.out.print(_table(terminal, found, packages))
        terminal.say()
    terminal.say(_count_line(found))
    for line in looked.lines():
        terminal.note(line, style="yellow")


def show_finding(
    terminal: Terminal, item: ListedFinding, found: FindingList, packages: Sequence[Package]
) -> None:
    """Print everything there is to say about one finding."""
    finding, labels = item.finding, labels_of(found.result, packages)
    rule = labels.rules.get(finding.rule)
    terminal.say(labels.text(finding), style="bold")
    host = printable(labels.hosts.get(finding.agent_id, finding.agent_id))
    lines = {
        "Severity": finding.severity,
        "Status": " ".join(filter(None, (item.status.state, item.status.text()))),
        "Host": f"{host} ({printable(finding.agent_id)})",
        "Rule": f"{finding.rule}, version {finding.rule_version}, of {finding.package}",
        "Process": labels.process(finding),
        "About": group_text(finding.group),
        "Seen": f"{time_text(finding.first_seen_us)} to {time_text(finding.last_seen_us)} UTC, "
        f"{counted(finding.count, 'event')}",
        "Finding": item.row.arn if item.row else finding.occurrence_id,
        "Issue": finding.issue_id,
    }
    for name, text in lines.items():
        if text:
            terminal.say(f"{name.ljust(10)}{printable(text)}")
    for tag in item.row.user_attributes if item.row else ():
        terminal.say(f"{'Attribute'.ljust(10)}{printable(tag.key)} = {printable(tag.value or '')}")
    if rule is not None:
        terminal.say()
        terminal.say(f"What to do: {rule.recommendation}")
    terminal.say()
    for line in (*labels.decisive(finding), *evidence_lines(finding, _EVIDENCE_LINES)):
        terminal.say(line, style="dim", indent=2)


def show_suppressions(
    terminal: Terminal, suppressions: Sequence[Suppression], *, now_us: int
) -> None:
    """Print suppressions, one a row."""
    if not suppressions:
        terminal.say("No risk is accepted.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Id", "State", "Until", "Owner"):
        table.add_column(name, no_wrap=True)
    for name in ("Accepts", "Reason"):
        table.add_column(name, overflow="fold")
    for each in suppressions:
        cells = (
            each.id,
            _state(each, now_us),
            time_text(each.expires_us)[:16],
            each.owner,
            each.matcher.text(),
            each.reason,
        )
        table.add_row(*(Text(fitting(printable(cell), terminal.out)) for cell in cells))
    terminal.out.print(table)


def _state(suppression: Suppression, now_us: int) -> str:
    if suppression.ended_us is not None:
        return "taken back"
    return "active" if suppression.is_active(now_us) else "expired"


def _table(terminal: Terminal, found: FindingList, packages: Sequence[Package]) -> Table:
    labels = labels_of(found.result, packages)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Finding", "Severity", "Status", "Rule"):
        table.add_column(name, no_wrap=True)
    for name in ("Host", "What", "Process"):
        table.add_column(name, overflow="fold")
    for item in found.items:
        finding = item.finding
        cells = (
            finding.rule,
            printable(labels.hosts.get(finding.agent_id, finding.agent_id)),
            labels.text(finding),
            labels.process(finding),
        )
        table.add_row(
            item.id,
            Text(finding.severity, style=severity_style(finding.severity)),
            item.status.state,
            *(Text(fitting(cell, terminal.out)) for cell in cells),
        )
    return table


def _count_line(found: FindingList) -> str:
    """Return ``2 of 5 findings of run 0-abc: 1 High, 1 Low. In all 4 open, 1 accepted.``."""
    counts = found.as_result().summary.findings
    parts = [f"{counts[name]:,} {name}" for name in SEVERITIES if counts[name]]
    all_of_them = counted(len(found.result.findings), "finding")
    line = f"{len(found.items):,} of {all_of_them} of run {found.result.run.id}"
    line += f": {', '.join(parts)}." if parts else "."
    states = [f"{number:,} {state}" for state, number in sorted(found.states.items())]
    return f"{line} In all {', '.join(states)}." if states else line
