"""Pace: how steadily something happens.

In: a periodic detection and the distinct times of one group. Out: the median gap and how many gaps
are close to it. Part of the definition of what rules mean, like ``rules.matching``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from rules.detection import PeriodicDetection

PPM: Final = 1_000_000  # shares in a rule have at most six digits, so they are whole millionths
STEADY_OF_TEN: Final = 9  # of ten gaps that many must be close to the median


class Pace(NamedTuple):
    """The pace of one group.

    Attributes:
        times: Distinct times.
        median_us: The median gap, of an even number the lower middle one; None without a gap.
        steady: Gaps that differ from the median by no more than the jitter.
    """

    times: int
    median_us: int | None
    steady: int

    def fires(self, detection: PeriodicDetection) -> bool:
        """Tell whether distinct times are enough, and steady, and of a wanted pace."""
        return (
            self.median_us is not None
            and self.times >= detection.at_least
            and detection.every.min_us <= self.median_us <= detection.every.max_us
            and self.steady * 10 >= (self.times - 1) * STEADY_OF_TEN
        )


def pace_of(detection: PeriodicDetection, times_us: Iterable[int]) -> Pace:
    """Return the pace of times in any order; equal times are one."""
    ordered = sorted(set(times_us))
    gaps = Counter(later - earlier for earlier, later in pairwise(ordered))
    return pace_of_gaps(detection, sorted(gaps.items()))


def pace_of_gaps(detection: PeriodicDetection, gaps_us: Sequence[tuple[int, int]]) -> Pace:
    """Return the pace of times with some gaps: each length, ascending, and how often it came."""
    total = sum(count for _, count in gaps_us)
    if not total:
        return Pace(1, None, 0)
    counted = list(accumulate(count for _, count in gaps_us))
    median = gaps_us[bisect_right(counted, (total - 1) // 2)][0]
    allowed = round(detection.jitter * PPM) * median
    steady = sum(count for gap, count in gaps_us if abs(gap - median) * PPM <= allowed)
    return Pace(total + 1, median, steady)
