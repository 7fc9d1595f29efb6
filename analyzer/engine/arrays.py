"""Arrays of the engine: their types, and the few ways to cut them that numpy has no name for.

In and out: numpy arrays of rows, keys and groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Int64s = npt.NDArray[np.int64]
    UInt64s = npt.NDArray[np.uint64]
    Bools = npt.NDArray[np.bool_]
    Places = npt.NDArray[np.intp]
    """Indexes of rows."""


def plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array as it must lie in memory for compiled loops: gapless and aligned."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else array.copy()


def some(array: npt.NDArray[Any], places: Places | None) -> npt.NDArray[Any]:
    """Return the items at ``places``; None = all."""
    return array if places is None else array.take(places)


def grown(array: npt.NDArray[Any], size: int, fill: int = 0) -> npt.NDArray[Any]:
    """Return an array of at least ``size`` items that begins with ``array``; room is doubled."""
    if len(array) >= size:
        return array
    larger = np.full((max(size, 2 * len(array), 16), *array.shape[1:]), fill, array.dtype)
    larger[: len(array)] = array
    return larger


def run_starts(*columns: npt.NDArray[Any]) -> Places:
    """Return where a run of equal items begins, in columns that are sorted alike."""
    length = len(columns[0])
    if not length:
        return np.zeros(0, np.intp)
    differs = np.zeros(length, np.bool_)
    differs[0] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(differs)


def run_lengths(starts: Places, length: int) -> Places:
    """Return how long the runs are that begin at ``starts``."""
    return np.diff(starts, append=length)


def expanded(starts: Int64s, ends: Int64s) -> tuple[Places, Places]:
    """Return every index of half-open ranges, and for each the range that it is of."""
    lengths = ends - starts
    owners = np.repeat(np.arange(len(starts)), lengths)
    offsets = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(starts, lengths) + offsets, owners


def of_groups(sorted_groups: Int64s, groups: Places) -> tuple[Places, Places]:
    """Return the places of some groups in a sorted array, and for each the group it is of."""
    starts = np.searchsorted(sorted_groups, groups, side="left")
    ends = np.searchsorted(sorted_groups, groups, side="right")
    return expanded(starts, ends)


def elapsed(since: Int64s, now: Int64s | int) -> UInt64s:
    """Return ``now - since`` of times in order; exact for any two of 64 bits."""
    return np.subtract(np.asarray(now, np.int64).view(np.uint64), since.view(np.uint64))
