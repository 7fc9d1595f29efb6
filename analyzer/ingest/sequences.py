"""Which sequence numbers of a stream are durable: a contiguous mark and the ranges above it.

In: numbers from 1 in any order, doubles included. Out: what an ack says, and the gaps.
"""

from __future__ import annotations

from bisect import bisect_right


class Sequences:
    """A set of sequence numbers, kept as merged ranges."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        """Start with none."""
        self._ranges: list[list[int]] = []  # sorted, disjoint, not adjacent; both ends included

    def __contains__(self, sequence: int) -> bool:
        """Tell whether a number is in the set."""
        index = self._index(sequence)
        return index >= 0 and sequence <= self._ranges[index][1]

    def add(self, sequence: int) -> bool:
        """Add a number; return False if it was there already."""
        index = self._index(sequence)
        if index >= 0 and sequence <= self._ranges[index][1]:
            return False
        joins_left = index >= 0 and self._ranges[index][1] == sequence - 1
        right = index + 1
        joins_right = right < len(self._ranges) and self._ranges[right][0] == sequence + 1
        if joins_left and joins_right:
            self._ranges[index][1] = self._ranges.pop(right)[1]
        elif joins_left:
            self._ranges[index][1] = sequence
        elif joins_right:
            self._ranges[right][0] = sequence
        else:
            self._ranges.insert(right, [sequence, sequence])
        return True

    @property
    def high(self) -> int:
        """Return the last number of the contiguous start 1, 2, 3 …; 0 if 1 is missing."""
        return self._ranges[0][1] if self._ranges and self._ranges[0][0] == 1 else 0

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Return the ranges above ``high``, both ends included."""
        above = self._ranges[1:] if self.high else self._ranges
        return [(low, high) for low, high in above]

    @property
    def missing(self) -> int:
        """Return how many numbers below the greatest one are not there."""
        if not self._ranges:
            return 0
        return self._ranges[-1][1] - sum(high - low + 1 for low, high in self._ranges)

    def _index(self, sequence: int) -> int:
        """Return the last range that starts at or before ``sequence``, -1 if none does."""
        return bisect_right(self._ranges, sequence, key=lambda item: item[0]) - 1
