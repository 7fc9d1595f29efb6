"""Ids: dense numbers of keys, in the order in which the keys first came.

In: rows of int64. Out: one number per row; equal rows have equal numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from analyzer.engine.arrays import Int64s, UInt64s
    from analyzer.engine.operations import Operations
    from analyzer.engine.snapshot import State

    Slots = npt.NDArray[np.int32]

_SMALLEST: Final = 64  # keys a table has room for at first


class IdTable:
    """Numbers of keys of one width: a hash table with open addresses, at most half full."""

    def __init__(self, width: int, operations: Operations) -> None:
        """Start empty."""
        self._operations = operations
        self._keys: Int64s = np.zeros((_SMALLEST, width), np.int64)
        self._slots: npt.NDArray[np.int32] = np.full(2 * _SMALLEST, -1, np.int32)
        self._count = 0

    def __len__(self) -> int:
        """Return how many keys are known."""
        return self._count

    @property
    def keys(self) -> Int64s:
        """Return every key by number, int64[number, width]."""
        return self._keys[: self._count]

    def enter(self, keys: Int64s) -> Int64s:
        """Return the number of each key; new ones are entered."""
        found = np.empty(len(keys), np.int64)
        enter = self._operations.enter_keys
        self.filled(
            lambda known, slots, count, start: enter(keys, known, slots, count, found, start),
            len(keys),
        )
        return found

    def find(self, keys: Int64s) -> Int64s:
        """Return the number of each key, -1 of those that are not known."""
        found = np.empty(len(keys), np.int64)
        self._operations.find_keys(keys, self._keys, self._slots, self._count, found)
        return found

    def find_groups(
        self,
        masks: UInt64s,
        processes: npt.NDArray[np.uint32],
        *,
        bits: tuple[np.uint64, np.uint64],
        keys: npt.NDArray[np.int32],
        parts: tuple[Int64s, Int64s, Int64s],
    ) -> tuple[Int64s, Int64s]:
        """Return which rows of some parts are of known groups, and the numbers of these.

        Args:
            masks: The bits of all rows.
            processes: The process of each.
            bits: One of these, and none of those, must a row have.
            keys: The key of each process; below the host's number it is the group.
            parts: Where each begins, where it ends, and its host.
        """
        size = int((parts[1] - parts[0]).sum())
        places, ids = (self._operations.room(number, size) for number in range(2))
        count = self._operations.find_groups(
            masks, *bits, processes, keys, *parts, self._keys, self._slots, places, ids
        )
        return places[:count].copy(), ids[:count].copy()

    def state(self) -> State:
        """Return what it holds."""
        return {"keys": self.keys}

    def load(self, state: State) -> None:
        """Hold what a state says, in a table that is empty."""
        self.enter(state["keys"])

    def filled(self, fill: Callable[[Int64s, Slots, int, int], tuple[int, int]], stop: int) -> None:
        """Let an operation enter keys until it has come to row ``stop``.

        Args:
            fill: Takes the keys, the slots, how many keys are known and the row to start at;
                returns how many are known then and where it stopped for want of room.
            stop: Where there are no more rows.
        """
        start, before = 0, self._count
        while True:
            self._count, start = fill(self._keys, self._slots, self._count, start)
            if start == stop:
                return
            # As many of those to come as of those that came: entering all of them anew costs more.
            coming = (self._count - before) * (stop - start) // max(1, start)
            self._grow(max(4 * self._count, self._count + coming))

    def _grow(self, room: int) -> None:
        known = self.keys
        self._keys = np.zeros((1 << (room - 1).bit_length(), known.shape[1]), np.int64)
        self._slots = np.full(2 * len(self._keys), -1, np.int32)
        self._operations.enter_keys(
            known, self._keys, self._slots, 0, np.empty(len(known), np.int64), 0
        )
