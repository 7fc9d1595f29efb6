"""Minutes: how many rows of each group came in each minute, which buckets are folded from.

In: counts of groups by minute, in any order. Out: for a group its counts by minute.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import expanded, of_groups, run_starts

if TYPE_CHECKING:
    from analyzer.engine.arrays import Int64s, Places
    from analyzer.engine.snapshot import State

_SPARE: Final = 1_024  # counts that may wait to be added up


class Minutes:
    """How many rows of each group came in each minute."""

    def __init__(self) -> None:
        """Start without rows."""
        self._parts: list[tuple[Int64s, Int64s, Int64s]] = []
        self._count = 0
        self._kept = 0

    def add(self, groups: Int64s, minutes: Int64s, counts: Int64s) -> None:
        """Add counts."""
        self._parts.append((groups, minutes, counts))
        self._count += len(groups)
        if self._count > 2 * self._kept + _SPARE:
            self._add_up()

    def of(self, groups: Places) -> dict[int, dict[int, int]]:
        """Return the counts of some groups by minute."""
        if not self._parts:
            return {}
        self._add_up()
        own, minutes, counts = self._parts[0]
        starts = np.searchsorted(own, groups, side="left")
        ends = np.searchsorted(own, groups, side="right")
        places, _ = expanded(starts, ends)
        pairs = zip(minutes[places].tolist(), counts[places].tolist(), strict=True)
        lengths = (ends - starts).tolist()
        return {
            group: dict(islice(pairs, length))
            for group, length in zip(groups.tolist(), lengths, strict=True)
        }

    def copy_to(self, other: Minutes, groups: Places, new: Int64s) -> None:
        """Give the counts of some ascending groups to others."""
        if self._parts:
            self._add_up()
            own, minutes, counts = self._parts[0]
            places, owners = of_groups(own, groups)
            other.add(new[owners], minutes[places], counts[places])

    def state(self) -> State:
        """Return what it holds."""
        if not self._parts:
            return {}
        self._add_up()
        groups, minutes, counts = self._parts[0]
        return {"groups": groups, "minutes": minutes, "counts": counts}

    def load(self, state: State) -> None:
        """Hold what a state says."""
        if state:
            self._parts = [(state["groups"], state["minutes"], state["counts"])]
            self._count = self._kept = len(state["groups"])

    def _add_up(self) -> None:
        if len(self._parts) == 1 and self._kept == self._count:
            return
        groups, minutes, counts = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = np.lexsort((minutes, groups))
        groups, minutes, counts = groups[order], minutes[order], counts[order]
        starts = run_starts(groups, minutes)
        if len(starts):
            counts = np.add.reduceat(counts, starts)
        self._parts = [(groups[starts], minutes[starts], counts)]
        self._count = self._kept = len(starts)
