"""Windows: what a threshold measures, window by window.

In: a threshold and the rows of one group by time. Out: every window (t - within, t] that ends at a
row's time, with what it holds. Part of the definition of what rules mean, like ``rules.matching``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rules.columns import Value
from rules.detection import ThresholdDetection
from rules.telemetry.batch import Row


class Window(NamedTuple):
    """The rows ``ordered[start:stop]``, and the count, values or sum that they come to."""

    from_us: int
    to_us: int
    start: int
    stop: int
    measured: int

    @property
    def span(self) -> tuple[int, int]:
        """Return from when to when; the first moment is outside, the last one inside."""
        return (self.from_us, self.to_us)


def windows(detection: ThresholdDetection, ordered: Sequence[Row]) -> Iterator[Window]:
    """Yield one window for each distinct time of rows, which stand in the order of time.

    A window holds all rows of its last moment: equal times are in the same window.
    """
    tally = _Tally(detection)
    start = 0
    for end, row in enumerate(ordered):
        to_us = row["ts_us"]
        from_us = to_us - detection.within_us
        tally.change(row, 1)
        while ordered[start]["ts_us"] <= from_us:
            tally.change(ordered[start], -1)
            start += 1
        if end + 1 == len(ordered) or ordered[end + 1]["ts_us"] > to_us:
            yield Window(from_us, to_us, start, end + 1, tally.total)


class _Tally:
    """What a threshold measures, of the rows that are in the window."""

    def __init__(self, detection: ThresholdDetection) -> None:
        self.total = 0
        self._detection = detection
        self._values: Counter[Value] = Counter()

    def change(self, row: Row, by: int) -> None:
        """Let a row in (1) or out (-1)."""
        detection = self._detection
        if detection.distinct is not None:
            value = row.get(detection.distinct.column)
            if value is not None:  # null is no value
                self._values[value] += by
                if not self._values[value]:
                    del self._values[value]
            self.total = len(self._values)
        elif detection.sum is not None:
            self.total += by * (row.get(detection.sum.column) or 0)  # null is 0
        else:
            self.total += by
