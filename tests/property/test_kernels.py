"""Compiled loops against their twins: equal results and equal states, on small numbers and ties."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from analyzer.engine.ids import IdTable
from analyzer.engine.operations import Operations, operations
from analyzer.engine.panes import MOST
from rules.telemetry.kinds import INT64_MAX, INT64_MIN

Array = npt.NDArray[Any]
words = st.integers(0, 7)
numbers = st.one_of(st.integers(-3, 6), st.sampled_from([INT64_MIN, INT64_MAX, MOST]))
times = st.one_of(
    st.lists(st.integers(0, 20), min_size=1, max_size=30),
    st.lists(st.sampled_from([INT64_MIN, -5, 0, 3, INT64_MAX]), min_size=1, max_size=8),
).map(sorted)


def both(run: Callable[[Operations], tuple[Any, ...]]) -> None:
    """Hold what one make returns and changes against the other."""
    ours, theirs = run(operations()), run(operations(use_numba=False))
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own, other)


def of_length(count: int, values: st.SearchStrategy[int]) -> st.SearchStrategy[list[int]]:
    return st.lists(values, min_size=count, max_size=count)


@given(st.lists(st.tuples(numbers, numbers), max_size=40), st.integers(1, 30))
def test_keys_get_the_same_numbers(rows: list[tuple[int, int]], cut: int) -> None:
    keys = np.array(rows, np.int64).reshape(-1, 2)
    for make in (True, False):
        table = IdTable(2, operations(use_numba=make))
        found = [*table.enter(keys[:cut]).tolist(), *table.enter(keys[cut:]).tolist()]
        distinct = list(dict.fromkeys(rows))
        assert found == [distinct.index(row) for row in rows]
        assert table.keys.tolist() == [list(row) for row in distinct]
        assert table.find(keys).tolist() == found
        other = [(one, two) for one in range(3) for two in range(3)]
        expected = [distinct.index(row) if row in distinct else -1 for row in other]
        assert table.find(np.array(other, np.int64)).tolist() == expected


@given(st.data(), st.integers(0, 30))
def test_masks_are_restricted_alike(data: st.DataObject, count: int) -> None:
    table = np.array(data.draw(of_length(5, words)), np.uint64)
    ids = np.array(data.draw(of_length(count, st.integers(0, 4))), np.uint32)
    ports = (ids + np.array(data.draw(of_length(count, st.sampled_from([0, 256]))))).astype(
        np.uint16
    )
    valid = np.array(data.draw(of_length(count, st.integers(0, 1))), np.uint8)
    some = np.array(data.draw(of_length(count, numbers)), np.int64)
    points = np.array(data.draw(st.sampled_from([[], [2], [1, 2], [0, 1, 4]])), np.int64)
    classes = np.zeros(512, np.uint16)
    classes[:5], classes[256:] = (1, 2, 3, 4, 0), 2
    pages = np.array([0, *[1] * 255], np.uint8)
    bits = np.uint64(data.draw(words))

    def run(make: Operations) -> tuple[Array, ...]:
        masks = np.full(count, 7, np.uint64)
        make.and_codes(ids.astype(np.uint8), table, masks)
        make.and_ids(ids[::-1].copy(), table | np.uint64(1), masks)
        for there in (valid, valid[:0]):
            make.and_ports(ports, there, pages, classes, table | np.uint64(2), masks)
            make.and_numbers(some, there, points, table | np.uint64(4), masks)
        places = np.zeros(count, np.int64)
        found = make.rows_with(masks, bits, np.uint64(4), places)
        return masks, places[:found], np.array(make.any_of(masks))

    both(run)


@given(st.data(), times, st.integers(1, 9), st.booleans())
def test_panes_are_filled_alike(
    data: st.DataObject,
    ts: list[int],
    within_us: int,
    adds: bool,  # noqa: FBT001 (hypothesis gives it by name)
) -> None:
    ts_us = np.array(ts, np.int64)
    masks = np.array(data.draw(of_length(len(ts), words)), np.uint64)
    processes = np.array(data.draw(of_length(len(ts), st.integers(0, 5))), np.uint32)
    keys = np.array([4, 9, 4, 100, 2, 7], np.int32)
    values = np.array(data.draw(of_length(len(ts), numbers)), np.int64)
    valid = np.array(data.draw(of_length(len(ts), st.integers(0, 1))), np.uint8)
    values, valid = (values, valid) if adds else (values[:0], valid[:0])
    size = data.draw(st.sampled_from([3, 32]))  # the smaller has no room for every group
    half = len(ts) // 2

    def run(make: Operations) -> tuple[Any, ...]:
        live = np.zeros((0, 4), np.int64)
        numbers, lines = np.full(101, -1, np.int32), np.empty((size, 5), np.int64)
        results: list[Any] = []
        for start, stop in pairwise((0, half, len(ts))):
            to_us = max(ts[stop - 1] if stop else 0, 0)
            first = np.searchsorted(live[:, 0], 2 << 32)
            parts = [[2, start, stop, first, len(live), to_us], [1, 0, start, 0, first, to_us]]
            left = np.empty((size, 4), np.int64)
            found, early = np.empty((2 * len(ts), 2), np.int64), np.empty((size, 2), np.int64)
            slots, flags = np.empty(len(ts), np.int32), np.empty((len(ts), 2), np.int64)
            kept, rows, earlier = make.flag_in_panes(
                *(masks, np.uint64(5), np.uint64(2), processes, keys, ts_us, values, valid),
                *(np.array(parts), within_us, 2, MOST, live),
                *(numbers, lines, slots, flags, left, found, early),
            )
            early = early[:earlier]
            results += [kept, left[: max(kept, 0)], found[:rows]]
            results += [early[np.lexsort(early.T)]]
            live = left[: max(kept, 0)]
            live = live[np.argsort(live[:, 0] >> 32, kind="stable")]
        return *results, numbers

    both(run)


@given(
    st.data(),
    st.lists(st.lists(st.integers(0, 200), max_size=70).map(sorted), min_size=1, max_size=3),
    st.integers(1, 90),
    st.booleans(),
)
def test_peaks_of_hosts_are_found_alike(
    data: st.DataObject,
    times_of_hosts: list[list[int]],
    within_us: int,
    adds: bool,  # noqa: FBT001 (hypothesis gives it by name)
) -> None:
    starts = np.cumsum([0, *map(len, times_of_hosts)])
    ts_us = np.array([ts for own in times_of_hosts for ts in own], np.int64)
    hosts = np.array([2, 0, 3][: len(times_of_hosts)])
    values = np.array(data.draw(of_length(len(ts_us), numbers)), np.int64)
    valid = np.array(data.draw(of_length(len(ts_us), st.integers(0, 1))), np.uint8)
    values, valid = (values, valid) if adds else (values[:0], valid[:0])

    def run(make: Operations) -> tuple[Array, ...]:
        panes = np.array([[INT64_MIN, 0, 0]] * 4)
        results: list[Array] = []
        for later_us in (0, 250):
            peaks = np.zeros(len(hosts), np.int64)
            make.peaks_of_panes(
                *(ts_us + later_us, starts, hosts, values, valid, within_us, MOST, panes, peaks)
            )
            results += [peaks, panes.copy()]
        return tuple(results)

    both(run)


@given(st.data(), st.integers(0, 20))
def test_rows_of_groups_are_found_alike(data: st.DataObject, count: int) -> None:
    masks = np.array(data.draw(of_length(count, words)), np.uint64)
    processes = np.array(data.draw(of_length(count, st.integers(0, 5))), np.uint32)
    keys = np.array([4, 9, 4, 100, 2, 7], np.int32)
    edges = sorted(data.draw(of_length(4, st.integers(0, count))))
    starts, stops, hosts = np.array(edges[::2]), np.array(edges[1::2]), np.array([3, 1])

    def run(make: Operations) -> tuple[Any, ...]:
        known, slots = np.zeros((8, 1), np.int64), np.full(16, -1, np.int32)
        entered = np.array([[3 << 32 | 9], [3 << 32 | 2], [1 << 32 | 4]])
        make.enter_keys(entered, known, slots, 0, np.empty(3, np.int64), 0)
        rows, ids = np.zeros(count, np.int64), np.zeros(count, np.int64)
        found = make.find_groups(
            *(masks, np.uint64(3), np.uint64(4), processes, keys, starts, stops, hosts),
            *(known, slots, rows, ids),
        )
        return rows[:found], ids[:found]

    both(run)


@given(st.data(), times, st.integers(1, 9), st.integers(0, 2))
def test_windows_cross_alike(
    data: st.DataObject, ts: list[int], within_us: int, measure: int
) -> None:
    count = len(ts)
    ts_us = np.array(ts, np.int64)
    ids = np.array(data.draw(of_length(count, st.integers(0, 2))), np.int64)
    values = np.array(data.draw(of_length(count, st.integers(-1, 3))), np.int64)
    # The same rows as those of another host; no group is of both.
    ts_us, values, ids = (
        np.concatenate(own) for own in ((ts_us, ts_us), (values, values), (ids, ids + 3))
    )
    if measure == 2:
        values = np.where(values >= 0, values * 6 + ids, -1)  # no value is of two groups
    limits = np.array(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)), np.int64)
    start_us = data.draw(st.sampled_from(ts))
    start = ts.index(start_us)
    other = ts.index(data.draw(st.sampled_from(ts)))
    parts = np.array([0, count]), np.array([start, count + other]), np.array([count, 2 * count])

    def run(make: Operations) -> tuple[Any, ...]:
        emitted = np.zeros((2 * count, len(limits)), np.uint8)
        rows = np.full((6, len(limits)), -1, np.int64)
        held = np.zeros((6, len(limits)), np.int64)
        sizes = (2, 6), (2, 2 * count), 24
        room = [np.empty(size, np.int64) for size in sizes]
        marked = make.cross(
            *(ts_us, ids, values, measure, *parts, within_us, limits, emitted, rows, held, *room)
        )
        moments = np.where(rows >= 0, ts_us[rows], 0)  # any row of the moment will do
        return marked, emitted, moments, held

    both(run)


@given(st.data(), st.integers(0, 20))
def test_rows_are_tallied_and_ports_marked_alike(data: st.DataObject, count: int) -> None:
    groups = np.array(data.draw(of_length(count, st.integers(0, 3))), np.int64)
    ts_us = np.array(data.draw(of_length(count, numbers)), np.int64)
    masks = np.array(data.draw(of_length(count, words)), np.uint64)
    ports = np.array(data.draw(of_length(count, st.integers(0, 65_535))), np.uint16)
    valid = np.array(data.draw(of_length(count, st.integers(0, 1))), np.uint8)

    def run(make: Operations) -> tuple[Array, ...]:
        counts = np.zeros(4, np.int64)
        firsts, lasts = np.full(4, INT64_MAX), np.full(4, INT64_MIN)
        make.tally(groups, ts_us, counts, firsts, lasts)
        marked = np.zeros((3, 1024), np.uint64)
        parts = np.array([0, count // 3, count]), np.array([2, 0])
        make.mark_ports(masks, np.uint64(1), np.uint64(4), ports, valid, *parts, marked)
        make.mark_ports(masks, np.uint64(2), np.uint64(4), ports, valid[:0], *parts, marked)
        return counts, firsts, lasts, marked

    both(run)
