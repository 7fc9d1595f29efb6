"""Draw: random numbers with the shapes that fleets have, a whole column at a time.

In: a seeded generator. Out: moments with a daily rhythm, skewed choices, heavy-tailed sizes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from benchmarks.fleet.shape import DAY_US, START_US

if TYPE_CHECKING:
    from collections.abc import Sequence

Ints = npt.NDArray[np.int64]

_GRID: Final = np.linspace(0.0, 1.0, 289)  # five minutes each
_RHYTHM: Final = _GRID - 0.6 * np.sin(2 * np.pi * (_GRID - 0.08)) / (2 * np.pi)
_SHARE_BEFORE: Final = (_RHYTHM - _RHYTHM[0]) / (_RHYTHM[-1] - _RHYTHM[0])
"""Share of a day's events before each point of the grid: four times as many by day as by night."""


def moments(rng: np.random.Generator, count: int) -> Ints:
    """Return times of one day in no order, more of them by day than by night."""
    shares = np.interp(rng.random(count), _SHARE_BEFORE, _GRID)
    return START_US + np.minimum((shares * DAY_US).astype(np.int64), DAY_US - 1)


def skewed(rng: np.random.Generator, count: int, size: int, *, power: float = 3.0) -> Ints:
    """Return indexes below ``size``; the higher the power, the more often the first ones."""
    shares: npt.NDArray[np.float64] = rng.random(count) ** power
    return (shares * size).astype(np.int64)


def weighted(rng: np.random.Generator, count: int, weights: Sequence[float]) -> Ints:
    """Return indexes of ``weights``, each as often as its weight says."""
    steps = np.cumsum(np.asarray(weights, np.float64))
    return np.searchsorted(steps / steps[-1], rng.random(count), side="right").astype(np.int64)


def sizes(rng: np.random.Generator, count: int, *, median: float, spread: float) -> Ints:
    """Return whole numbers of a log-normal distribution."""
    return np.asarray(rng.lognormal(math.log(median), spread, count), np.int64)


def chosen(rng: np.random.Generator, count: int, *, one_in: int) -> Ints:
    """Return the places of some of ``count`` rows: one in so many, rounded up or down by chance."""
    expected = count / one_in
    taken = int(expected) + int(rng.random() < expected % 1)
    return rng.permutation(count)[:taken] if taken else np.zeros(0, np.int64)
