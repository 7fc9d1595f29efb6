"""Panes: how much each group of each host had lately, a window's length at a time.

In: rows of a slice. Out: the groups that may have had more in some window than a limit. Only groups
whose panes still matter are kept, in one small array, so that dead ones cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.engine.arrays import Int64s, UInt64s
    from analyzer.engine.operations import Operations

    Int32s = npt.NDArray[np.int32]

MOST: Final = 2**61  # more than any limit of interest; two of them fit 64 bits
_SMALLEST: Final = 1_024  # lines of a table


class PaneTable:
    """Memory in which the panes of one slice are counted; hosts and rules take turns."""

    def __init__(self) -> None:
        """Start small."""
        self._grow(_SMALLEST)

    def count(
        self,
        masks: UInt64s,
        *,
        bits: tuple[np.uint64, np.uint64],
        processes: npt.NDArray[np.uint32],
        keys: Int32s,
        ts_us: Int64s,
        amounts: tuple[Int64s, npt.NDArray[np.uint8]],
        parts: Int64s,
        within_us: int,
        limit: int,
        live: Int64s,
        operations: Operations,
    ) -> tuple[Int64s, Int64s]:
        """Return the lines of the parts that are still live, and the groups above ``limit``.

        Arguments are those of ``window_twins.count_in_panes``.
        """
        while True:
            lines, above = operations.count_in_panes(
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
                self._table,
                self._over,
                self._used,
                self._left,
                self._found,
            )
            if lines >= 0:
                return self._left[:lines].copy(), self._found[:above].copy()
            self._grow(4 * len(self._table))

    def _grow(self, size: int) -> None:
        self._table = np.full((size, 4), -1, np.int64)
        self._over = np.zeros(size, np.uint8)
        self._used = np.empty(size, np.int64)
        self._left = np.empty((size, 4), np.int64)
        self._found = np.empty(size, np.int64)
