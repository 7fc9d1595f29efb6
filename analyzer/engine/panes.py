"""Panes: how much each group of each host had lately, a window's length at a time.

In: rows of a slice. Out: the rows that some window may hold which has more than a limit. Only
groups whose panes still matter are kept, in one small array, so that dead ones cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.engine.arrays import Int64s, UInt64s
    from analyzer.engine.operations import Operations

    Int32s = npt.NDArray[np.int32]

MOST: Final = 2**61  # more than any limit of interest; two of them fit 64 bits
KEY: Final = 0xFFFF_FFFF  # of a group: the half that is no host
_SMALLEST: Final = 1_024  # groups
_ROWS: Final = 16  # that may be found, for each of these groups


class Flagged(NamedTuple):
    """What counting finds.

    Attributes:
        live: A line per group that still matters: its number, where its last pane starts, what that
            holds and what the pane before it holds.
        rows: int64[row, 2]: rows that a window above the limit may hold, and their groups.
        early: int64[group, 2]: groups of which such rows may have come before, and their first pane
            above the limit.
    """

    live: Int64s
    rows: Int64s
    early: Int64s


class PaneTable:
    """Memory in which the panes of one slice are counted; hosts and rules take turns."""

    def __init__(self) -> None:
        """Start small."""
        self._numbers: Int32s = np.empty(0, np.int32)
        self._slots: Int32s = np.empty(0, np.int32)
        self._flags: Int64s = np.empty((0, 2), np.int64)
        self._grow(_SMALLEST)

    def count(
        self,
        masks: UInt64s,
        *,
        bits: tuple[np.uint64, np.uint64],
        processes: npt.NDArray[np.uint32],
        keys: Int32s,
        highest: int,
        ts_us: Int64s,
        amounts: tuple[Int64s, npt.NDArray[np.uint8]],
        parts: Int64s,
        within_us: int,
        limit: int,
        live: Int64s,
        operations: Operations,
    ) -> Flagged:
        """Return what counting the rows of parts finds.

        Arguments are those of ``window_twins.flag_in_panes``; no key is above ``highest``.
        """
        known = max(highest, int((live[:, 0] & KEY).max(initial=0)))
        if known >= len(self._numbers):
            self._numbers = np.full(2 * known + 1, -1, np.int32)
        longest = int((parts[:, 2] - parts[:, 1]).max(initial=0))
        if longest > len(self._slots):
            self._slots = np.empty(longest, np.int32)
            self._flags = np.empty((longest, 2), np.int64)
        while True:
            lines, rows, early = operations.flag_in_panes(
                masks,
                *bits,
                processes,
                keys,
                ts_us,
                *amounts,
                parts,
                within_us,
                limit,
                MOST,
                live,
                self._numbers,
                self._lines,
                self._slots,
                self._flags,
                self._left,
                self._found,
                self._early,
            )
            if lines >= 0:
                live, found = self._left[:lines].copy(), self._found[:rows].copy()
                return Flagged(live, found, self._early[:early].copy())
            self._grow(4 * len(self._lines))

    def _grow(self, size: int) -> None:
        self._lines = np.empty((size, 5), np.int64)
        self._left = np.empty((size, 4), np.int64)
        self._found = np.empty((_ROWS * size, 2), np.int64)
        self._early = np.empty((size, 2), np.int64)
