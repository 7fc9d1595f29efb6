"""Twins of windows: what ``window_kernels`` does, by numpy alone, with equal results and states.

In and out: numpy arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analyzer.engine.arrays import elapsed, run_starts
from analyzer.engine.twins import selected
from rules.telemetry.kinds import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.engine.arrays import Bools, Int64s, Places, UInt64s

COUNT: Final = 0  # measures of ``cross``
SUM: Final = 1
DISTINCT: Final = 2


def peaks_of_panes(
    ts_us: Int64s,
    starts: Int64s,
    hosts: Int64s,
    values: Int64s,
    valid: npt.NDArray[np.uint8],
    within_us: int,
    most: int,
    panes: Int64s,
    peaks: Int64s,
) -> int:
    """Put into ``peaks`` for each host a bound of what any window of its rows holds; returns 0.

    Rows stand host after host from ``starts`` on. ``values`` is empty where rows are counted.
    ``panes`` has for every host the start of the last pane, what it holds and what the one before
    it holds; a window lies within two adjacent ones.
    """
    amounts = _amounts(values, valid, len(ts_us))
    groups = np.repeat(hosts, np.diff(starts))
    owners, _, bounds = _fill_panes(groups, ts_us, amounts, within_us, most, panes)
    highest = np.zeros(len(panes), np.int64)
    np.maximum.at(highest, owners, bounds)
    peaks[:] = highest[hosts]
    return 0


def flag_in_panes(
    masks: UInt64s,
    bits: np.uint64,
    refused: np.uint64,
    processes: npt.NDArray[np.uint32],
    keys: npt.NDArray[np.int32],
    ts_us: Int64s,
    values: Int64s,
    valid: npt.NDArray[np.uint8],
    parts: Int64s,
    within_us: int,
    limit: int,
    most: int,
    live: Int64s,
    numbers: npt.NDArray[np.int32],
    lines: Int64s,
    slots: npt.NDArray[np.int32],
    flags: Int64s,
    left: Int64s,
    found: Int64s,
    early: Int64s,
) -> tuple[int, int, int]:
    """Count rows in the panes of their groups; find those that a window above ``limit`` may hold.

    Rows are selected that have one of ``bits`` and none of ``refused``; their group is their host
    in the upper half, the key of their process in ``keys`` in the lower. ``parts`` has a line per
    host: its number, where its rows begin and end, where its lines of ``live`` do, and from when on
    panes matter. ``live`` has a line per group: its number, where its last pane starts, what that
    holds and what the pane before it holds. ``left`` gets those that still matter, ``found`` each
    row of a pane that is above the limit with the one before it, or of the one before it, and its
    group; ``early`` the groups whose first such pane may begin before their rows, and that pane.
    Returns how many of all three; -1 where one of the arrays is too small, though the others are
    for the compiled function to work in.
    """
    del numbers, slots, flags
    counts = [0, 0, 0]
    for host, start, stop, first, last, to_us in parts.tolist():
        rows = np.flatnonzero(selected(masks[start:stop], bits, refused)) + start
        own = host << 32 | keys.take(processes[rows]).astype(np.int64)
        amounts = _amounts(
            values[rows] if len(values) else values, valid[rows] if len(valid) else valid, len(rows)
        )
        groups, panes, over = _count_part(
            own, ts_us[rows], amounts, (within_us, limit, most), live[first:last]
        )
        near = elapsed(panes[:, 0], to_us) // np.uint64(2) < np.uint64(within_us)
        held = _in_panes(own, ts_us[rows], over, within_us)
        begun = _begun(over, int(ts_us[start]), within_us) if start < stop else over[:0]
        results = (
            np.column_stack((groups, panes))[near],
            np.column_stack((rows, own))[held],
            begun,
        )
        if len(groups) > len(lines) or counts[0] + len(groups) > len(left):
            return -1, 0, 0
        for place, (result, into) in enumerate(zip(results, (left, found, early), strict=True)):
            if counts[place] + len(result) > len(into):
                return -1, 0, 0
            into[counts[place] : counts[place] + len(result)] = result
            counts[place] += len(result)
    return counts[0], counts[1], counts[2]


def _count_part(
    own: Int64s, ts_us: Int64s, amounts: Int64s, bounds: tuple[int, int, int], live: Int64s
) -> tuple[Int64s, Int64s, Int64s]:
    """Return the groups of a host, their panes, and group and start of those above the limit."""
    within_us, limit, most = bounds
    every = np.concatenate((live[:, 0], own))
    distinct, firsts, inverse = np.unique(every, return_index=True, return_inverse=True)
    order = np.argsort(firsts)  # as they came, the live ones first
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.arange(len(order))
    panes = np.zeros((len(distinct), 3), np.int64)
    panes[:, 0] = INT64_MIN
    panes[: len(live)] = live[:, 1:]
    groups = numbers[inverse[len(live) :]]
    owners, starts, held = _fill_panes(groups, ts_us, amounts, within_us, most, panes)
    above = np.column_stack((distinct[order][owners], starts))[held > limit]
    return distinct[order], panes, above


def _pane_of(ts_us: Int64s, within_us: int) -> UInt64s:
    """Return the number of the pane of each moment; they count from the first moment there is."""
    return elapsed(np.array(INT64_MIN), ts_us) // np.uint64(within_us)


def _in_panes(own: Int64s, ts_us: Int64s, over: Int64s, within_us: int) -> Bools:
    """Tell which rows are in a pane of their group that is above the limit, or before one."""
    panes = _pane_of(ts_us, within_us)
    wanted = _pane_of(over[:, 1], within_us)
    numbers = np.unique(np.concatenate((panes, panes + np.uint64(1), wanted)))
    groups = np.unique(np.concatenate((own, over[:, 0])))

    def pairs(group: Int64s, pane: UInt64s) -> Int64s:
        return groups.searchsorted(group) * len(numbers) + numbers.searchsorted(pane)

    known = pairs(over[:, 0], wanted)
    return np.isin(pairs(own, panes), known) | np.isin(pairs(own, panes + np.uint64(1)), known)


def _begun(over: Int64s, first_us: int, within_us: int) -> Int64s:
    """Return the first of the panes of each group, where it or the one before may begin earlier."""
    first = over[np.lexsort((over[:, 1], over[:, 0]))]
    first = first[run_starts(first[:, 0])]
    pane = first[:, 1]
    gap = elapsed(np.array(first_us), np.maximum(pane, first_us))
    return first[gap <= np.uint64(within_us)]


def _amounts(values: Int64s, valid: npt.NDArray[np.uint8], count: int) -> Int64s:
    if not len(values):
        return np.ones(count, np.int64)
    amounts = np.maximum(values, 0)
    return np.where(valid == 0, 0, amounts) if len(valid) else amounts


def _fill_panes(
    groups: Int64s, ts_us: Int64s, amounts: Int64s, within_us: int, most: int, panes: Int64s
) -> tuple[Int64s, Int64s, Int64s]:
    """Add amounts to panes; returns group, start and bound of each pane that got some."""
    order = np.argsort(groups, kind="stable")
    groups, ts_us, amounts = groups[order], ts_us[order], amounts[order]
    numbers = elapsed(panes[groups, 0], ts_us) // np.uint64(within_us)
    runs = run_starts(groups, numbers)
    owners, numbers = groups[runs], numbers[runs]
    held = _sums(amounts, runs, most)
    is_first = np.ones(len(owners), np.bool_)
    is_first[1:] = owners[1:] != owners[:-1]
    goes_on = is_first & (numbers == 0)
    held[goes_on] = np.minimum(held[goes_on] + panes[owners[goes_on], 1], most)
    before = np.zeros(len(owners), np.int64)
    adjacent = np.diff(numbers) == 1
    before[1:] = np.where(~is_first[1:] & adjacent, held[:-1], 0)
    before[goes_on] = panes[owners[goes_on], 2]
    follows = is_first & (numbers == 1)
    before[follows] = panes[owners[follows], 1]
    is_last = np.append(is_first[1:], True)[: len(owners)]
    starts = (panes[owners, 0].view(np.uint64) + numbers * np.uint64(within_us)).view(np.int64)
    last = owners[is_last]
    panes[last] = np.column_stack((starts[is_last], held[is_last], before[is_last]))
    return owners, starts, held + before


def _sums(amounts: Int64s, runs: Places, most: int) -> Int64s:
    """Return the sum of each run, at most ``most``."""
    if not len(runs):
        return np.zeros(0, np.int64)
    if float(amounts.astype(np.float64).sum()) < most:
        return np.minimum(np.add.reduceat(amounts, runs), most)
    exact = np.add.reduceat(amounts.astype(np.object_), runs)
    return np.minimum(exact, most).astype(np.int64)


def cross(
    ts_us: Int64s,
    ids: Int64s,
    values: Int64s,
    measure: int,
    begins: Int64s,
    starts: Int64s,
    stops: Int64s,
    within_us: int,
    limits: Int64s,
    emitted: npt.NDArray[np.uint8],
    rows: Int64s,
    held: Int64s,
    *room: Int64s,
) -> int:
    """Mark with 2 in ``emitted`` the rows inside windows that cross at or after ``starts``.

    Rows stand in parts, from ``begins`` to ``stops``, those of each by time; no group is in two.
    ``measure`` is 0 to count, 1 to add ``values`` up, 2 to count distinct ones,
    which are numbers that tell groups apart too, or -1 for none. Where a group crosses a limit for
    the first time, ``rows`` gets a row and ``held`` what its window holds.
    Returns how many rows were marked. ``room`` is for the compiled function to work in.
    """
    del room
    marked = 0
    for begin, start, stop in zip(begins.tolist(), starts.tolist(), stops.tolist(), strict=True):
        if start >= stop:
            continue
        part = slice(begin, stop)
        own = values[part] if len(values) else values
        totals = window_totals(ts_us[part], ids[part], own, measure, within_us)
        for rule, limit in enumerate(limits.tolist()):
            crossing = np.flatnonzero(totals[start - begin :] > limit) + start - begin
            if not len(crossing):
                continue
            moments = _Moments(ids[part], ts_us[part], crossing)
            inside = moments.follow_within(within_us) & (emitted[part, rule] == 0)
            emitted[begin:stop][inside, rule] = 2
            marked += int(inside.sum())
            first = moments.firsts()
            groups = ids[part][first]
            new = rows[groups, rule] < 0
            rows[groups[new], rule] = first[new] + begin
            held[groups[new], rule] = totals[first[new]]
    return marked


class _Moments:
    """Moments of groups, to be found from the rows before them."""

    def __init__(self, ids: Int64s, ts_us: Int64s, rows: Places) -> None:
        self._ids, self._ts_us = ids, ts_us
        times, ranks = np.unique(ts_us, return_inverse=True)
        self._places = ids * len(times) + ranks
        order = np.argsort(self._places[rows], kind="stable")
        self._rows = rows[order]
        self._own = self._places[self._rows]

    def follow_within(self, within_us: int) -> Bools:
        """Tell of each row whether a moment of its group is less than ``within_us`` after it."""
        after = np.searchsorted(self._own, self._places, side="left")
        exists = after < len(self._rows)
        row = self._rows[np.minimum(after, len(self._rows) - 1)]
        same: Bools = self._ids[row] == self._ids
        return exists & same & (elapsed(self._ts_us, self._ts_us[row]) < within_us)

    def firsts(self) -> Places:
        """Return a row of the first moment of each group that has one."""
        return self._rows[run_starts(self._ids[self._rows])]


def window_totals(
    ts_us: Int64s, ids: Int64s, values: Int64s, measure: int, within_us: int
) -> npt.NDArray[Any]:
    """Return what the window that ends at each row's time holds of the row's group.

    Sums that 64 bits cannot hold are Python integers.
    """
    order = np.lexsort((ts_us, ids))
    own = ids[order]
    times, ranks = np.unique(ts_us[order], return_inverse=True)
    size = len(times) + 1
    places = own * size + ranks
    ends = np.searchsorted(places, places, side="right")
    starts = np.searchsorted(places, own * size + _opened(times, within_us)[ranks], side="left")
    found: npt.NDArray[Any]
    if measure == COUNT:
        found = ends - starts
    elif measure == SUM:
        sums = _prefix_sums(values[order])
        found = sums[ends] - sums[starts]
    else:
        found = _distinct(places, values[order], times, within_us)
    back = np.empty_like(found)
    back[order] = found
    return back


def _opened(times: Int64s, within_us: int) -> Int64s:
    """Return for each of some ascending times the place of the first that its window holds."""
    before_all = times < INT64_MIN + within_us
    opened = np.searchsorted(times, np.where(before_all, 0, times) - within_us, side="right")
    return np.where(before_all, 0, opened)


def _prefix_sums(values: Int64s) -> npt.NDArray[Any]:
    fits = float(np.abs(values.astype(np.float64)).sum()) < INT64_MAX // 2
    sums = np.zeros(len(values) + 1, np.int64 if fits else np.object_)
    sums[1:] = np.cumsum(values if fits else values.astype(np.object_))
    return sums


def _distinct(places: Int64s, values: Int64s, times: Int64s, within_us: int) -> Int64s:
    """Return how many values the window that ends at each row's moment holds.

    A value counts from each of its rows on until its next one comes or the window has left it.
    """
    size = len(times) + 1
    there = np.flatnonzero(values >= 0)
    rows = there[np.lexsort((places[there], values[there]))]
    group, rank, value = places[rows] // size, places[rows] % size, values[rows]
    until = _left(times, within_us)[rank]
    follows = value[1:] == value[:-1]
    until[:-1] = np.where(follows, np.minimum(until[:-1], rank[1:]), until[:-1])
    begun = np.sort(places[rows])
    over = np.sort(group * size + until)
    return np.searchsorted(begun, places, side="right") - np.searchsorted(
        over, places, side="right"
    )


def _left(times: Int64s, within_us: int) -> Int64s:
    """Return for each of some ascending times the place of the first whose window is past it."""
    never = times > INT64_MAX - within_us
    left = np.searchsorted(times, np.where(never, 0, times) + within_us, side="left")
    return np.where(never, len(times), left)
