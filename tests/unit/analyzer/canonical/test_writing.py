"""Compiled writing of lines, called as the renderer calls it."""

import numpy as np
import pytest

from analyzer.canonical.fragments import words_of
from analyzer.canonical.writing import (
    CONSTANT,
    FRAGMENT,
    NULLABLE_NUMBER,
    NUMBER,
    PADDING_BYTES,
    SIZE_BITS,
    Cells,
    gather_lines,
    write_lines,
)

pytestmark = pytest.mark.timeout(120)  # the first call compiles

LONG = b'"' + b"x" * 100 + b'"'
TEXT = b',"a":' + LONG + b',"k":"v",'
NAME, VALUE, FIXED = 0 << SIZE_BITS | 5, 5 << SIZE_BITS | len(LONG), 107 << SIZE_BITS | 8
LONGEST = 200


def cells(*, numbers: list[int], valid: list[int], texts: list[int]) -> Cells:
    """Return a table of a text, a constant, a number, and a number that may be null."""
    rows = len(numbers)
    nothing = [0] * rows
    return Cells(
        type=np.array([FRAGMENT, CONSTANT, NUMBER, NULLABLE_NUMBER], np.uint8),
        prefix=np.array([NAME, FIXED, NAME, NAME]),
        values=np.array([texts, nothing, numbers, numbers], np.int64),
        valid=np.array([nothing, nothing, nothing, valid], np.uint8),
    )


def written(table: Cells, room: int) -> tuple[list[bytes], list[int]]:
    """Return the lines, and the rows at which the buffer was full."""
    rows = table.values.shape[1]
    fragments = words_of(np.frombuffer(TEXT + bytes(PADDING_BYTES), np.uint8))
    starts = np.zeros(rows + 1, np.int64)
    stops, lines, row = [], [], 0
    while row < rows:
        out = np.zeros(room, np.uint8)
        first, starts[row] = row, 0
        row = write_lines(table, fragments, row, out, words_of(out), starts, LONGEST)
        bounds = starts[first : row + 1].tolist()
        lines += [out[bounds[i] : bounds[i + 1]].tobytes() for i in range(row - first)]
        stops.append(row)
    return lines, stops


NUMBERS = [0, 9, 10, 99, 100, -1, -10, 2**63 - 1, -(2**63), 10**18, 10**18 - 1]


def test_numbers_are_those_that_python_writes() -> None:
    count = len(NUMBERS)
    table = cells(numbers=NUMBERS, valid=[1] * count, texts=[0] * count)
    lines, _ = written(table, 10_000)
    assert lines == [b'{"k":"v","a":%d,"a":%d}\n' % (number, number) for number in NUMBERS]


def test_null_is_left_out_and_long_text_is_whole() -> None:
    lines, _ = written(cells(numbers=[1, 2], valid=[0, 1], texts=[VALUE, 0]), 10_000)
    assert lines == [b'{"a":' + LONG + b',"k":"v","a":1}\n', b'{"k":"v","a":2,"a":2}\n']


def test_writing_goes_on_where_the_buffer_was_full() -> None:
    table = cells(numbers=[*range(50)], valid=[1] * 50, texts=[VALUE] * 50)
    whole, _ = written(table, 100_000)
    parts, stops = written(table, LONGEST + PADDING_BYTES + 1)
    assert parts == whole
    assert stops == [*range(1, 51)]


def test_lines_are_gathered_in_any_order() -> None:
    lines = [b"a\n", b"x" * 40 + b"\n", b"\n"]
    data = np.frombuffer(b"".join(lines) + bytes(PADDING_BYTES), np.uint8)
    out = np.zeros(200, np.uint8)
    starts = np.cumsum([0, *map(len, lines)])
    size = gather_lines(words_of(data), starts, np.array([2, 0, 1]), words_of(out))
    assert out[:size].tobytes() == lines[2] + lines[0] + lines[1]
