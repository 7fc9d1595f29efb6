"""Rendering: the canonical lines of very many rows, made a column at a time.

In: rows of many hosts in columns. Out: the bytes that ``lines.ordered_lines`` makes, by compiled
code. It is loaded only where there are enough rows to make up for that.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from analyzer.canonical.fragments import EMPTY, Fragments, words_of
from analyzer.canonical.writing import (
    CONSTANT,
    FRAGMENT,
    NULLABLE_NUMBER,
    NUMBER,
    PADDING_BYTES,
    Cells,
    gather_lines,
    write_lines,
)
from rules.telemetry.batch import NULLABLE_NUMBERS
from rules.telemetry.event import PROCESS_ROW_KEYS
from rules.telemetry.kinds import KINDS, ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.many_hosts import HostRows

_TEXTS: Final = (ColumnType.TEXT, ColumnType.ADDRESS)
_ALWAYS: Final = ("agent_id", "telemetry", "ts_us")
_FIRST_BYTES: Final = 1 << 20


class _Cell(NamedTuple):
    """A part of all lines of a table; neighbours may be one part."""

    type: int
    prefix: int
    values: npt.NDArray[Any] | None = None
    valid: npt.NDArray[np.uint8] | None = None


class Renderer:
    """Makes canonical lines of rows of one dictionary."""

    def __init__(self, dictionary: Dictionary) -> None:
        """Start with no lines."""
        self._fragments = Fragments(dictionary)
        self._lines = _Buffer(_FIRST_BYTES)
        self._ordered = [_Buffer(_FIRST_BYTES), _Buffer(_FIRST_BYTES)]

    def ordered_lines(self, tables: Sequence[HostRows]) -> memoryview:
        """Return the canonical lines of all rows, by time and bytes, until the next call but one.

        So they may be hashed while the next ones are made.
        """
        starts = [np.zeros(1, np.int64)]
        for table in tables:
            before = starts.pop()
            starts += [before[:-1], self._write(table, int(before[-1]))]
        bounds = np.concatenate(starts)
        times = np.concatenate([table.columns.ts_us for table in tables])
        order = self._order(times, bounds)
        size = int(bounds[-1])
        older, newer = self._ordered
        if order is None:
            older, self._lines = self._lines, older
        else:
            older.make_room(0, size)
            gather_lines(self._lines.words, bounds, order, older.words)
        self._ordered = [newer, older]
        return older.view(size)

    def _write(self, table: HostRows, start: int) -> npt.NDArray[np.int64]:
        """Write the lines of a table from ``start`` on; return where each begins and ends."""
        fragments, lines = self._fragments, self._lines
        cells = _packed([*self._cells(table)], len(table))
        longest = len(cells.type) * fragments.longest_pair
        starts, row = np.full(len(table) + 1, start, np.int64), 0
        while row < len(table):
            lines.make_room(int(starts[row]), longest)
            row = write_lines(
                cells,
                fragments.words,
                row,
                lines.data,
                lines.words,
                starts,
                longest,
            )
        return starts

    def _cells(self, table: HostRows) -> Iterator[_Cell]:
        """Yield the parts of a line in the order of their names."""
        columns, fragments = table.columns, self._fragments
        names = sorted({*_ALWAYS, *PROCESS_ROW_KEYS, *columns.columns})
        for is_process, run in groupby(names, PROCESS_ROW_KEYS.__contains__):
            if is_process:
                values = fragments.of_processes(tuple(run), columns.process)
                yield _Cell(FRAGMENT, EMPTY, values)
                continue
            for name in run:
                yield self._column(table, name)

    def _column(self, table: HostRows, name: str) -> _Cell:
        columns, fragments = table.columns, self._fragments
        if name == "telemetry":
            return _Cell(CONSTANT, int(fragments.of_closed(name, (columns.kind,))[1]))
        prefix = fragments.of_name(name)
        if name == "agent_id":
            return _Cell(FRAGMENT, prefix, fragments.texts.take(table.agents))
        if name == "ts_us":
            return _Cell(NUMBER, prefix, columns.ts_us)
        vector = columns.columns[name]
        column = KINDS[columns.kind].columns[name]
        if column.type in _TEXTS:
            return _Cell(FRAGMENT, prefix, fragments.texts.take(vector.values))
        if column.type in NULLABLE_NUMBERS:
            type_ = NUMBER if vector.valid is None else NULLABLE_NUMBER
            return _Cell(type_, prefix, vector.values, vector.valid)
        is_boolean = column.type is ColumnType.BOOLEAN
        closed = fragments.of_closed(name, (False, True) if is_boolean else column.closed)
        return _Cell(FRAGMENT, EMPTY, closed.take(vector.values))

    def _order(
        self, times: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64] | None:
        """Return the order of the lines by time and bytes; None = as they are."""
        steps = np.diff(times)
        if (steps > 0).all():
            return None
        order = np.argsort(times, kind="stable")
        is_tied = np.diff(times[order]) == 0
        edges = np.flatnonzero(np.diff(np.concatenate(([0], is_tied.astype(np.int8), [0]))))
        data = self._lines.view(int(bounds[-1]))
        begins, ends = bounds[:-1].tolist(), bounds[1:].tolist()
        for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            group = order[low : high + 1].tolist()
            group.sort(key=lambda line: bytes(data[begins[line] : ends[line]]))
            order[low : high + 1] = group
        return order


def _packed(cells: Sequence[_Cell], rows: int) -> Cells:
    """Return the cells of a table with their values in one array."""
    values = np.empty((len(cells), rows), np.int64)
    valid = np.empty((len(cells), rows), np.uint8)
    for place, cell in enumerate(cells):
        if cell.values is not None:
            values[place] = cell.values
        if cell.valid is not None:
            valid[place] = cell.valid
    return Cells(
        type=np.array([cell.type for cell in cells], np.uint8),
        prefix=np.array([cell.prefix for cell in cells], np.int64),
        values=values,
        valid=valid,
    )


class _Buffer:
    """Bytes that are written by compiled code."""

    def __init__(self, size: int) -> None:
        self.data = np.zeros(size + PADDING_BYTES, np.uint8)
        self.words = words_of(self.data)

    def make_room(self, used: int, size: int) -> None:
        """Make room for ``size`` more bytes behind the first ``used`` ones, which stay."""
        if used + size + PADDING_BYTES > len(self.data):
            before = self.data
            self.data = np.zeros(2 * len(before) + size, np.uint8)
            self.data[:used] = before[:used]
            self.words = words_of(self.data)

    def view(self, size: int) -> memoryview:
        return self.data.data[:size]
