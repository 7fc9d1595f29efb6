"""Twins: what ``kernels`` does, by numpy alone, with the same results and states.

In and out: numpy arrays. Used where numba is missing, and to prove the kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import expanded

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.engine.arrays import Bools, Int64s, UInt64s

    Slots = npt.NDArray[np.int32]

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)


def _hashes(keys: Int64s) -> UInt64s:
    mixed = np.zeros(len(keys), np.uint64)
    for column in keys.T:
        mixed = (mixed ^ column.astype(np.uint64)) * _MIX
        mixed ^= mixed >> _SHIFT
    return mixed


def find_keys(keys: Int64s, known: Int64s, slots: Slots, count: int, found: Int64s) -> int:
    """Put the number of each key into ``found``, -1 of those that are not known; returns 0."""
    del count
    mask = np.uint64(len(slots) - 1)
    places = _hashes(keys) & mask
    found[:] = -1
    open_ = np.arange(len(keys))
    while len(open_):
        numbers = slots[places[open_]]
        open_, numbers = open_[numbers >= 0], numbers[numbers >= 0]
        same = (known[numbers] == keys[open_]).all(axis=1)
        found[open_[same]] = numbers[same]
        open_ = open_[~same]
        places[open_] = (places[open_] + np.uint64(1)) & mask
    return 0


def enter_keys(
    keys: Int64s, known: Int64s, slots: Slots, count: int, found: Int64s, start: int
) -> tuple[int, int]:
    """Put the number of each key from ``start`` on into ``found``; new ones are entered.

    Returns how many keys are known then, and where it stopped because there is no more room.
    """
    room = min(len(known), len(slots) // 2)
    find_keys(keys[start:], known, slots, count, found[start:])
    hashes = _hashes(keys)
    new: dict[bytes, int] = {}
    for row in (np.flatnonzero(found[start:] < 0) + start).tolist():
        key = keys[row].tobytes()
        number = new.get(key)
        if number is None:
            if count >= room:
                return count, row
            number = new[key] = count
            place = int(hashes[row]) & (len(slots) - 1)
            while slots[place] >= 0:
                place = (place + 1) & (len(slots) - 1)
            slots[place] = number
            known[number] = keys[row]
            count += 1
        found[row] = number
    return count, len(keys)


def and_codes(codes: npt.NDArray[np.uint8], words: UInt64s, masks: UInt64s) -> int:
    """AND into each mask the word of its row's code; returns 0."""
    np.bitwise_and(masks, words.take(codes), out=masks)
    return 0


def and_ids(ids: npt.NDArray[np.uint32], words: UInt64s, masks: UInt64s) -> int:
    """AND into each mask the word of its row's id; returns 0."""
    np.bitwise_and(masks, words.take(ids), out=masks)
    return 0


def and_ports(
    ports: npt.NDArray[np.uint16],
    valid: npt.NDArray[np.uint8],
    pages: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint16],
    words: UInt64s,
    masks: UInt64s,
) -> int:
    """AND into each mask the word of its row's port; word 0 is of null; returns 0.

    ``valid`` is empty where no port is null. ``pages`` says for each upper half of a port which
    page of ``classes`` its lower half is looked up in: most halves share one, so that little is
    read.
    """
    own = classes.take((pages.take(ports >> 8).astype(np.int64) << 8) | (ports & 255))
    if len(valid):
        own = np.where(valid == 0, 0, own)
    np.bitwise_and(masks, words.take(own), out=masks)
    return 0


def and_numbers(
    numbers: Int64s, valid: npt.NDArray[np.uint8], points: Int64s, words: UInt64s, masks: UInt64s
) -> int:
    """AND into each mask the word of its row's interval; word 0 is of null; returns 0."""
    own = np.searchsorted(points, numbers, side="right") + 1
    if len(valid):
        own = np.where(valid == 0, 0, own)
    np.bitwise_and(masks, words.take(own), out=masks)
    return 0


def any_of(masks: UInt64s) -> int:
    """Return the bits that some mask has."""
    return int(np.bitwise_or.reduce(masks)) if len(masks) else 0


def selected(masks: UInt64s, bits: np.uint64, refused: np.uint64) -> Bools:
    """Tell which masks have one of ``bits`` and none of ``refused``."""
    chosen: Bools = ((masks & bits) != 0) & ((masks & refused) == 0)
    return chosen


def rows_with(masks: UInt64s, bits: np.uint64, refused: np.uint64, places: Int64s) -> int:
    """Put the rows with one of ``bits``, none of ``refused`` into ``places``; returns how many."""
    rows = np.flatnonzero(selected(masks, bits, refused))
    places[: len(rows)] = rows
    return len(rows)


def find_groups(
    masks: UInt64s,
    bits: np.uint64,
    refused: np.uint64,
    processes: npt.NDArray[np.uint32],
    keys: npt.NDArray[np.int32],
    starts: Int64s,
    stops: Int64s,
    hosts: Int64s,
    known: Int64s,
    slots: Slots,
    rows: Int64s,
    ids: Int64s,
) -> int:
    """Put into ``rows`` which rows of some parts are selected and of a known group.

    Selected are those that have one of ``bits`` and none of ``refused``. A row's group is its host
    in the upper half, the key of its process in ``keys`` in the lower; its number goes into
    ``ids``. Returns how many rows there are.
    """
    places, owners = expanded(starts, stops)
    chosen = selected(masks[places], bits, refused)
    places, owners = places[chosen], owners[chosen]
    own = hosts[owners] << 32 | keys.take(processes[places]).astype(np.int64)
    found = np.empty(len(places), np.int64)
    find_keys(own.reshape(-1, 1), known, slots, 0, found)
    fits = found >= 0
    count = int(np.count_nonzero(fits))
    rows[:count] = places[fits]
    ids[:count] = found[fits]
    return count


def tally(groups: Int64s, ts_us: Int64s, counts: Int64s, firsts: Int64s, lasts: Int64s) -> int:
    """Count rows of groups, and note the first and the last time of each group; returns 0."""
    np.add.at(counts, groups, 1)
    np.minimum.at(firsts, groups, ts_us)
    np.maximum.at(lasts, groups, ts_us)
    return 0


def mark_ports(
    masks: UInt64s,
    bits: np.uint64,
    refused: np.uint64,
    ports: npt.NDArray[np.uint16],
    valid: npt.NDArray[np.uint8],
    starts: Int64s,
    hosts: Int64s,
    marked: UInt64s,
) -> int:
    """Set the bit of each port of a row that has one of ``bits``, none of ``refused``; returns 0.

    ``valid`` is empty where no port is null. Rows stand host after host from ``starts`` on.
    """
    rows = selected(masks, bits, refused)
    if len(valid):
        rows &= valid != 0
    owners = np.repeat(hosts, np.diff(starts))[rows]
    own = ports[rows].astype(np.int64)
    np.bitwise_or.at(marked, (owners, own >> 6), np.uint64(1) << (own & 63).astype(np.uint64))
    return 0
