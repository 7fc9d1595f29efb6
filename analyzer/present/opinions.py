"""A second opinion on the terminal: agreement in a sentence, or each group that differs.

In: what came of comparing. Out: text on standard output.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from analyzer.words import counted

if TYPE_CHECKING:
    from analyzer.present.terminal import Terminal
    from analyzer.replay.second_opinion import Difference, Numbers, Opinions


def show_opinions(terminal: Terminal, opinions: Opinions) -> None:
    """Print whether engine and SQL say the same, and where not."""
    for difference in opinions.differences:
        terminal.say(_place(difference))
        terminal.say(f"engine: {_said(difference.by_engine)}", indent=2)
        terminal.say(f"SQL:    {_said(difference.by_sql)}", indent=2)
    pairs = counted(opinions.pairs, "rule and host", "pairs of rule and host")
    if opinions.differences:
        groups = counted(len(opinions.differences), "group")
        terminal.say(f"Engine and SQL differ in {groups} ({pairs}, {opinions.groups:,} agree).")
    else:
        groups = counted(opinions.groups, "group")
        terminal.say(f"Engine and SQL agree: {pairs}, {groups}.")
    if opinions.unclaimed:
        unclaimed = counted(opinions.unclaimed, "pair")
        terminal.note(f"Not compared: {unclaimed} of absence on hosts not watched enough.")


def _place(difference: Difference) -> str:
    columns = difference.rule.group_by
    values = difference.place.values
    group = ", ".join(
        f"{name}={'null' if value is None else value}"
        for name, value in zip(columns, values, strict=True)
    )
    where = f"{difference.rule.id} on {difference.place.agent_id}"
    return f"{where}: {group}" if group else where


def _said(numbers: Numbers | None) -> str:
    if numbers is None:
        return "does not fire"
    said = asdict(numbers).items()
    return ", ".join(f"{name} {value}" for name, value in said if value is not None)
