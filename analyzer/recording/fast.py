"""Fast reading: blocks of lines into columns, by compiled code.

In: blocks. Out: parts of tables, and the lines that the strict reader has to read. Text becomes
numbers without an object per line or value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.recording.blocks import BLOCK_BYTES
from analyzer.recording.distinct import PROCESS_FIELDS
from analyzer.recording.entering import (
    Others,
    Rows,
    enter_lines,
)
from analyzer.recording.interning import Processes, Texts
from analyzer.recording.tokens import LAST_SIZE, make_fields
from analyzer.recording.vocabulary import (
    AGENT_SLOT,
    FIRST_OWN_SLOT,
    PROCESS_SLOT,
    TIME_SLOT,
    vocabulary,
)
from analyzer.telemetry.columns import DTYPES
from analyzer.telemetry.many_hosts import HostRows
from analyzer.telemetry.slices import Columns
from rules.telemetry.batch import NULLABLE_NUMBERS, Vector
from rules.telemetry.kinds import KINDS, Column, ColumnType
from rules.telemetry.recording import MAX_LINE_BYTES, MAX_PROBLEMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Lock

    import numpy.typing as npt

    from analyzer.recording.blocks import Block
    from analyzer.recording.lines import Part, Places
    from analyzer.telemetry.dictionary import Dictionary

_ROWS: Final = 16_384 + 24  # of one kind at once; no power of two, or all columns share a cache set
_OTHERS: Final = 16_384


class FastLines:
    """Takes blocks of lines apart.

    Attributes:
        unnamed: Lines of the first rows without agent.
        more_unnamed: How many more such rows there are.
    """

    def __init__(self, dictionary: Dictionary, lock: Lock) -> None:
        """Start with no block; ``lock`` guards the dictionary, which others may share."""
        self._lock = lock
        self._dictionary = dictionary
        self._vocabulary = vocabulary()
        self._fields = make_fields(self._vocabulary.process_of_name.size)
        self._texts = Texts(dictionary, block_bytes=BLOCK_BYTES)
        self._processes = Processes(dictionary)
        slots = int(self._vocabulary.first_slot[-1])
        self._rows = Rows(
            values=np.zeros((slots, _ROWS), np.int64),
            valid=np.zeros((slots, _ROWS), np.uint8),
            counts=np.zeros(len(KINDS), np.int64),
            touched=np.zeros(slots, np.uint8),
            process=np.zeros(PROCESS_FIELDS + 1, np.int64),
            unnamed=np.zeros(MAX_PROBLEMS + 1, np.int64),
        )
        self._others = Others(np.zeros((_OTHERS, 3), np.int64), np.zeros(1, np.int64))

    @property
    def unnamed(self) -> list[int]:
        """Return the lines of the first rows without agent."""
        count, *lines = map(int, self._rows.unnamed)
        return lines[:count]

    @property
    def more_unnamed(self) -> int:
        """Return how many rows without agent there are beside these."""
        return max(0, int(self._rows.unnamed[0]) - MAX_PROBLEMS)

    def take(self, block: Block) -> Iterator[Part]:
        """Yield the rows of a block by kind, and number, start and end of all other lines."""
        data = np.frombuffer(block.data, np.uint8)
        words = np.lib.stride_tricks.as_strided(
            data[:8].view(np.uint64), shape=(len(data) - 7,), strides=(1,), writeable=False
        )
        self._fields.last[:, LAST_SIZE] = -1  # they stood in another block
        start, number = 0, block.number
        while start < block.size:
            start, number = enter_lines(
                data,
                words,
                start,
                block.size,
                number,
                self._vocabulary,
                self._fields,
                self._texts.table,
                self._processes.table,
                self._rows,
                self._others,
                MAX_LINE_BYTES,
            )
            with self._lock:
                self._texts.settle()
                self._processes.settle(self._texts)
            yield self._tables(), self._other_lines()

    def _other_lines(self) -> Places:
        count = int(self._others.used[0])
        self._others.used[0] = 0
        return [(number, start, end) for number, start, end in self._others.lines[:count].tolist()]

    def _tables(self) -> list[HostRows]:
        counts = self._rows.counts.tolist()
        self._rows.counts[:] = 0
        return [
            self._table(kind, int(first), count)
            for kind, first, count in zip(
                KINDS, self._vocabulary.first_slot.tolist(), counts, strict=False
            )
            if count
        ]

    def _table(self, kind: str, first: int, count: int) -> HostRows:
        values = self._rows.values[:, :count]
        columns = {}
        for slot, column in enumerate(KINDS[kind].own, start=first + FIRST_OWN_SLOT):
            if self._rows.touched[slot]:
                columns[column.name] = self._vector(column, slot, count)
        table = HostRows(
            Columns(
                kind,
                values[first + TIME_SLOT].copy(),
                self._processes.ids.take(values[first + PROCESS_SLOT]),
                columns,
                self._dictionary,
            ),
            self._texts.plain.take(values[first + AGENT_SLOT]),
        )
        own = slice(first, first + FIRST_OWN_SLOT + len(KINDS[kind].own))
        self._rows.values[own, :count] = 0
        self._rows.valid[own, :count] = 0
        self._rows.touched[own] = 0
        return table

    def _vector(self, column: Column, slot: int, count: int) -> Vector:
        values = self._rows.values[slot, :count]
        if column.type in (ColumnType.TEXT, ColumnType.ADDRESS):
            return Vector(self._ids(column).take(values))
        valid = None
        if column.type in NULLABLE_NUMBERS:
            given = self._rows.valid[slot, :count]
            valid = None if given.all() else given.copy()
        return Vector(values.astype(DTYPES[column.type]), valid)

    def _ids(self, column: Column) -> npt.NDArray[np.uint32]:
        if column.type is ColumnType.ADDRESS:
            return self._texts.address
        return self._texts.lower if column.lower else self._texts.plain
