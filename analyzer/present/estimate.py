"""Estimates: how long work takes in all, told once its pace is known.

In: how much is done, now and then. Out: seconds, or nothing while nobody can tell.
"""

from __future__ import annotations

from typing import Final

_LEAST_S: Final = 1.0  # of work whose pace is known, before anything is said


class Estimate:
    """Tells how long some work takes.

    Compiling loops or opening a file stops everything once and says nothing about the rest, so the
    longest wait between two notices does not count.
    """

    def __init__(self, total: int) -> None:
        """Estimate work of a size in any unit."""
        self._total = total
        self._last = 0, 0.0
        self._longest = 0, 0.0

    def total_s(self, done: int, elapsed_s: float) -> float | None:
        """Return how many seconds all of it takes; None = too early to tell.

        Args:
            done: How much is done by now; never less than before.
            elapsed_s: Since the beginning.
        """
        step = done - self._last[0], elapsed_s - self._last[1]
        self._last = done, elapsed_s
        self._longest = max(self._longest, step, key=lambda item: item[1])
        if done >= self._total:
            return elapsed_s
        known, took_s = done - self._longest[0], elapsed_s - self._longest[1]
        if known <= 0 or took_s < _LEAST_S:
            return None
        return elapsed_s + took_s * (self._total - done) / known
