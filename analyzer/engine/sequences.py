"""Sequences: rules that fire for a ``then`` row that follows a ``first`` row soon enough.

In: the rows of both selectors, of many slices and hosts at a time. Out: a group per key.

Both selectors' rows wait among the survivors until there are many, so pairs are looked for in one
go. Where a ``then`` selector accepts too many rows for that, ``Candidates`` picks those whose key
some ``first`` row has had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import elapsed, expanded, grown
from analyzer.engine.ids import IdTable
from analyzer.engine.snapshot import columns_of, columns_state, decided_of, decided_state
from analyzer.engine.survivors import Found
from analyzer.engine.tally import Tally
from analyzer.telemetry.slices import concatenated
from rules.telemetry.kinds import INT64_MIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.engine.absence import Side
    from analyzer.engine.arrays import Bools, Int64s, Places
    from analyzer.engine.keys import Keys
    from analyzer.engine.operations import Operations
    from analyzer.engine.snapshot import State
    from analyzer.engine.tally import Fired, Hosts
    from analyzer.telemetry.dictionary import Dictionary

_SPARE: Final = 4_096  # ``first`` rows that may be kept longer than they matter


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows with their match keys, the host in front; none of the keys has a null.

    Attributes:
        groups: The group in which each has fired as a ``then`` row; -1 = none, or not asked for.
    """

    found: Found
    keys: Int64s
    groups: Int64s

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, places: Places | Bools) -> _Rows:
        found = self.found
        rows = found.rows.take(places)
        found = Found(found.hosts[places], found.serials[places], rows)
        return _Rows(found, self.keys[places], self.groups[places])

    @classmethod
    def of(cls, side: Side, found: Found) -> _Rows | None:
        """Return the rows of a side that have a key."""
        complete = side.keys.complete(found.rows)
        if not complete.any():
            return None
        keys = np.hstack((found.hosts[:, None], side.keys.of(found.rows)))
        rows = cls(found, keys, np.full(len(keys), -1))
        return rows if complete.all() else rows.take(complete)

    @classmethod
    def joined(cls, parts: Sequence[_Rows]) -> _Rows:
        """Return the rows of several parts of one kind."""
        if len(parts) == 1:
            return parts[0]
        found = Found(
            np.concatenate([part.found.hosts for part in parts]),
            np.concatenate([part.found.serials for part in parts]),
            concatenated([part.found.rows for part in parts]),
        )
        keys = np.concatenate([part.keys for part in parts])
        return cls(found, keys, np.concatenate([part.groups for part in parts]))


@dataclass(frozen=True, slots=True)
class _Firsts:
    """``first`` rows by match key and time.

    Attributes:
        order: Where each stood before.
        ordered: Match key and time of each in one number, ascending.
    """

    rows: _Rows
    ts_us: Int64s
    order: Places
    ordered: Int64s
    times: Int64s

    @classmethod
    def of(cls, rows: _Rows, ids: Int64s) -> _Firsts:
        ts_us = rows.found.rows.ts_us
        times = np.unique(ts_us)
        ordered = ids * (len(times) + 1) + np.searchsorted(times, ts_us)
        order = np.argsort(ordered, kind="stable")
        return cls(rows, ts_us[order], order, ordered[order], times)

    def before(self, ids: Int64s, ts_us: Int64s) -> Int64s:
        """Return how many rows stand before a moment of a match key."""
        places = ids * (len(self.times) + 1) + np.searchsorted(self.times, ts_us)
        return np.searchsorted(self.ordered, places)


@dataclass(frozen=True, slots=True)
class _Fired:
    """``then`` rows that follow some of the ``first`` rows.

    Attributes:
        starts: Where the ``first`` rows begin that it follows.
        ends: Where they end.
    """

    rows: _Rows
    starts: Int64s
    ends: Int64s


class Sequences:
    """One sequence rule on every host.

    Attributes:
        first: Selects the rows that arm it.
        then: Selects the rows that may follow.
        within_us: How soon they must.
    """

    def __init__(
        self,
        first: Side,
        then: Side,
        within_us: int,
        group_keys: Keys,
        operations: Operations,
    ) -> None:
        """Look for rows of ``then`` that follow one of ``first`` within ``within_us``."""
        self.first = first
        self.then = then
        self.within_us = within_us
        self._operations = operations
        self._tally = Tally(group_keys, operations)
        self._firsts: list[_Rows] = []
        self._kept = 0
        self._thens: list[_Rows] = []
        self._pairs = IdTable(2 + first.keys.width, operations)
        """Groups and match keys in which a ``then`` row has fired."""
        self._taken_us: Int64s = np.zeros(0, np.int64)
        """The last of them by pair: earlier ``first`` rows are evidence already."""
        self._decided: dict[int, tuple[tuple[int, int], int]] = {}

    def collect_first(self, found: Found) -> None:
        """Take ``first`` rows."""
        rows = _Rows.of(self.first, found)
        if rows is not None:
            self._firsts.append(rows)

    def collect_then(self, found: Found) -> None:
        """Take ``then`` rows, at least those that follow a ``first`` row."""
        rows = _Rows.of(self.then, found)
        if rows is not None:
            self._thens.append(rows)

    def settle(self, progress_us: Int64s) -> None:
        """Look for pairs, now that all rows before ``progress_us`` of each host were taken."""
        if self._thens and self._firsts:
            firsts, thens = _Rows.joined(self._firsts), _Rows.joined(self._thens)
            self._firsts = [firsts]
            self._pair(firsts, thens)
        self._thens = []
        waiting = sum(map(len, self._firsts))
        if waiting > 2 * self._kept + _SPARE:
            self._firsts = [_Rows.joined(self._firsts)]
            self._expire(progress_us)

    def waiting(self) -> Iterator[Found]:
        """Yield the ``first`` rows that later rows may follow."""
        for rows in self._firsts:
            yield rows.found

    def groups(self, place: int, hosts: Hosts, max_groups: int | None) -> Fired:
        """Return the findings on some hosts."""
        del place
        return self._tally.results(self._tally.of_hosts(hosts), hosts, max_groups, self._decided)

    def touched(self) -> list[tuple[int, int]]:
        """Return on which hosts more counts since the last call."""
        return [(0, host) for host in self._tally.touched()]

    def state(self) -> State:
        """Return what it holds."""
        firsts = _Rows.joined(self._firsts) if self._firsts else None
        return {
            "tally": self._tally.state(),
            "firsts": None
            if firsts is None
            else {
                "hosts": firsts.found.hosts,
                "serials": firsts.found.serials,
                "rows": columns_state(firsts.found.rows),
                "keys": firsts.keys,
                "groups": firsts.groups,
            },
            "pairs": self._pairs.state(),
            "taken_us": self._taken_us[: len(self._pairs)],
            "decided": decided_state(self._decided),
        }

    def load(self, state: State, dictionary: Dictionary) -> None:
        """Hold what a state says."""
        self._tally.load(state["tally"], dictionary)
        self._pairs.load(state["pairs"])
        self._taken_us = state["taken_us"]
        self._decided = decided_of(state["decided"])
        own = state["firsts"]
        if own is not None:
            found = Found(own["hosts"], own["serials"], columns_of(own["rows"], dictionary))
            self._firsts = [_Rows(found, own["keys"], own["groups"])]

    def _expire(self, progress_us: Int64s) -> None:
        """Let go of ``first`` rows that no later row can follow soon enough."""
        (rows,) = self._firsts
        ts_us = rows.found.rows.ts_us
        now_us = np.maximum(progress_us[rows.found.hosts], ts_us)
        near = elapsed(ts_us, now_us) <= self.within_us
        self._firsts = [rows.take(near)] if near.any() else []
        self._kept = int(np.count_nonzero(near))

    def _pair(self, firsts: _Rows, thens: _Rows) -> None:
        known = IdTable(1 + self.first.keys.width, self._operations)
        own = known.enter(firsts.keys)
        ids = known.find(thens.keys)
        met = np.flatnonzero(ids >= 0)
        if not len(met):
            return
        thens, ids = thens.take(met), ids[met]
        by_key = _Firsts.of(firsts, own)
        then_us = thens.found.rows.ts_us
        low = then_us < INT64_MIN + self.within_us
        opened = np.where(low, INT64_MIN, np.where(low, 0, then_us) - self.within_us)
        starts, ends = by_key.before(ids, opened), by_key.before(ids, then_us)
        follows = starts < ends
        if follows.any():
            self._count(by_key, _Fired(thens.take(follows), starts[follows], ends[follows]))

    def _count(self, firsts: _Firsts, fired: _Fired) -> None:
        groups = self._tally.add(fired.rows.found.hosts, fired.rows.found.rows)
        self._decide(groups, fired, firsts)
        if self.first.kind == self.then.kind:
            _mark(firsts.rows, fired.rows, groups)
        self._show(groups, fired, firsts)

    def _decide(self, groups: Int64s, fired: _Fired, firsts: _Firsts) -> None:
        """Note the first pair of each group, of several at one moment the closest."""
        then_us = fired.rows.found.rows.ts_us
        gaps = elapsed(firsts.ts_us[fired.ends - 1], then_us)
        order = np.lexsort((gaps, then_us, groups))
        of, firsts_of = np.unique(groups[order], return_index=True)
        for group, row in zip(of.tolist(), order[firsts_of].tolist(), strict=True):
            if group not in self._decided:
                end_us, gap_us = int(then_us[row]), int(gaps[row])
                self._decided[group] = (end_us - gap_us, end_us), gap_us

    def _show(self, groups: Int64s, fired: _Fired, firsts: _Firsts) -> None:
        """Make the ``first`` rows of new pairs evidence: each once in a group."""
        pairs = self._pairs.enter(np.column_stack((groups, fired.rows.keys)))
        self._taken_us = grown(self._taken_us, len(self._pairs), INT64_MIN)
        then_us = fired.rows.found.rows.ts_us
        order = np.lexsort((then_us, pairs))
        own, then_us, groups = pairs[order], then_us[order], groups[order]
        starts, ends = fired.starts[order], fired.ends[order]
        same = own[1:] == own[:-1]
        # Times only grow, so the rows that an earlier pair took end where it ended.
        starts[1:] = np.where(same, np.maximum(starts[1:], ends[:-1]), starts[1:])
        rows, owners = expanded(starts, ends)
        fresh = firsts.ts_us[rows] >= self._taken_us[own[owners]]
        fresh &= firsts.rows.groups[firsts.order[rows]] != groups[owners]
        rows, owners = rows[fresh], owners[fresh]
        if len(rows):
            shown = firsts.rows.found.rows.take(firsts.order[rows])
            self._tally.show(groups[owners], shown)
        self._taken_us[own] = then_us  # of equal pairs the last one stays


def _mark(firsts: _Rows, fired: _Rows, groups: Int64s) -> None:
    """Note in which group a ``first`` row has fired as a ``then`` row itself."""
    order = np.argsort(fired.found.serials)
    serials = fired.found.serials[order]
    at = np.minimum(np.searchsorted(serials, firsts.found.serials), len(serials) - 1)
    same = serials[at] == firsts.found.serials
    firsts.groups[same] = groups[order][at[same]]
