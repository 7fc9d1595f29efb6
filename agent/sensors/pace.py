"""Pace: how often a poll may run, so that what it costs stays a small share of one core.

In: what each poll took and whether anything has changed. Out: when the next one is due. What can
wait a little is due at common ticks, so that all of it takes one wake-up.
"""

from __future__ import annotations

import math
from typing import Final

TICK_S: Final = 0.5  # between the moments at which what can wait is done
_EARLY_S: Final = 0.1  # before its moment something may be done, so that it needs no tick more

CPU_SHARE: Final = 0.002  # of one core, for each kind of poll
_SMOOTHING: Final = 0.5  # one expensive poll must not silence a sensor for long


class Pace:
    """The spacing of one kind of poll.

    With changes, polls follow each other after ``shortest_s`` or as far apart as their cost asks
    for; without, after ``longest_s``. No interval is longer than that, so polls that take more
    than ``share * longest_s`` do exceed the share.
    """

    def __init__(self, *, shortest_s: float, longest_s: float, share: float = CPU_SHARE) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._share = share
        self._cost_s = 0.0
        self._last_s = float("-inf")

    @property
    def interval_s(self) -> float:
        """Return the time between two polls while there are changes."""
        return min(max(self._shortest_s, self._cost_s / self._share), self._longest_s)

    def due_s(self, *, is_changed: bool) -> float:
        """Return the monotonic moment of the next poll."""
        return self._last_s + (self.interval_s if is_changed else self._longest_s)

    def spend(self, now_s: float, cost_s: float, *, is_usual: bool = True) -> None:
        """Note that a poll ended at ``now_s``; an unusual one leaves the interval as it is."""
        self._last_s = now_s
        if is_usual:
            self._cost_s += _SMOOTHING * (cost_s - self._cost_s)


def at_tick(due_s: float) -> float:
    """Return the tick at which to do what is due at a moment, at most ``_EARLY_S`` before it."""
    if not math.isfinite(due_s):
        return due_s  # at once, or never
    return math.ceil((due_s - _EARLY_S) / TICK_S) * TICK_S
