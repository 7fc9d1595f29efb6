"""The reference engine: it lets ``rules.reference``, the definition of a rule's meaning, judge.

In: slices. Out: outcomes; exact, and slow where there are many rows. Others are held against it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from analyzer.engine.protocol import PROVISIONAL_SHARE, Budget, Effort
from rules.outcome import MAX_GROUPS
from rules.reference import judge, matches
from rules.telemetry.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.telemetry.slices import Slice
    from rules.format import Rule
    from rules.outcome import Outcome
    from rules.selector import Selector
    from rules.telemetry.batch import Row
    from rules.telemetry.clock import Clock
    from rules.telemetry.ledger import Ledger

_SYSTEM_CLOCK: Final = SystemClock()


class ReferenceEngine:
    """Judges with ``rules.reference``, the definition of what a rule means."""

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        clock: Clock = _SYSTEM_CLOCK,
        provisional_share: float = PROVISIONAL_SHARE,
        effort: Effort = time.thread_time,
    ) -> None:
        """Judge by ``rules``.

        Args:
            rules: Their ids are unique.
            clock: Shows the time that provisional outcomes have a share of.
            provisional_share: How much of it they may take.
            effort: Measures what they cost.
        """
        self._rules = sorted(rules, key=lambda rule: rule.id)
        self._selectors: dict[str, list[tuple[int, list[Selector]]]] = _by_kind(self._rules)
        self._rows: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        self._known: dict[tuple[int, str], Outcome] = {}
        self._outdated: dict[tuple[int, str], None] = {}  # in the order in which rows came
        self._budget = Budget(clock, provisional_share, effort=effort)

    def feed(self, piece: Slice) -> None:
        """Take the next slice of a host; rows that no rule selects are not kept."""
        kept = self._rows[piece.agent_id]
        for row in piece.rows():
            kind = row["telemetry"]
            wanted = False
            for index, selectors in self._selectors.get(kind, ()):
                if any(matches(selector, row) for selector in selectors):
                    self._outdated.setdefault((index, piece.agent_id))
                    wanted = True
            if wanted:
                kept[kind].append(row)

    def provisional(self, ledger: Ledger, agents: Sequence[str]) -> list[Outcome]:
        """Return outcomes of the rules whose rows have come, by rule and host.

        Only pairs with new rows are judged again, in turn and while the budget lasts. Absence shows
        at the end only: until then too little was watched.
        """
        while self._outdated and self._budget.is_open:
            index, agent_id = next(iter(self._outdated))
            del self._outdated[index, agent_id]
            with self._budget:
                self._known[index, agent_id] = self._judge(index, agent_id, ledger, MAX_GROUPS)
        wanted = set(agents)
        return [
            outcome for key, outcome in sorted(self._known.items(), key=_pair) if key[1] in wanted
        ]

    def outcomes(
        self, ledger: Ledger, agents: Sequence[str], *, max_groups: int | None = MAX_GROUPS
    ) -> list[Outcome]:
        """Return the outcome of every rule on every host, by rule and host."""
        return [
            self._judge(index, agent_id, ledger, max_groups)
            for index in range(len(self._rules))
            for agent_id in sorted(agents)
        ]

    def _judge(self, index: int, agent_id: str, ledger: Ledger, max_groups: int | None) -> Outcome:
        rows = self._rows.get(agent_id, {})
        return judge(self._rules[index], agent_id, rows, ledger, max_groups=max_groups)


def _by_kind(rules: Sequence[Rule]) -> dict[str, list[tuple[int, list[Selector]]]]:
    """Return, for each telemetry kind, which rules look at it and with which selectors."""
    found: dict[str, list[tuple[int, list[Selector]]]] = defaultdict(list)
    for index, rule in enumerate(rules):
        for kind in rule.telemetry:
            selectors = [item for item in rule.detection.selectors if item.telemetry == kind]
            found[kind].append((index, selectors))
    return found


def _pair(item: tuple[tuple[int, str], Outcome]) -> tuple[int, str]:
    return item[0]
