"""A comparison on a terminal: each finding as new, gone, the same or not comparable.

In: a comparison, and the findings in words. Out: printed lines; what differs stands first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from analyzer.present.terminal import fitting
from analyzer.results.differences import STATES
from analyzer.results.document import SEVERITIES
from analyzer.words import counted, listed, printable, severity_style

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.present.terminal import Terminal
    from analyzer.results.differences import Compared, Comparison, RuleChange, State

WORDS: Final[dict[State, str]] = {
    "new": "new",
    "gone": "gone",
    "same": "same",
    "not_comparable": "not comparable",
}
_STYLES: Final = {"new": "red", "gone": "green", "same": "dim", "not_comparable": "yellow"}
_MAX_RULES: Final = 5  # changed rules that are named


def show_comparison(
    terminal: Terminal,
    comparison: Comparison,
    *,
    texts: Mapping[str, str],
    hosts: Mapping[str, str],
) -> None:
    """Print a comparison.

    Args:
        terminal: Where.
        comparison: Of two results.
        texts: Issue id → the finding in a sentence.
        hosts: Agent id → name to show; with one host it is not shown.
    """
    if comparison.findings:
        terminal.out.print(_table(terminal, comparison, texts, hosts))
        terminal.say()
    terminal.say(count_line(comparison))
    for state in STATES:
        if state != "same" and comparison.count(state):
            terminal.say(_severity_line(comparison, state), indent=2)
    if comparison.rules:
        changes = [rule_change_text(change) for change in comparison.rules]
        terminal.say(f"Rules that differ: {listed(changes, most=_MAX_RULES)}.")


def count_line(comparison: Comparison) -> str:
    """Return ``5 findings before, 6 now: 1 new, 0 gone, 5 same.``."""
    counts = [
        f"{comparison.count(state):,} {WORDS[state]}"
        for state in STATES
        if state != "not_comparable" or comparison.count(state)
    ]
    before = counted(comparison.before.findings, "finding")
    return f"{before} before, {comparison.after.findings:,} now: {', '.join(counts)}."


def rule_change_text(change: RuleChange) -> str:
    """Return a rule, and how it differs."""
    if change.version_before is None:
        return f"{change.rule} (added)"
    if change.version_after is None:
        return f"{change.rule} (not there now)"
    if change.version_before == change.version_after:
        return f"{change.rule} (changed, still version {change.version_after})"
    return f"{change.rule} (version {change.version_before}, now {change.version_after})"


def _severity_line(comparison: Comparison, state: State) -> str:
    counts = comparison.summary[state]
    parts = [f"{counts[name]:,} {name}" for name in SEVERITIES if counts[name]]
    return f"{WORDS[state]}: {', '.join(parts)}"


def _table(
    terminal: Terminal,
    comparison: Comparison,
    texts: Mapping[str, str],
    hosts: Mapping[str, str],
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("State", "Severity", "Rule"):
        table.add_column(name, no_wrap=True)
    if len(hosts) > 1:
        table.add_column("Host", overflow="fold")
    table.add_column("Finding", overflow="fold")
    with_notes = any(map(_note, comparison.findings))
    if with_notes:
        table.add_column("Change", overflow="fold")
    order = {state: place for place, state in enumerate(("new", "gone", "not_comparable", "same"))}
    for item in sorted(comparison.findings, key=lambda item: order[item.state]):
        cells = [item.rule, printable(texts.get(item.issue_id, item.title))]
        if with_notes:
            cells.append(_note(item))
        if len(hosts) > 1:
            cells.insert(1, printable(hosts.get(item.agent_id, item.agent_id)))
        table.add_row(
            Text(WORDS[item.state], style=_STYLES[item.state]),
            Text(item.severity, style=severity_style(item.severity)),
            *(Text(fitting(cell, terminal.out)) for cell in cells),
        )
    return table


def _note(item: Compared) -> str:
    if item.reason is not None:
        return printable(item.reason)
    return f"other {listed(list(item.changed))}" if item.changed else ""
