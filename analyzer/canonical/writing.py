"""Writing: lines of JSON from columns of numbers, by compiled code.

In: for each row and column a fragment of text, told by where it stands, or an integer. Out: the
bytes of the lines, and where each begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analyzer.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

PADDING_BYTES: Final = 64  # behind every buffer: copies are made in steps of 32 bytes
# A fragment is told by where it begins, and in the lower bits its size; 0 is none.
SIZE_BITS: Final = 28
# What the values of a cell are.
CONSTANT, FRAGMENT, NUMBER, NULLABLE_NUMBER = range(4)
_DIGIT_0: Final = 0x30
_MINUS: Final = 0x2D
_OPEN: Final = 0x7B
_CLOSE: Final = 0x7D
_NEWLINE: Final = 0x0A
_SIZE_MASK: Final = (1 << SIZE_BITS) - 1
_ZERO = np.uint64(0)
_TEN = np.uint64(10)
_HUNDRED = np.uint64(100)
_TWO_DIGITS = np.frombuffer(b"".join(b"%02d" % number for number in range(100)), np.uint8)


class Cells(NamedTuple):
    """The parts of the lines of a table, in their order."""

    type: npt.NDArray[np.uint8]
    """By cell: ``CONSTANT``, and there are no values; ``FRAGMENT``, where 0 is null; numbers."""
    prefix: npt.NDArray[np.int64]
    """By cell: the fragment that stands before a value that is not null."""
    values: npt.NDArray[np.int64]
    """By cell and row."""
    valid: npt.NDArray[np.uint8]
    """By cell and row: whether a nullable number is there."""


@compiled
def write_lines(
    cells: Cells,
    fragments: npt.NDArray[np.uint64],
    first: int,
    out: npt.NDArray[np.uint8],
    out_words: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.int64],
    longest: int,
) -> int:
    """Write the rows from ``first`` on, and return the row before which ``out`` was full.

    Args:
        cells: What their lines are made of.
        fragments: Bytes, as unaligned words.
        first: Row to begin with, at ``starts[first]``.
        out: Where lines go.
        out_words: The same, as unaligned words.
        starts: By row, and one more: where its line begins.
        longest: No line has more bytes.
    """
    count, rows = cells.values.shape
    at = starts[first]
    for row in range(first, rows):
        starts[row] = at
        if at + longest + PADDING_BYTES > out.size:
            return row
        for cell in range(count):
            what = cells.type[cell]
            if what == CONSTANT:
                at = _copy(fragments, cells.prefix[cell], out_words, at)
                continue
            value = cells.values[cell, row]
            if what == FRAGMENT:
                if value != 0:
                    at = _copy(fragments, cells.prefix[cell], out_words, at)
                    at = _copy(fragments, value, out_words, at)
            elif what == NUMBER or cells.valid[cell, row] != 0:
                at = _copy(fragments, cells.prefix[cell], out_words, at)
                at = _write_number(out, at, value)
        out[starts[row]] = _OPEN  # instead of the comma before the first name
        out[at] = _CLOSE
        out[at + 1] = _NEWLINE
        at += 2
    starts[rows] = at
    return rows


@compiled
def gather_lines(
    words: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    out_words: npt.NDArray[np.uint64],
) -> int:
    """Copy lines in another order, and return their size together."""
    at = 0
    for index in range(len(order)):
        line = order[index]
        start = starts[line]
        size = starts[line + 1] - start
        for step in range(0, size, 32):
            one, two = words[start + step], words[start + step + 8]
            three, four = words[start + step + 16], words[start + step + 24]
            out_words[at + step], out_words[at + step + 8] = one, two
            out_words[at + step + 16], out_words[at + step + 24] = three, four
        at += size
    return at


@compiled
def _copy(
    fragments: npt.NDArray[np.uint64],
    fragment: int,
    out_words: npt.NDArray[np.uint64],
    at: int,
) -> int:
    start, size = fragment >> SIZE_BITS, fragment & _SIZE_MASK
    for step in range(0, size, 32):  # mostly once
        one, two = fragments[start + step], fragments[start + step + 8]
        three, four = fragments[start + step + 16], fragments[start + step + 24]
        out_words[at + step], out_words[at + step + 8] = one, two
        out_words[at + step + 16], out_words[at + step + 24] = three, four
    return at + size


@compiled
def _write_number(out: npt.NDArray[np.uint8], at: int, value: int) -> int:
    left = np.uint64(value)
    if value < 0:
        out[at] = _MINUS
        at += 1
        left = _ZERO - left
    digits = 1
    bound = _TEN
    while left >= bound and digits < 19:  # noqa: PLR2004 (64 bits have at most 19 digits)
        digits += 1
        bound *= _TEN
    place = at + digits
    while left >= _TEN:
        rest = left // _HUNDRED
        pair = np.int64(left - rest * _HUNDRED) * 2
        place -= 2
        out[place], out[place + 1] = _TWO_DIGITS[pair], _TWO_DIGITS[pair + 1]
        left = rest
    if place > at:
        out[at] = np.uint8(_DIGIT_0 + np.int64(left))
    return at + digits
