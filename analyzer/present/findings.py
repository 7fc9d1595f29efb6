"""Findings on a terminal: a ranked table, or two lines for each where it is narrow.

In: findings, and the rules that made them for their text. Out: printed lines; evidence on demand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from analyzer.present.decisive import decisive_lines
from analyzer.present.evidence import evidence_lines
from analyzer.present.terminal import fitting
from analyzer.results.findings import text_of
from analyzer.words import UNITS, counted, printable, process_text, severity_style
from rules.detection import AbsenceDetection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.present.terminal import Terminal
    from analyzer.results.findings import Finding
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

    def decisive(self, finding: Finding) -> Iterator[str]:
        """Yield what decided; of the closing finding, which stands for many, nothing."""
        rule = self.rules.get(finding.rule)
        is_known = rule is not None and rule.version == finding.rule_version
        if not finding.is_closing:
            yield from decisive_lines(finding, rule.detection if rule and is_known else None)

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
            ends = {tuple(map(row.get, _ENDPOINTS)) for row in finding.evidence}
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
        if terminal.wraps or terminal.out.color_system is not None:
            terminal.out.print(_table(terminal, findings, labels))
        else:
            terminal.put_text("".join(_plain_lines(terminal, findings, labels)))
        return
    for finding in findings:
        terminal.out.print(_head(terminal, finding, labels))
        terminal.say(labels.text(finding), indent=2)
        if evidence:
            for line in labels.decisive(finding):
                terminal.say(line, indent=4)
            for line in evidence_lines(finding, evidence):
                terminal.say(line, style="dim", indent=4)
            terminal.say()


def _table(terminal: Terminal, findings: Sequence[Finding], labels: Labels) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    severity, rule, *others = _columns(labels)
    table.add_column(severity, no_wrap=True, min_width=_SEVERITY_WIDTH)
    table.add_column(rule, no_wrap=True)
    for name in others:
        table.add_column(name, overflow="fold")
    for finding in findings:
        table.add_row(
            Text(finding.severity, style=severity_style(finding.severity)),
            *map(Text, _cells(terminal, finding, labels)),
        )
    return table


def _plain_lines(terminal: Terminal, findings: Sequence[Finding], labels: Labels) -> Iterator[str]:
    """Yield the lines of the table for a pipe, where nothing wraps; a fleet has many findings."""
    rows = [
        _columns(labels),
        *([finding.severity, *_cells(terminal, finding, labels)] for finding in findings),
    ]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    widths[0] = max(widths[0], _SEVERITY_WIDTH)
    for row in rows:
        yield "  ".join(map(_padded, row, widths)) + "\n"


def _width(cell: str) -> int:
    return len(cell) if cell.isascii() else cell_len(cell)


def _padded(cell: str, width: int) -> str:
    return cell.ljust(width) if cell.isascii() else cell + " " * (width - cell_len(cell))


def _columns(labels: Labels) -> list[str]:
    host = ["Host"] if len(labels.hosts) > 1 else []
    return ["Severity", "Rule", *host, "Finding", "Process", "Evidence"]


def _cells(terminal: Terminal, finding: Finding, labels: Labels) -> list[str]:
    """Return the cells of a finding behind its severity."""
    host = [labels.host(finding)] if len(labels.hosts) > 1 else []
    told = [labels.text(finding), labels.process(finding), labels.evidence(finding)]
    return [fitting(cell, terminal.out) for cell in (finding.rule, *host, *told)]


def _head(terminal: Terminal, finding: Finding, labels: Labels) -> Text:
    line = Text()
    line.append(finding.severity.ljust(_SEVERITY_WIDTH), style=severity_style(finding.severity))
    words = (finding.rule, labels.host(finding), labels.process(finding), labels.evidence(finding))
    line.append(fitting("  " + "  ".join(filter(None, words)), terminal.out))
    line.truncate(terminal.out.width, overflow="ellipsis")
    return line
