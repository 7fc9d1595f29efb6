"""Distinct: texts and process instances, each entered once, by compiled code.

In: strings of a block and processes made of them. Out: a small number for each, and tables from
which ``interning`` makes ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analyzer.compiled import compiled, inlined
from analyzer.recording.tokens import Fields
from analyzer.text_bytes import is_same

if TYPE_CHECKING:
    import numpy.typing as npt

PROCESS_FIELDS: Final = 8

_ONE = np.uint64(1)
_PROCESS_MULTIPLIER = np.uint64(0x9FB21C651E98DF25)
_PROCESS_SHIFT = np.uint64(28)


class TextTable(NamedTuple):
    """Distinct texts as they stand in the file; 0 is no text."""

    table: npt.NDArray[np.int32]
    """Open addressing; 0 = free. Never more than half full."""
    hashes: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int64]
    """By text: its first word in ``arena``."""
    sizes: npt.NDArray[np.int64]
    arena: npt.NDArray[np.uint64]
    used: npt.NDArray[np.int64]
    """How many texts there are, null included, and how many words of the arena."""


class ProcessTable(NamedTuple):
    """Distinct process instances, their texts as numbers of ``TextTable``; 0 is no process."""

    table: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.uint64]
    fields: npt.NDArray[np.int64]
    """By process: its fields, and behind them one bit for each that is there."""
    used: npt.NDArray[np.int64]
    """How many processes there are, none included, and which one came last."""


@compiled
def text_id(words: npt.NDArray[np.uint64], index: int, fields: Fields, texts: TextTable) -> int:
    """Return the number of the string in a field, or -1 where there is no room for it."""
    start, size, hashed = fields.value[index], fields.size[index], fields.hash[index]
    mask = np.uint64(texts.table.size - 1)
    at = hashed & mask
    while True:
        text = np.int64(texts.table[at])
        if text == 0:
            break
        if (
            texts.hashes[text] == hashed
            and texts.sizes[text] == size
            and is_same(words, start, texts.arena, texts.starts[text], size, 1)
        ):
            return text
        at = (at + _ONE) & mask
    text, first = texts.used[0], texts.used[1]
    last = first + ((size + 7) >> 3)
    if text >= len(texts.hashes) or last > len(texts.arena):
        return -1
    for place in range(first, last):
        texts.arena[place] = words[start + 8 * (place - first)]
    texts.hashes[text], texts.starts[text], texts.sizes[text] = hashed, first, size
    texts.table[at] = text
    texts.used[0], texts.used[1] = text + 1, last
    return text


@compiled
def process_id(processes: ProcessTable, wanted: npt.NDArray[np.int64]) -> int:
    """Return the number of a process instance, or -1 where there is no room for it."""
    last = processes.used[1]
    if _are_equal(processes.fields[last], wanted):
        return last
    hashed = _PROCESS_MULTIPLIER
    for value in wanted:
        hashed = (hashed ^ np.uint64(value)) * _PROCESS_MULTIPLIER
        hashed ^= hashed >> _PROCESS_SHIFT
    mask = np.uint64(processes.table.size - 1)
    at = hashed & mask
    while True:
        process = np.int64(processes.table[at])
        if process == 0:
            break
        if processes.hashes[process] == hashed and _are_equal(processes.fields[process], wanted):
            processes.used[1] = process
            return process
        at = (at + _ONE) & mask
    process = processes.used[0]
    if process >= len(processes.hashes):
        return -1
    processes.hashes[process] = hashed
    for index in range(len(wanted)):
        processes.fields[process, index] = wanted[index]
    processes.table[at] = process
    processes.used[0] += 1
    processes.used[1] = process
    return process


@compiled
def fill_table(table: npt.NDArray[np.int32], hashes: npt.NDArray[np.uint64]) -> None:
    """Enter every number but 0 into an empty hash table, whose size is a power of two."""
    mask = np.uint64(table.size - 1)
    for number in range(1, len(hashes)):
        at = hashes[number] & mask
        while table[at] != 0:
            at = (at + _ONE) & mask
        table[at] = number


@inlined
def _are_equal(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> bool:
    for index in range(len(one)):
        if one[index] != other[index]:
            return False
    return True
