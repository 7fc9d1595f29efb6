"""Counting: the groups of rows, and how much each had lately.

In: parts of packs. Out: the rows that windows with too much may hold, and their groups. A group is
one number: its host in the upper half, its key in the lower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analyzer.engine.arrays import expanded, plain, run_starts
from analyzer.engine.ids import IdTable
from analyzer.engine.panes import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.engine.arrays import Int64s, Places
    from analyzer.engine.held import Held
    from analyzer.engine.keys import Keys
    from analyzer.engine.measures import Measures
    from analyzer.engine.operations import Operations
    from analyzer.engine.panes import Flagged, PaneTable
    from analyzer.engine.slots import Pending
    from analyzer.engine.snapshot import State
    from analyzer.engine.windows import Frame

_MANY: Final = 65_536  # groups whose numbers may be kept for nothing
_NO_GROUPS: Final = np.zeros(0, np.int64)
_ONE: Final = np.uint64(1), np.uint64(0)


def hosts_of(groups: Int64s) -> Int64s:
    """Return the host of each group."""
    return groups >> 32


class Suspects(NamedTuple):
    """Rows that windows above a limit may hold.

    Attributes:
        places: Which rows of their columns these are, those of a part ascending.
        groups: The group of each.
        early: Groups of which others may have come before, ascending.
        early_us: Where the pane of each begins before which it is one more that matters.
    """

    places: Places
    groups: Int64s
    early: Int64s
    early_us: Int64s


class _Parts(NamedTuple):
    """Rows of parts, as the operations take them.

    Attributes:
        highest: No key is above it.
        places: Which rows of the columns these are; None = all.
    """

    masks: npt.NDArray[np.uint64]
    bits: tuple[np.uint64, np.uint64]
    processes: npt.NDArray[np.uint32]
    keys: npt.NDArray[np.int32]
    highest: int
    starts: Int64s
    stops: Int64s
    places: Places | None


class Counting:
    """The groups of one frame on every host."""

    def __init__(
        self,
        frame: Frame,
        keys: Keys,
        bounds: Sequence[tuple[Measures, int]],
        table: PaneTable,
        operations: Operations,
    ) -> None:
        """Count groups by ``keys`` up to ``bounds``: what is measured, and a limit that matters."""
        self._frame = frame
        self._keys = keys
        self._bounds = bounds
        self._table = table
        self._operations = operations
        self._ids = IdTable(1 + keys.width, operations)
        """Numbers of groups, the host in front, where they are not those of processes."""
        self._live = [np.zeros((0, 4), np.int64) for _ in bounds]
        """By bound a line for each group whose panes matter, ascending by host."""
        self._enough = _MANY

    def state(self) -> State:
        """Return what it holds."""
        return {"ids": self._ids.state(), "live": self._live}

    def load(self, state: State) -> None:
        """Hold what a state says."""
        self._ids.load(state["ids"])
        self._live = state["live"]

    def count(self, held: Held, parts: Places, to_us: Int64s) -> Suspects:
        """Add the rows of parts to the panes of their groups; returns those that may cross.

        What comes next of the host of each part is not before ``to_us``.
        """
        hosts, columns = held.hosts[parts], held.selection.columns
        rows = self._parts(held, parts)
        ts_us = plain(columns.ts_us if rows.places is None else columns.ts_us.take(rows.places))
        found = []
        for number, (measures, limit) in enumerate(self._bounds):
            live = self._live[number]
            first, last = (live[:, 0].searchsorted((hosts + own) << 32) for own in (0, 1))
            amounts = measures.amounts(columns)
            if rows.places is not None:
                values, valid = amounts
                amounts = (
                    values.take(rows.places) if len(values) else values,
                    valid.take(rows.places) if len(valid) else valid,
                )
            flagged = self._table.count(
                rows.masks,
                bits=rows.bits,
                processes=rows.processes,
                keys=rows.keys,
                highest=rows.highest,
                ts_us=ts_us,
                amounts=amounts,
                parts=np.column_stack((hosts, rows.starts, rows.stops, first, last, to_us)),
                within_us=self._frame.within_us,
                limit=limit,
                live=live,
                operations=self._operations,
            )
            others = live[~np.isin(hosts_of(live[:, 0]), hosts)]
            whole = np.concatenate((others, flagged.live))
            self._live[number] = whole[np.argsort(hosts_of(whole[:, 0]), kind="stable")]
            found.append(flagged)
        return _suspects(found, rows.places)

    def rows_of(self, held: Held, parts: Places, groups: Int64s) -> tuple[Places, Places]:
        """Return which rows of parts are of some groups, and which of these each is of."""
        rows = self._parts(held, parts)
        wanted = IdTable(1, self._operations)
        wanted.enter(groups.reshape(-1, 1))
        places, numbers = wanted.find_groups(
            rows.masks,
            rows.processes,
            bits=rows.bits,
            keys=rows.keys,
            parts=(rows.starts, rows.stops, held.hosts[parts]),
        )
        return places if rows.places is None else rows.places[places], numbers

    def renumber(self, pending: Pending | None) -> None:
        """Number only the groups that matter, those of pending rows too, once many others have."""
        if len(self._ids) < self._enough:
            return
        waiting = _NO_GROUPS if pending is None else pending.ids
        numbers = np.unique(np.concatenate([*(live[:, 0] for live in self._live), waiting]) & KEY)
        keys = self._ids.keys[numbers]
        self._ids = IdTable(keys.shape[1], self._operations)
        self._ids.enter(keys)

        def renumbered(groups: Int64s) -> Int64s:
            return hosts_of(groups) << 32 | np.searchsorted(numbers, groups & KEY)

        for live in self._live:
            live[:, 0] = renumbered(live[:, 0])
        if pending is not None:
            pending.ids = renumbered(pending.ids)
        self._enough = _MANY + 4 * len(numbers)

    def _parts(self, held: Held, parts: Places) -> _Parts:
        selection = held.selection
        keys, bits = self._keys.of_processes, selection.direct(self._frame.selector)
        starts, stops = held.starts[parts], held.stops[parts]
        if keys is not None and bits is not None:
            processes = plain(selection.columns.process)
            return _Parts(selection.masks, bits, processes, keys, len(keys), starts, stops, None)
        places = selection.places(self._frame.selector)
        own, owners = expanded(places.searchsorted(starts), places.searchsorted(stops))
        places = places[own]
        hosts = held.hosts[parts][owners]
        groups = self._ids.enter(np.column_stack((hosts, self._keys.of(selection.columns, places))))
        edges = np.searchsorted(owners, np.arange(len(parts) + 1))
        return _Parts(
            np.ones(len(places), np.uint64),
            _ONE,
            np.arange(len(places), dtype=np.uint32),
            groups.astype(np.int32),
            len(self._ids),
            edges[:-1],
            edges[1:],
            places,
        )


def _suspects(found: Sequence[Flagged], places: Places | None) -> Suspects:
    """Return what counting by several bounds found, where rows are some of their columns."""
    rows = found[0].rows if len(found) == 1 else np.concatenate([own.rows for own in found])
    early = np.concatenate([own.early for own in found])
    if len(found) > 1:
        rows = rows[np.unique(rows[:, 0], return_index=True)[1]]
    early = early[np.lexsort((early[:, 1], early[:, 0]))]
    early = early[run_starts(early[:, 0])]
    at = rows[:, 0] if places is None else places[rows[:, 0]]
    return Suspects(at, rows[:, 1].copy(), early[:, 0].copy(), early[:, 1].copy())
