"""Slots: windows of one measure, looked at row by row; and the rows that wait for that.

In: rows of suspect groups. Out: which of them are inside windows that cross, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.engine import window_twins
from analyzer.engine.ids import IdTable
from analyzer.engine.measures import NUMBERS
from analyzer.engine.panes import MOST
from rules.telemetry.kinds import INT64_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.engine.arrays import Bools, Int64s
    from analyzer.engine.measures import Measures
    from analyzer.engine.operations import Operations
    from analyzer.engine.snapshot import State


class Slot:
    """Rules of a frame that measure the same and differ in their limit alone.

    Attributes:
        places: Of its rules in the frame.
        least: The smallest of its limits, no more than a bound can tell.
    """

    def __init__(self, number: int, measures: Measures, limits: Sequence[int], first: int) -> None:
        """Be slot ``number``, whose rules start at place ``first`` and have ``limits``."""
        self.number = number
        self.measures = measures
        self.places = slice(first, first + len(limits))
        self.least = min(*limits, MOST - 1)
        self._exact = np.array(limits, np.object_)
        self._limits = np.array([min(limit, INT64_MAX) for limit in limits], np.int64)

    def cross(
        self,
        pending: Pending,
        ids: Int64s,
        parts: tuple[Int64s, Int64s, Int64s],
        within_us: int,
        operations: Operations,
    ) -> Crossings | None:
        """Return what crosses in parts of rows with some groups.

        Args:
            pending: The rows, host after host.
            ids: Dense numbers of their groups.
            parts: Where each host's begin, where those that are new begin, and where they end.
            within_us: Length of the windows.
            operations: The loops.
        """
        values, sizes = pending.values[self.number], 0
        if self.measures.measure == "distinct":
            there = pending.there[self.number]
            table = IdTable(2, operations)
            pairs = table.enter(np.column_stack((ids[there], values[there])))
            values = np.full(len(ids), -1)
            values[there] = pairs
            sizes = len(table)
        shape = int(ids.max()) + 1, len(self._limits)
        emitted = np.ascontiguousarray(pending.emitted[:, self.places])
        found = Crossings(emitted, np.full(shape, -1, np.int64), np.zeros(shape, np.int64))
        cross = operations.cross
        limits: npt.NDArray[Any] = self._limits
        if self.measures.measure == "sum" and not _fits(values):
            cross, limits = window_twins.cross, self._exact
            found.held = found.held.astype(np.object_)
        marked = cross(
            pending.ts_us,
            ids,
            values,
            NUMBERS[self.measures.measure],
            *parts,
            within_us,
            limits,
            found.emitted,
            found.rows,
            found.held,
            np.empty((2, len(found.rows)), np.int64),
            np.empty((2, len(ids)), np.int64),
            np.empty(sizes, np.int64),
        )
        return found if marked else None


def _fits(values: Int64s) -> bool:
    """Tell whether 64 bits hold every sum of some of the values."""
    return float(np.abs(values.astype(np.float64)).sum()) < MOST


@dataclass(slots=True)
class Crossings:
    """What crosses, by group and rule.

    Attributes:
        emitted: uint8[row, rule]: 2 where a rule counts the row now.
        rows: int64[group, rule]: a row of the first moment that crosses; -1 = none does.
        held: What the window holds that ends there.
    """

    emitted: npt.NDArray[np.uint8]
    rows: Int64s
    held: npt.NDArray[Any]


@dataclass(slots=True)
class Pending:
    """Rows of suspect groups that windows of later rows may hold.

    Attributes:
        ids: The group of each.
        serials: The number of each among the rows of its kind.
        values: By slot: what is measured of each.
        there: By slot: whether there is such a value.
        emitted: uint8[row, rule]: whether a rule has counted the row.
    """

    ts_us: Int64s
    ids: Int64s
    serials: Int64s
    values: list[Int64s]
    there: list[Bools]
    emitted: npt.NDArray[np.uint8]

    def take(self, places: npt.NDArray[Any]) -> Pending:
        """Return some of the rows."""
        return Pending(
            self.ts_us[places],
            self.ids[places],
            self.serials[places],
            [values[places] if len(values) else values for values in self.values],
            [there[places] if len(there) else there for there in self.there],
            self.emitted[places],
        )

    def state(self) -> State:
        """Return what it holds."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def by_time(self) -> Pending:
        """Return the rows host after host, those of each by time."""
        return self.take(np.lexsort((self.ts_us, self.ids >> 32)))

    @classmethod
    def joined(cls, parts: Sequence[Pending]) -> Pending:
        """Return the rows of at least one part."""
        if len(parts) == 1:
            return parts[0]
        slots = range(len(parts[0].values))
        return cls(
            np.concatenate([part.ts_us for part in parts]),
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.serials for part in parts]),
            [np.concatenate([part.values[slot] for part in parts]) for slot in slots],
            [np.concatenate([part.there[slot] for part in parts]) for slot in slots],
            np.concatenate([part.emitted for part in parts]),
        )
