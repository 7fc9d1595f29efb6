"""Kernels: the loops of the engine, compiled by numba; each has a twin in ``twins``.

In and out: numpy arrays. Nothing but compiled functions stands here; importing it takes a moment,
and the first time on a machine a few seconds, so only the engine does, in a thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.core.types import Array, Tuple, int32, int64, uint8, uint16, uint32, uint64


def given(item, dimensions=1):
    """Return the type of an array that is read alone; it may be of bytes that nobody may change."""
    return Array(item, dimensions, "C", readonly=True)


def kernel(signature):
    """Return a decorator that compiles a function for one signature, or loads it from disk.

    Without reference counts (nrt) nothing can be allocated inside, and calls are cheaper.
    """

    def compiled(function):
        options: Any = {"nogil": True, "error_model": "numpy", "_nrt": False}
        try:
            return njit(signature, cache=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's can be written
            return njit(signature, **options)(function)

    return compiled


MIX = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(29)
_FEW = 16  # points that are faster counted than searched


@kernel(uint64(given(int64, 2), int64))
def _hash_of(keys, row):
    mixed = np.uint64(0)
    for column in range(keys.shape[1]):
        mixed = (mixed ^ np.uint64(keys[row, column])) * MIX
        mixed ^= mixed >> SHIFT
    return mixed


@kernel(
    int64(given(int64, 2), given(int64, 2), given(int32), int64, int64[::1]),
)
def find_keys(keys, known, slots, count, found):
    """Put the number of each key into ``found``, -1 of those that are not known; returns 0."""
    mask = np.uint64(len(slots) - 1)
    width = keys.shape[1]
    for row in range(len(keys)):
        place = _hash_of(keys, row) & mask
        number = slots[place]
        while number >= 0:
            same = True
            for column in range(width):
                if known[number, column] != keys[row, column]:
                    same = False
                    break
            if same:
                break
            place = (place + np.uint64(1)) & mask
            number = slots[place]
        found[row] = number
    return 0


@kernel(
    Tuple((int64, int64))(given(int64, 2), int64[:, ::1], int32[::1], int64, int64[::1], int64),
)
def enter_keys(keys, known, slots, count, found, start):
    """Put the number of each key from ``start`` on into ``found``; new ones are entered.

    Returns how many keys are known then, and where it stopped because there is no more room.
    """
    mask = np.uint64(len(slots) - 1)
    width = keys.shape[1]
    room = min(len(known), len(slots) // 2)
    for row in range(start, len(keys)):
        place = _hash_of(keys, row) & mask
        number = slots[place]
        while number >= 0:
            same = True
            for column in range(width):
                if known[number, column] != keys[row, column]:
                    same = False
                    break
            if same:
                break
            place = (place + np.uint64(1)) & mask
            number = slots[place]
        if number < 0:
            if count >= room:
                return count, row
            number = count
            slots[place] = number
            for column in range(width):
                known[number, column] = keys[row, column]
            count += 1
        found[row] = number
    return count, len(keys)


@kernel(int64(given(uint8), given(uint64), uint64[::1]))
def and_codes(codes, words, masks):
    """AND into each mask the word of its row's code; returns 0."""
    for row in range(len(masks)):
        masks[row] &= words[codes[row]]
    return 0


@kernel(int64(given(uint32), given(uint64), uint64[::1]))
def and_ids(ids, words, masks):
    """AND into each mask the word of its row's id; returns 0."""
    for row in range(len(masks)):
        masks[row] &= words[ids[row]]
    return 0


@kernel(
    int64(given(uint16), given(uint8), given(uint8), given(uint16), given(uint64), uint64[::1]),
)
def and_ports(ports, valid, pages, classes, words, masks):
    """AND into each mask the word of its row's port; word 0 is of null; returns 0.

    ``valid`` is empty where no port is null. ``pages`` says for each upper half of a port which
    page of ``classes`` its lower half is looked up in: most halves share one, so that little is
    read.
    """
    if len(valid) == 0:
        for row in range(len(masks)):
            port = ports[row]
            masks[row] &= words[classes[(np.int64(pages[port >> 8]) << 8) | (port & 255)]]
        return 0
    for row in range(len(masks)):
        port = ports[row]
        own = classes[(np.int64(pages[port >> 8]) << 8) | (port & 255)]
        masks[row] &= words[own if valid[row] else 0]
    return 0


@kernel(
    int64(given(int64), given(uint8), given(int64), given(uint64), uint64[::1]),
)
def and_numbers(numbers, valid, points, words, masks):
    """AND into each mask the word of its row's interval; word 0 is of null; returns 0."""
    count = len(points)
    for row in range(len(masks)):
        value = numbers[row]
        low = 0
        if count == 2:  # noqa: PLR2004 (one number is named, as most rules do)
            low = (points[0] <= value) + (points[1] <= value)
        elif count <= _FEW:
            for place in range(count):
                low += points[place] <= value
        else:
            high = count
            while low < high:
                middle = (low + high) // 2
                if points[middle] <= value:
                    low = middle + 1
                else:
                    high = middle
        masks[row] &= words[0 if len(valid) != 0 and valid[row] == 0 else low + 1]
    return 0


@kernel(uint64(given(uint64)))
def any_of(masks):
    """Return the bits that some mask has."""
    bits = np.uint64(0)
    for row in range(len(masks)):
        bits |= masks[row]
    return bits


@kernel(int64(given(uint64), uint64, uint64, int64[::1]))
def rows_with(masks, bits, refused, places):
    """Put the rows with one of ``bits``, none of ``refused`` into ``places``; returns how many."""
    count = 0
    for row in range(len(masks)):
        places[count] = row
        count += ((masks[row] & bits) != 0) & ((masks[row] & refused) == 0)
    return count


@kernel(
    int64(
        given(uint64),
        uint64,
        uint64,
        given(uint16),
        given(uint8),
        given(int64),
        given(int64),
        uint64[:, ::1],
    ),
)
def mark_ports(masks, bits, refused, ports, valid, starts, hosts, marked):
    """Set the bit of each port of a row that has one of ``bits``, none of ``refused``; returns 0.

    ``valid`` is empty where no port is null. Rows stand host after host from ``starts`` on.
    """
    for part in range(len(hosts)):
        host = hosts[part]
        for row in range(starts[part], starts[part + 1]):
            if (
                masks[row] & bits != 0
                and masks[row] & refused == 0
                and (len(valid) == 0 or valid[row] != 0)
            ):
                port = ports[row]
                marked[host, port >> 6] |= np.uint64(1) << np.uint64(port & 63)
    return 0


@kernel(
    int64(
        given(uint64),
        uint64,
        uint64,
        given(uint32),
        given(int32),
        given(int64),
        given(int64),
        given(int64),
        given(int64, 2),
        given(int32),
        int64[::1],
        int64[::1],
    )
)
def find_groups(
    masks, bits, refused, processes, keys, starts, stops, hosts, known, slots, rows, ids
):
    """Put into ``rows`` which rows of some parts are selected and of a known group.

    Selected are those that have one of ``bits`` and none of ``refused``. A row's group is its host
    in the upper half, the key of its process in ``keys`` in the lower; its number goes into
    ``ids``. Returns how many rows there are.
    """
    places = np.uint64(len(slots) - 1)
    count = 0
    for part in range(len(hosts)):
        host = hosts[part] << 32
        for row in range(starts[part], stops[part]):
            if masks[row] & bits == 0 or masks[row] & refused != 0:
                continue
            key = host | np.int64(keys[processes[row]])
            mixed = np.uint64(key) * MIX
            place = (mixed ^ (mixed >> SHIFT)) & places
            number = slots[place]
            while number >= 0 and known[number, 0] != key:
                place = (place + np.uint64(1)) & places
                number = slots[place]
            if number >= 0:
                rows[count] = row
                ids[count] = number
                count += 1
    return count


@kernel(int64(given(int64), given(int64), int64[::1], int64[::1], int64[::1]))
def tally(groups, ts_us, counts, firsts, lasts):
    """Count rows of groups, and note the first and the last time of each group; returns 0."""
    for row in range(len(groups)):
        group = groups[row]
        counts[group] += 1
        firsts[group] = min(firsts[group], ts_us[row])
        lasts[group] = max(lasts[group], ts_us[row])
    return 0
