"""Findings on a terminal: a ranked table, or two lines for each where it is narrow.

In: findings, and the rules that made them for their text. Out: printed lines; evidence on demand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from analyzer.findings import text_of
from analyzer.present.evidence import evidence_lines
from analyzer.present.terminal import fitting
from analyzer.present.words import UNITS, counted, printable, process_text, severity_style
from rules.detection import AbsenceDetection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.findings import Finding
    from analyzer.present.terminal import Terminal
    from rules.format import Rule

_SEVERITY_WIDTH: Final = len("Informational")
_ENDPOINTS: Final = ("pid", "local_address", "local_port", "remote_address", "remote_port")


@dataclass(frozen=True, slots=True)
class Labels:
    """What findings are told in: the texts of rules, the names of hosts."""

    rules: Mapping[str, Rule] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Agent id → name to show; with one host it is not shown."""

    def text(self, finding: Finding) -> str:
        """Return what was found, in a sentence."""
        return printable(text_of(finding, self.rules.get(finding.rule)))

    def host(self, finding: Finding) -> str:
        """Return the host's name; empty where all findings are of one host."""
        if len(self.hosts) <= 1:
            return ""
        return printable(self.hosts.get(finding.agent_id, finding.agent_id))

    def process(self, finding: Finding) -> str:
        """Return whose doing it was."""
        return "" if finding.is_closing else process_text(finding.evidence)

    def evidence(self, finding: Finding) -> str:
        """Return what it was seen by, in a few words."""
        rule = self.rules.get(finding.rule)
        if finding.is_closing:
            return ""
        if rule is not None and isinstance(rule.detection, AbsenceDetection):
            return f"0 {UNITS[rule.detection.unless.telemetry].removesuffix(' event')}s"
        kind = finding.evidence[-1]["telemetry"]
        if kind == "connection" and finding.count == len(finding.evidence):
            ends = {tuple(row.get(name) for name in _ENDPOINTS) for row in finding.evidence}
            return counted(len(ends), "connection")
        return counted(finding.count, UNITS.get(kind, "event"))


def show_findings(
    terminal: Terminal, findings: Sequence[Finding], labels: Labels, *, evidence: int = 0
) -> None:
    """Print findings in their order.

    Args:
        terminal: Where.
        findings: Ranked.
        labels: What they are told in.
        evidence: Events to print under each finding, at most.
    """
    if not findings:
        return
    if not evidence and not terminal.is_narrow:
        terminal.out.print(_table(terminal, findings, labels))
        return
    for finding in findings:
        terminal.out.print(_head(terminal, finding, labels))
        terminal.say(labels.text(finding), indent=2)
        if evidence:
            for line in evidence_lines(finding, evidence):
                terminal.say(line, style="dim", indent=4)
            terminal.say()


def _table(terminal: Terminal, findings: Sequence[Finding], labels: Labels) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    with_host = len(labels.hosts) > 1
    table.add_column("Severity", no_wrap=True, min_width=_SEVERITY_WIDTH)
    table.add_column("Rule", no_wrap=True)
    if with_host:
        table.add_column("Host", overflow="fold")
    table.add_column("Finding", overflow="fold")
    table.add_column("Process", overflow="fold")
    table.add_column("Evidence", overflow="fold")
    for finding in findings:
        cells = [finding.rule, labels.text(finding), labels.process(finding)]
        cells.append(labels.evidence(finding))
        if with_host:
            cells.insert(1, labels.host(finding))
        table.add_row(
            Text(finding.severity, style=severity_style(finding.severity)),
            *(Text(fitting(cell, terminal.out)) for cell in cells),
        )
    return table


def _head(terminal: Terminal, finding: Finding, labels: Labels) -> Text:
    line = Text()
    line.append(finding.severity.ljust(_SEVERITY_WIDTH), style=severity_style(finding.severity))
    words = (finding.rule, labels.host(finding), labels.process(finding), labels.evidence(finding))
    line.append(fitting("  " + "  ".join(filter(None, words)), terminal.out))
    line.truncate(terminal.out.width, overflow="ellipsis")
    return line
