"""Buckets: how often something happened, by stretches of time that suit its span.

In: counts by minute. Out: counts by bucket. Shared by every evaluator: one that streams keeps the
minutes and folds them at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MINUTE_US: Final = 60_000_000
MAX_BUCKETS: Final = 24  # from the first to the last, empty ones too: they fit a line
WIDTHS_US: Final = tuple(minutes * MINUTE_US for minutes in (1, 5, 15, 60, 360, 1440))
"""From a minute to a day."""

Buckets = tuple[tuple[int, int], ...]
"""Start and count of each bucket that is not empty, ascending."""


def bucket_width_us(first_us: int, last_us: int) -> int:
    """Return the smallest width by which a span takes at most 24 buckets; never above a day."""
    for width in WIDTHS_US:
        if last_us // width - first_us // width < MAX_BUCKETS:
            return width
    return WIDTHS_US[-1]


def fold_minutes(minutes: Mapping[int, int]) -> Buckets:
    """Return counts by bucket; a bucket starts at a multiple of its width, before 1970 too.

    Args:
        minutes: Counts by ``ts_us // MINUTE_US``; at least one, none of them 0.
    """
    if len(minutes) == 1:
        return tuple((minute * MINUTE_US, count) for minute, count in minutes.items())
    width_us = bucket_width_us(min(minutes) * MINUTE_US, max(minutes) * MINUTE_US)
    folded: dict[int, int] = {}
    for minute, count in minutes.items():
        start_us = minute * MINUTE_US // width_us * width_us
        folded[start_us] = folded.get(start_us, 0) + count
    return tuple(sorted(folded.items()))
