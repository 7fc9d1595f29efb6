"""A comparison of two runs on a terminal: what is new, resolved or not comparable.

In: a comparison, and the findings in words. Out: printed lines; what persists is only counted
unless it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from analyzer.present.comparison import rule_change_text
from analyzer.present.terminal import fitting
from analyzer.results.comparison import FATES
from analyzer.results.document import SEVERITIES
from analyzer.words import counted, listed, printable, severity_style, span, time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.present.terminal import Terminal
    from analyzer.results.comparison import ComparedRun, Fate, Issue, RunComparison

FATE_WORDS: Final[dict[Fate, str]] = {
    "new": "new",
    "persisting": "persisting",
    "resolved": "resolved",
    "not_comparable": "not comparable",
}
_STYLES: Final = {
    "new": "red",
    "persisting": "dim",
    "resolved": "green",
    "not_comparable": "yellow",
}
_MAX_NAMES: Final = 5  # rules or hosts that are named


def show_run_comparison(
    terminal: Terminal,
    comparison: RunComparison,
    *,
    texts: Mapping[str, str],
    persisting: bool = False,
) -> None:
    """Print a comparison of two runs.

    Args:
        terminal: Where.
        comparison: Of two runs.
        texts: Issue id → the finding in a sentence.
        persisting: Whether to list the issues that are in both, too.
    """
    terminal.note(f"Before: {_run_text(comparison.before)}")
    terminal.note(f"Now:    {_run_text(comparison.after)}")
    listed_issues = [
        issue for issue in comparison.findings if persisting or issue.state != "persisting"
    ]
    if listed_issues:
        terminal.note()
        terminal.out.print(_table(terminal, listed_issues, texts))
        terminal.say()
    terminal.say(fate_line(comparison))
    for fate in FATES:
        if comparison.count(fate):
            terminal.say(_severity_line(comparison, fate), indent=2)
    for line in difference_lines(comparison):
        terminal.say(line)


def fate_line(comparison: RunComparison) -> str:
    """Return ``5 findings before, 6 now: 1 new, 5 persisting, 0 resolved.``."""
    counts = [
        f"{comparison.count(fate):,} {FATE_WORDS[fate]}"
        for fate in FATES
        if fate != "not_comparable" or comparison.count(fate)
    ]
    before = counted(comparison.before.findings, "finding")
    return f"{before} before, {comparison.after.findings:,} now: {', '.join(counts)}."


def difference_lines(comparison: RunComparison) -> list[str]:
    """Return in sentences what differs between the runs themselves."""
    lines = []
    before, after = (_length_s(run) for run in (comparison.before, comparison.after))
    if round(before) != round(after):
        lines.append(f"The earlier run lasted {span(before)}, the later one {span(after)}.")
    if comparison.rules:
        changes = [rule_change_text(change) for change in comparison.rules]
        lines.append(f"Rules that differ: {listed(changes, most=_MAX_NAMES)}.")
    for hosts, which in ((comparison.hosts_gone, "earlier"), (comparison.hosts_added, "later")):
        if hosts:
            names = listed([printable(host) for host in hosts], most=_MAX_NAMES)
            lines.append(f"Hosts of the {which} run alone: {names}.")
    return lines


def _length_s(run: ComparedRun) -> float:
    return (run.to_us - run.from_us) / 1e6


def _run_text(run: ComparedRun) -> str:
    begin = time_text(run.from_us).split(".")[0]
    hosts = counted(run.hosts, "host")
    return f"{run.run}, {begin} UTC, {hosts}, {printable(run.name)}"


def _severity_line(comparison: RunComparison, fate: Fate) -> str:
    counts = comparison.summary[fate]
    parts = [f"{counts[name]:,} {name}" for name in SEVERITIES if counts[name]]
    return f"{FATE_WORDS[fate]}: {', '.join(parts)}"


def _table(terminal: Terminal, issues: list[Issue], texts: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("State", "Severity", "Rule"):
        table.add_column(name, no_wrap=True)
    for name in ("Host", "Finding"):
        table.add_column(name, overflow="fold")
    with_reasons = any(issue.reason for issue in issues)
    if with_reasons:
        table.add_column("Why", overflow="fold")
    order = {fate: place for place, fate in enumerate(FATES)}
    for issue in sorted(issues, key=lambda issue: order[issue.state]):
        cells = [
            issue.rule,
            printable(issue.hostname or issue.agent_id),
            printable(texts.get(issue.issue_id, issue.title)),
        ]
        if with_reasons:
            cells.append(printable(issue.reason or ""))
        table.add_row(
            Text(FATE_WORDS[issue.state], style=_STYLES[issue.state]),
            Text(issue.severity, style=severity_style(issue.severity)),
            *(Text(fitting(cell, terminal.out)) for cell in cells),
        )
    return table
