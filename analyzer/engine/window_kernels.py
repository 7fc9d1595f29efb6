"""Kernels of windows: the loops over panes and over rows that cross, compiled by numba.

In and out: numpy arrays. ``window_twins`` does the same with numpy alone.
"""

from __future__ import annotations

import numpy as np
from numba.core.types import Tuple, int32, int64, uint8, uint32, uint64

from analyzer.engine.kernels import given, kernel
from analyzer.engine.panes import KEY
from rules.telemetry.kinds import INT64_MIN

_LEAP = 32  # rows that are skipped at once where all are of one pane


@kernel(
    int64(
        given(int64),
        given(int64),
        given(int64),
        given(int64),
        given(uint8),
        int64,
        int64,
        int64[:, ::1],
        int64[::1],
    ),
)
def peaks_of_panes(ts_us, starts, hosts, values, valid, within_us, most, panes, peaks):
    """Put into ``peaks`` for each host a bound of what any window of its rows holds; returns 0.

    Rows stand host after host from ``starts`` on. ``values`` is empty where rows are counted.
    ``panes`` has for every host the start of the last pane, what it holds and what the one before
    it holds; a window lies within two adjacent ones.
    """
    width = np.uint64(within_us)
    for part in range(len(hosts)):
        host = hosts[part]
        from_us = np.uint64(panes[host, 0])
        own = panes[host, 1]
        before = panes[host, 2]
        peak = 0
        row = starts[part]
        stop = starts[part + 1]
        while row < stop:
            gone = np.uint64(ts_us[row]) - from_us
            if gone >= width:
                steps = gone // width
                from_us += steps * width
                before = own if steps == 1 else 0
                own = 0
            first = row
            while row + _LEAP < stop and np.uint64(ts_us[row + _LEAP]) - from_us < width:
                row += _LEAP
            while row < stop and np.uint64(ts_us[row]) - from_us < width:
                row += 1
            if len(values) == 0:
                own = most if row - first > most - own else own + row - first
            else:
                for place in range(first, row):
                    value = values[place]
                    if value > 0 and (len(valid) == 0 or valid[place] != 0):
                        own = most if value > most - own else own + value
            peak = max(peak, own + before)
        panes[host, 0] = np.int64(from_us)
        panes[host, 1] = own
        panes[host, 2] = before
        peaks[part] = peak
    return 0


@kernel(
    int64(
        given(int64),
        given(int64),
        given(int64),
        int64,
        given(int64),
        given(int64),
        given(int64),
        int64,
        given(int64),
        uint8[:, ::1],
        int64[:, ::1],
        int64[:, ::1],
        int64[:, ::1],
        int64[:, ::1],
        int64[::1],
    ),
)
def cross(
    ts_us,
    ids,
    values,
    measure,
    begins,
    starts,
    stops,
    within_us,
    limits,
    emitted,
    rows,
    held,
    of_groups,
    of_rows,
    latest,
):
    """Mark with 2 in ``emitted`` the rows inside windows that cross at or after ``starts``.

    Rows stand in parts, from ``begins`` to ``stops``, those of each by time; no group is in two.
    ``measure`` is 0 to count, 1 to add ``values`` up, 2 to count distinct ones,
    which are numbers that tell groups apart too, or -1 for none. Where a group crosses a limit for
    the first time, ``rows`` gets the row and ``held`` what its window holds.
    Returns how many rows were marked.

    Room to work in: ``of_groups`` for what the window holds of each group and its last row,
    ``of_rows`` for the row of the group before each and whether a later row holds its value,
    ``latest`` for the last row with each value.
    """
    totals, last = of_groups[0], of_groups[1]
    previous, over = of_rows[0], of_rows[1]
    totals[:] = 0
    last[:] = -1
    over[:] = 0
    latest[:] = -1
    least = limits[0]
    for rule in range(1, len(limits)):
        least = min(least, limits[rule])
    width = np.uint64(within_us)
    marked = 0
    for part in range(len(begins)):
        start = starts[part]
        count = stops[part]
        if start >= count:
            continue
        tail = begins[part]
        row = tail
        while row < count:
            now = ts_us[row]
            stop = row
            while stop < count and ts_us[stop] == now:
                stop += 1
            while np.uint64(now) - np.uint64(ts_us[tail]) >= width:
                if measure == 0:
                    totals[ids[tail]] -= 1
                elif measure == 1:
                    totals[ids[tail]] -= values[tail]
                elif values[tail] >= 0 and over[tail] == 0:
                    totals[ids[tail]] -= 1
                tail += 1
            for place in range(row, stop):
                group = ids[place]
                previous[place] = last[group]
                last[group] = place
                if measure == 0:
                    totals[group] += 1
                elif measure == 1:
                    totals[group] += values[place]
                elif values[place] >= 0:
                    earlier = latest[values[place]]
                    if earlier >= tail:
                        over[earlier] = 1
                    else:
                        totals[group] += 1
                    latest[values[place]] = place
            if row >= start:
                for place in range(row, stop):
                    group = ids[place]
                    total = totals[group]
                    if total <= least:
                        continue
                    for rule in range(len(limits)):
                        if total <= limits[rule]:
                            continue
                        if rows[group, rule] < 0:
                            rows[group, rule] = place
                            held[group, rule] = total
                        back = last[group]
                        while back >= tail and emitted[back, rule] == 0:
                            emitted[back, rule] = 2
                            marked += 1
                            back = previous[back]
            row = stop
    return marked


@kernel(
    Tuple((int64, int64, int64))(
        given(uint64),
        uint64,
        uint64,
        given(uint32),
        given(int32),
        given(int64),
        given(int64),
        given(uint8),
        given(int64, 2),
        int64,
        int64,
        int64,
        given(int64, 2),
        int32[::1],
        int64[:, ::1],
        int32[::1],
        int64[:, ::1],
        int64[:, ::1],
        int64[:, ::1],
        int64[:, ::1],
    ),
)
def flag_in_panes(
    masks,
    bits,
    refused,
    processes,
    keys,
    ts_us,
    values,
    valid,
    parts,
    within_us,
    limit,
    most,
    live,
    numbers,
    lines,
    slots,
    flags,
    left,
    found,
    early,
):
    """Count rows in the panes of their groups; find those that a window above ``limit`` may hold.

    Rows are selected that have one of ``bits`` and none of ``refused``; their group is their host
    in the upper half, the key of their process in ``keys`` in the lower. ``parts`` has a line per
    host: its number, where its rows begin and end, where its lines of ``live`` do, and from when on
    panes matter. ``live`` has a line per group: its number, where its last pane starts, what that
    holds and what the pane before it holds. ``left`` gets those that still matter, ``found`` each
    row of a pane that is above the limit with the one before it, or of the one before it, and its
    group; ``early`` the groups whose first such pane may begin before their rows, and that pane.
    Returns how many of all three; -1 where one of the arrays is too small. ``numbers`` has the
    place in ``lines`` of each key, between calls -1. ``slots`` and ``flags`` have room for every
    row: for that place, and for panes above the limit and where the one before it of its group
    stands.
    """
    width = np.uint64(within_us)
    kept = 0
    rows = 0
    earlier = 0
    crowded = False
    for part in range(len(parts)):
        host = parts[part, 0] << 32
        start = parts[part, 1]
        stop = parts[part, 2]
        to_us = parts[part, 5]
        pane = np.int64(INT64_MIN)
        count = 0
        flagged = 0
        crowded = crowded or parts[part, 4] - parts[part, 3] > len(lines)
        for row in range(parts[part, 3], parts[part, 3] if crowded else parts[part, 4]):
            for column in range(4):
                lines[count, column] = live[row, column]
            lines[count, 4] = -1
            numbers[live[row, 0] & KEY] = count
            count += 1
        for row in range(start, start if crowded else stop):
            if masks[row] & bits == 0 or masks[row] & refused != 0:
                slots[row - start] = -1
                continue
            key = np.int64(keys[processes[row]])
            place = numbers[key]
            if place < 0:
                if count >= len(lines):
                    crowded = True
                    break
                place = count
                numbers[key] = place
                lines[place, 0] = host | key
                lines[place, 1] = INT64_MIN
                lines[place, 2] = 0
                lines[place, 3] = 0
                lines[place, 4] = -1
                count += 1
            slots[row - start] = place
            gone = np.uint64(ts_us[row]) - np.uint64(pane)
            if gone >= width:  # of all groups of the host, since dividing takes long
                pane = np.int64(np.uint64(pane) + gone // width * width)
            if lines[place, 1] != pane:
                follows = np.uint64(pane) - np.uint64(lines[place, 1]) == width
                lines[place, 3] = lines[place, 2] if follows else 0
                lines[place, 2] = 0
                lines[place, 1] = pane
            value = 1
            if len(values) != 0:
                value = values[row]
                if value < 0 or (len(valid) != 0 and valid[row] == 0):
                    value = 0
            own = most if value > most - lines[place, 2] else lines[place, 2] + value
            lines[place, 2] = own
            if own + lines[place, 3] > limit:
                head = lines[place, 4]
                if head < 0 or flags[head, 0] != pane:
                    first = ts_us[start]
                    if head < 0 and (first >= pane or np.uint64(pane) - np.uint64(first) <= width):
                        if earlier >= len(early):
                            crowded = True
                            break
                        early[earlier, 0] = host | key
                        early[earlier, 1] = pane
                        earlier += 1
                    flags[flagged, 0] = pane
                    flags[flagged, 1] = head
                    lines[place, 4] = flagged
                    flagged += 1
        crowded = crowded or kept + count > len(left)
        begin = rows
        for row in range(stop - 1, start - 1 if flagged != 0 and not crowded else stop - 1, -1):
            place = slots[row - start]
            if place < 0:
                continue
            head = lines[place, 4]
            now = ts_us[row]
            while head >= 0 and now < flags[head, 0]:
                if np.uint64(flags[head, 0]) - np.uint64(now) <= width:
                    break
                head = flags[head, 1]
            lines[place, 4] = head
            if head < 0:
                continue
            crossed = flags[head, 0]
            if now < crossed or np.uint64(now) - np.uint64(crossed) < width:
                if rows >= len(found):
                    crowded = True
                    break
                found[rows, 0] = row
                found[rows, 1] = lines[place, 0]
                rows += 1
        low = begin
        high = rows - 1
        while low < high:
            for column in range(2):
                value = found[low, column]
                found[low, column] = found[high, column]
                found[high, column] = value
            low += 1
            high -= 1
        for place in range(count):
            gone = np.uint64(to_us) - np.uint64(lines[place, 1])
            if not crowded and gone // np.uint64(2) < width:  # twice the width may be too much
                for column in range(4):
                    left[kept, column] = lines[place, column]
                kept += 1
            numbers[lines[place, 0] & KEY] = -1
        if crowded:
            return -1, 0, 0
    return kept, rows, earlier
