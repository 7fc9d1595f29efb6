"""Strings: where they end in a block, and their hashes; compiled code.

In: bytes, as ``tokens`` has them. Out: ends and hashes of strings that stand for themselves; of one
with escapes, control characters or bytes that are no UTF-8: "not sure".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.compiled import compiled, inlined
from analyzer.text_bytes import SEED, finished, mixed, text_hash

if TYPE_CHECKING:
    import numpy.typing as npt

NOT_SURE: Final = -1

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_BYTE_BITS = np.uint64(8)
_QUOTE, _BACKSLASH, _SPACE = 0x22, 0x5C, 0x20
_LOW = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_QUOTES = np.uint64(0x2222222222222222)
_BACKSLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)
_NEWLINES = np.uint64(0x0A0A0A0A0A0A0A0A)
_TOP_SHIFT = np.uint64(56)
_SEED = np.uint64(SEED)


@compiled
def string_end(
    block: npt.NDArray[np.uint8], words: npt.NDArray[np.uint64], start: int
) -> tuple[int, np.uint64]:
    """Return where the string from ``start`` on has its quote, or ``NOT_SURE``, and its hash.

    Not sure: it has escapes or control characters, or bytes that are no UTF-8.
    """
    at = start
    hashed = _SEED
    while True:
        word = words[at]
        quotes = word ^ _QUOTES
        slashes = word ^ _BACKSLASHES
        # In each byte that ends the plain run, and maybe in some behind it, the high bit is set.
        ends = (
            ((quotes - _LOW) & ~quotes)
            | ((slashes - _LOW) & ~slashes)
            | ((word - _SPACES) & ~word)
            | word
        ) & _HIGH
        if ends:
            break
        hashed = mixed(hashed, word)
        at += 8
    plain = _low_bytes(ends)
    if plain:
        hashed = mixed(hashed, words[at] & ((_ONE << (plain * _BYTE_BITS)) - _ONE))
    at += np.int64(plain)
    if block[at] == _QUOTE:
        return at, finished(hashed, at - start)
    at = _unusual_end(block, at)
    if at < 0:
        return NOT_SURE, _ZERO
    return at, text_hash(words, start, at - start)


@inlined
def _unusual_end(block: npt.NDArray[np.uint8], at: int) -> int:
    """Return where a string with bytes beyond ASCII has its quote, or ``NOT_SURE``."""
    while block[at] != _QUOTE:
        first = block[at]
        if first < _SPACE or first == _BACKSLASH:
            return NOT_SURE
        size = _character_size(block, at)
        if size == 0:
            return NOT_SURE
        at += size
    return at


@inlined
def _character_size(block: npt.NDArray[np.uint8], at: int) -> int:
    """Return the number of bytes of the UTF-8 character at ``at``; 0 = none. Source: RFC 3629."""
    first, second = block[at], block[at + 1]
    size = 0
    low, high = 0x80, 0xBF  # of the second byte
    if first < 0x80:  # noqa: PLR2004 (the bounds are UTF-8's own)
        return 1
    if 0xC2 <= first <= 0xDF:  # noqa: PLR2004
        size = 2
    elif 0xE0 <= first <= 0xEF:  # noqa: PLR2004
        size = 3
        low = 0xA0 if first == 0xE0 else low  # noqa: PLR2004
        high = 0x9F if first == 0xED else high  # noqa: PLR2004
    elif 0xF0 <= first <= 0xF4:  # noqa: PLR2004
        size = 4
        low = 0x90 if first == 0xF0 else low  # noqa: PLR2004
        high = 0x8F if first == 0xF4 else high  # noqa: PLR2004
    if size == 0 or not low <= second <= high:
        return 0
    for place in range(at + 2, at + size):
        if block[place] & 0xC0 != 0x80:  # noqa: PLR2004
            return 0
    return size


@compiled
def line_end(words: npt.NDArray[np.uint64], start: int) -> int:
    """Return where the line that ``start`` is in ends, behind its newline."""
    at = start
    while True:
        newlines = words[at] ^ _NEWLINES
        ends = (newlines - _LOW) & ~newlines & _HIGH
        if ends:
            return at + np.int64(_low_bytes(ends)) + 1
        at += 8


@inlined
def _low_bytes(ends: np.uint64) -> np.uint64:
    """Return the number of bytes below the lowest set one; only high bits of bytes are set."""
    below = (ends & (~ends + _ONE)) - _ONE
    return (((below & _LOW) * _LOW) >> _TOP_SHIFT) - _ONE
