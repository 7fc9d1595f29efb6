"""Text table: ids of texts by their bytes, looked up by compiled code.

In: texts as they lie in a message. Out: the id of each that was entered before, so that no object
is made of it. What is not found is looked up, or entered, by whoever knows all texts.

Memory: 16 bytes and the text, in words, for each; the table of places is never more than half full.
A look is at ``MAX_PLACES`` at most, so that texts that somebody made to collide cost little: those
that find no place there are not entered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analyzer.compiled import compiled, inlined
from analyzer.text_bytes import is_same, text_hash, words_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from rules.telemetry.texts import Texts

MAX_PLACES: Final = 64  # that are looked at for one text; hardly ever more than a few
_HEAD: Final = 2  # words before a text: its hash; its id, and above it the size

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_LOWER = np.uint64(0xFFFF_FFFF)
_UPPER = np.uint64(0xFFFF_FFFF_0000_0000)
_HALF = np.uint64(32)
_NOTHING = np.uint64(0xFFFF_FFFF_FFFF_FFFF)  # no text is as long


class _Arrays(NamedTuple):
    places: npt.NDArray[np.uint64]
    """Open addressing: the upper half of a hash, and where the text's head is; 0 = free."""
    arena: npt.NDArray[np.uint64]
    """Heads and texts; the first word is none of them."""
    used: npt.NDArray[np.int64]
    """How many texts there are, and how many words of the arena."""


class _Looked(NamedTuple):
    """What each text was found to have so far; one item per text."""

    hashes: npt.NDArray[np.uint64]
    places: npt.NDArray[np.uint64]
    """The first of its places."""
    ids: npt.NDArray[np.uint64]
    """The second word of the head there."""


class TextTable:
    """Ids by the bytes of texts."""

    def __init__(self, room: int = 1 << 12) -> None:
        """Start with none, and room for as many as that power of two says."""
        self._arrays = _Arrays(
            np.zeros(2 * room, np.uint64),
            np.zeros(8 * room, np.uint64),
            np.array([0, 1], np.int64),
        )

    def find(self, texts: Texts, ids: npt.NDArray[np.uint32]) -> None:
        """Write the id of each text to ``ids``; those that are not known here stay as they are."""
        looked = _Looked(*np.empty((3, len(texts)), np.uint64))
        _find(_padded(texts), texts.starts, texts.sizes, self._arrays, looked, ids)

    def enter(self, texts: Texts, ids: npt.NDArray[np.uint32]) -> None:
        """Keep the id of each text; of one that is known, it is the same."""
        self._make_room(len(texts), int(texts.sizes.sum()) // 8 + (_HEAD + 1) * len(texts))
        _enter(_padded(texts), texts.starts, texts.sizes, self._arrays, ids)

    def _make_room(self, texts: int, words: int) -> None:
        places, arena, used = self._arrays
        count, end = used.tolist()
        if end + words > len(arena):
            arena = np.zeros(max(2 * len(arena), end + words), np.uint64)
            arena[:end] = self._arrays.arena[:end]
        if 2 * (count + texts) > len(places):
            places = np.zeros(1 << (2 * (count + texts)).bit_length(), np.uint64)
            _fill(places, arena, end)
        self._arrays = _Arrays(places, arena, used)


def _padded(texts: Texts) -> npt.NDArray[np.uint64]:
    """Return the words that begin at each byte, with room for the last one."""
    data = np.empty(len(texts.data) + 8, np.uint8)
    data[:-8] = texts.data
    data[-8:] = 0
    return words_of(data)


@compiled
def _find(
    words: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.intp],
    sizes: npt.NDArray[np.intp],
    table: _Arrays,
    looked: _Looked,
    ids: npt.NDArray[np.uint32],
) -> None:
    """Find texts in three passes: what one of them waits for in memory, all wait for at once."""
    places, arena = table.places, table.arena
    mask = np.uint64(len(places) - 1)
    for index in range(len(starts)):
        hashed = text_hash(words, starts[index], sizes[index])
        looked.hashes[index] = hashed
        looked.places[index] = places[hashed & mask]
    for index in range(len(starts)):
        place = looked.places[index]
        is_near = place != _ZERO and (place ^ looked.hashes[index]) & _UPPER == _ZERO
        looked.ids[index] = arena[np.int64(place & _LOWER) + 1] if is_near else _NOTHING
    for index in range(len(starts)):
        start, size, found = starts[index], sizes[index], looked.ids[index]
        text = np.int64(looked.places[index] & _LOWER) + _HEAD
        if np.int64(found >> _HALF) != size or not is_same(words, start, arena, text, size, 1):
            head = _head_of(words, start, size, looked.hashes[index], table)
            found = arena[head + 1] if head > 0 else _ZERO
        if found != _ZERO:
            ids[index] = found & _LOWER


@compiled
def _enter(
    words: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.intp],
    sizes: npt.NDArray[np.intp],
    table: _Arrays,
    ids: npt.NDArray[np.uint32],
) -> None:
    """Enter what is not there; there is room."""
    arena = table.arena
    for index in range(len(starts)):
        start, size = starts[index], sizes[index]
        hashed = text_hash(words, start, size)
        if _head_of(words, start, size, hashed, table) > 0:
            continue
        head = table.used[1]
        if not _take_place(table.places, hashed, head):
            continue
        arena[head] = hashed
        arena[head + 1] = (np.uint64(size) << _HALF) | np.uint64(ids[index])
        whole = size >> 3
        for word in range(whole):
            arena[head + _HEAD + word] = words[start + 8 * word]
        rest = np.uint64(size & 7)
        if rest != _ZERO:
            mask = (_ONE << (rest << np.uint64(3))) - _ONE
            arena[head + _HEAD + whole] = words[start + 8 * whole] & mask
        table.used[0] += 1
        table.used[1] = head + _HEAD + ((size + 7) >> 3)


@compiled
def _fill(places: npt.NDArray[np.uint64], arena: npt.NDArray[np.uint64], end: int) -> None:
    """Enter all texts of an arena into empty places."""
    head = 1
    while head < end:
        _take_place(places, arena[head], head)
        head += _HEAD + ((np.int64(arena[head + 1] >> _HALF) + 7) >> 3)


@inlined
def _head_of(
    words: npt.NDArray[np.uint64], start: int, size: int, hashed: np.uint64, table: _Arrays
) -> int:
    """Return where the head of a text is; 0 where it is not known."""
    mask = np.uint64(len(table.places) - 1)
    arena = table.arena
    found = 0
    for step in range(MAX_PLACES):
        place = table.places[(hashed + np.uint64(step)) & mask]
        if place == _ZERO:
            break
        if (place ^ hashed) & _UPPER == _ZERO:
            head = np.int64(place & _LOWER)
            if np.int64(arena[head + 1] >> _HALF) == size and is_same(
                words, start, arena, head + _HEAD, size, 1
            ):
                found = head
                break
    return found


@inlined
def _take_place(places: npt.NDArray[np.uint64], hashed: np.uint64, head: int) -> bool:
    """Note where a text is, if one of its places is free."""
    mask = np.uint64(len(places) - 1)
    is_free = False
    for step in range(MAX_PLACES):
        at = (hashed + np.uint64(step)) & mask
        if places[at] == _ZERO:
            places[at] = (hashed & _UPPER) | np.uint64(head)
            is_free = True
            break
    return is_free
