"""Evidence: the rows that a finding may show, as columns, bounded per group.

In: rows with their groups, in any order. Out: for a group at least the rows that
``first_and_last`` would choose among all that ever came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import of_groups, run_lengths, run_starts
from analyzer.engine.snapshot import columns_of, columns_state
from analyzer.telemetry.slices import concatenated
from rules.outcome import EVIDENCE_ENDS
from rules.telemetry.ndjson import encode_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.engine.arrays import Bools, Int64s, Places
    from analyzer.engine.snapshot import State
    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.slices import Columns
    from rules.telemetry.batch import Row

_SPARE: Final = 1_024  # rows that may wait for the next cut, whatever was kept
_TIES: Final = 64  # rows of one moment that a group may keep before their text decides


class Evidence:
    """Candidate rows of the groups of one rule, all of one telemetry kind."""

    def __init__(self) -> None:
        """Start without rows."""
        self._parts: list[Columns] = []
        self._groups: list[Int64s] = []
        self._count = 0
        self._kept = 0

    def add(self, groups: Int64s, rows: Columns) -> None:
        """Take rows, each of a group."""
        if len(rows):
            self._parts.append(rows)
            self._groups.append(groups)
            self._count += len(rows)
            if self._count > 2 * self._kept + _SPARE:
                self._cut()

    def rows(self, groups: Places) -> dict[int, list[Row]]:
        """Return the candidates of some ascending groups; the name of their host is empty."""
        found: dict[int, list[Row]] = {}
        if not self._count:
            return found
        self._cut()
        places, owners = of_groups(self._groups[0], groups)
        if not len(places):
            return found
        # All at once: what it costs to make rows does not depend on their number alone.
        names = groups[owners].tolist()
        first, last = int(places[0]), int(places[-1])
        follow = last - first + 1 == len(places)
        own = self._parts[0].take(slice(first, last + 1) if follow else places)
        for group, row in zip(names, own.rows(""), strict=True):
            found.setdefault(group, []).append(row)
        return found

    def copy_to(self, other: Evidence, groups: Places, new: Int64s) -> None:
        """Give the candidates of some ascending groups to others."""
        if self._count:
            self._cut()
            places, owners = of_groups(self._groups[0], groups)
            other.add(new[owners], self._parts[0].take(places))

    def state(self) -> State:
        """Return what it holds."""
        if not self._count:
            return {}
        self._cut()
        return {"groups": self._groups[0], "rows": columns_state(self._parts[0])}

    def load(self, state: State, dictionary: Dictionary) -> None:
        """Hold what a state says."""
        if state:
            self._groups = [state["groups"]]
            self._parts = [columns_of(state["rows"], dictionary)]
            self._count = self._kept = len(self._groups[0])

    def _cut(self) -> None:
        """Keep what may still be shown, by group and time."""
        if len(self._parts) == 1 and self._kept == self._count:
            return
        rows = concatenated(self._parts)
        groups = np.concatenate(self._groups)
        order = np.lexsort((rows.ts_us, groups))
        groups = groups[order]
        kept = _ends(groups, rows.ts_us[order])
        groups, rows = groups[kept], rows.take(order[kept])
        fits = _few_ties(groups, rows)
        if fits is not None:
            groups, rows = groups[fits], rows.take(fits)
        self._parts, self._groups = [rows], [groups]
        self._count = self._kept = len(rows)


def ends_of(groups: Int64s, ts_us: Int64s) -> Places:
    """Return which rows are among the first or last of their group, those of equal time too."""
    order = np.lexsort((ts_us, groups))
    return order[_ends(groups[order], ts_us[order])]


def _ends(groups: Int64s, ts_us: Int64s) -> Bools:
    """Return which rows are among the first or last of their group, those of equal time too."""
    starts = run_starts(groups)
    lengths = run_lengths(starts, len(groups))
    early = np.minimum(lengths, EVIDENCE_ENDS) - 1
    head_us = np.repeat(ts_us[starts + early], lengths)
    tail_us = np.repeat(ts_us[starts + lengths - 1 - early], lengths)
    return (ts_us <= head_us) | (ts_us >= tail_us)


def _few_ties(groups: Int64s, rows: Columns) -> Places | None:
    """Return the places to keep where groups hold many rows of one moment; None = all."""
    starts = run_starts(groups, rows.ts_us)
    lengths = run_lengths(starts, len(groups))
    crowded = np.flatnonzero(lengths > _TIES)
    if not len(crowded):
        return None
    keep = np.ones(len(groups), np.bool_)
    for run in crowded.tolist():
        start, end = int(starts[run]), int(starts[run] + lengths[run])
        # The host's name is the same in all of them, so it does not change their order.
        texts = [encode_row(row) for row in rows.take(slice(start, end)).rows("")]
        order = sorted(range(end - start), key=texts.__getitem__)
        keep[[start + place for place in order[EVIDENCE_ENDS:-EVIDENCE_ENDS]]] = False
    return np.flatnonzero(keep)


def by_kind(kinds: Mapping[str, Evidence], groups: Places) -> dict[int, list[Row]]:
    """Return the candidates of some ascending groups over every kind."""
    found: dict[int, list[Row]] = {group: [] for group in groups.tolist()}
    for evidence in kinds.values():
        for group, rows in evidence.rows(groups).items():
            found[group].extend(rows)
    return found
