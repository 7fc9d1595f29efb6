"""Text bytes: hashes of texts as bytes, and whether two are equal; compiled code.

In: bytes, and the same memory as words of eight bytes that begin at each of them. Out: numbers that
spread well but are no secret: whoever looks a text up by its hash bounds what equal hashes cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.compiled import compiled, inlined

if TYPE_CHECKING:
    import numpy.typing as npt

SEED: Final = 0x9E3779B97F4A7C15
MULTIPLIER: Final = 0xD6E8FEB86659FD93

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_BYTE_BITS = np.uint64(8)
_HALF = np.uint64(32)
_LAST_SHIFT = np.uint64(29)
_SEED = np.uint64(SEED)
_MULTIPLIER = np.uint64(MULTIPLIER)


def words_of(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return the words that begin at each of some bytes, in the same memory; 8 bytes or more."""
    return np.ndarray((len(data) - 7,), np.uint64, data, strides=(1,))


@compiled
def is_same(
    words: npt.NDArray[np.uint64],
    start: int,
    other: npt.NDArray[np.uint64],
    other_start: int,
    size: int,
    step: int,
) -> bool:
    """Tell whether two texts of ``size`` bytes are equal.

    ``step`` is between words of the second one: 8 where it stands in a block, 1 in aligned words.
    """
    whole = size >> 3
    for index in range(whole):
        if words[start + 8 * index] != other[other_start + step * index]:
            return False
    rest = np.uint64(size & 7)
    if rest == _ZERO:
        return True
    difference = words[start + 8 * whole] ^ other[other_start + step * whole]
    return (difference & ((_ONE << (rest * _BYTE_BITS)) - _ONE)) == _ZERO


@compiled
def text_hash(words: npt.NDArray[np.uint64], start: int, size: int) -> np.uint64:
    """Return the hash of ``size`` bytes; ``recording.vocabulary.word_hash`` makes the same."""
    hashed = _SEED
    whole = size >> 3
    for index in range(whole):
        hashed = mixed(hashed, words[start + 8 * index])
    rest = np.uint64(size & 7)
    if rest:
        hashed = mixed(hashed, words[start + 8 * whole] & ((_ONE << (rest * _BYTE_BITS)) - _ONE))
    return finished(hashed, size)


@inlined
def mixed(hashed: np.uint64, word: np.uint64) -> np.uint64:
    """Return the hash of what was before, and of one more word."""
    hashed = (hashed ^ word) * _MULTIPLIER
    return hashed ^ (hashed >> _HALF)


@inlined
def finished(hashed: np.uint64, size: int) -> np.uint64:
    """Return the hash of a whole text of ``size`` bytes."""
    hashed = (hashed ^ np.uint64(size)) * _MULTIPLIER
    return hashed ^ (hashed >> _LAST_SHIFT)
