"""Batch builder: events become the columns of one batch, one at a time or many at once.

In: events with their process. Out: a ``Batch``. What one event at a time makes is what many at
once make, but for the order of the shared strings and processes, which means nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from rules.telemetry.batch import (
    FALSE,
    MAX_EVENTS,
    NULLABLE_NUMBERS,
    TRUE,
    TYPE_CODES,
    Batch,
    Table,
    Vector,
)
from rules.telemetry.event import MAX_TEXT_BYTES, Event, Process
from rules.telemetry.header import Header
from rules.telemetry.kinds import KINDS, Column, ColumnType
from rules.telemetry.scope import plain_address

MAX_TEXTS_BYTES = 4 * 1024 * 1024  # all texts of a batch, so that a full batch fits a message
REFUSALS: Final = (KeyError, OverflowError, TypeError)
"""What an event raises that its kind does not allow."""

_LONGEST_KEPT: Final = 256  # characters of a text that is remembered as it came
_TIME, _PROCESS = itemgetter(1), itemgetter(2)  # of an event


class BatchBuilder:
    """Collects events into the columns of one batch.

    Texts are made canonical on the way in: lower case where the column says so, IPv4-mapped
    addresses as IPv4, what is no UTF-8 replaced, and what is too long cut and marked. The event
    itself is kept, so that nobody can hide behind a file name.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._strings = _StringTable()
        self._processes = _ProcessTable()
        self._tables: dict[str, _TableBuilder] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return the number of events added so far."""
        return self._count

    @property
    def is_full(self) -> bool:
        """Tell whether the batch must be built before another event is added."""
        return self._count >= MAX_EVENTS or self._texts_bytes >= MAX_TEXTS_BYTES

    def add(self, event: Event) -> None:
        """Add one event; a refused one leaves no trace.

        Raises:
            KeyError: Unknown kind or column, or a value outside the column's closed list.
            OverflowError: A number outside the column's range.
            TypeError: A value of another type than the column's.
        """
        table = self._table(event.kind)
        process = 0 if event.process is None else self._processes[event.process]
        table.add(event.ts_us, process, event.values)
        self._count += 1

    def extend(self, events: Sequence[Event]) -> bool:
        """Add events at once, each in a fraction of the time that ``add`` takes.

        Returns:
            Whether they were added. If not, none was: one of them is refused, or not all of them
            fit, and ``add`` tells which.
        """
        if self._count + len(events) > MAX_EVENTS:
            return False
        kinds: dict[str, list[Event]] = {}
        for event in events:
            kinds.setdefault(event[0], []).append(event)
        texts, processes = len(self._strings.texts), len(self._processes.instances)
        rows = {kind: len(table) for kind, table in self._tables.items()}
        try:
            for kind, each in kinds.items():
                self._table(kind).extend(each, self._processes)
            is_done = self._texts_bytes < MAX_TEXTS_BYTES
        except REFUSALS:
            is_done = False
        if is_done:
            self._count += len(events)
            return True
        for kind, table in self._tables.items():
            table.cut(rows.get(kind, 0))
        self._strings.cut(texts)
        self._processes.cut(processes)
        return False

    def build(self, header: Header) -> Batch:
        """Return what was added as a batch; the builder must not be used afterwards."""
        return Batch(
            header=header,
            strings=tuple(self._strings.texts),
            processes=tuple(self._processes.instances),
            tables={name: table.build() for name, table in self._tables.items() if len(table)},
        )

    @property
    def _texts_bytes(self) -> int:
        return self._strings.size_bytes + self._processes.size_bytes

    def _table(self, kind: str) -> _TableBuilder:
        table = self._tables.get(kind)
        if table is None:
            table = self._tables[kind] = _TableBuilder(kind, self._strings)
        return table


_CUT = "…".encode()  # ends a text that was longer than MAX_TEXT_BYTES


def _clean(text: str) -> str:
    """Return text that UTF-8 can carry and that is no longer than ``MAX_TEXT_BYTES``."""
    data = text.encode("utf-8", "replace")
    if len(data) > MAX_TEXT_BYTES:
        data = data[: MAX_TEXT_BYTES - len(_CUT)] + _CUT
    return data.decode("utf-8", "ignore")


class _StringTable(dict[str, int]):
    """Text → index from 1; a text that is asked for and missing is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.size_bytes = 0

    def __missing__(self, text: str) -> int:
        clean = _clean(text)
        if clean != text:
            return self[clean]  # the raw text is not kept: it may be of any length
        self.texts.append(text)
        self.size_bytes += len(text.encode())
        self[text] = len(self.texts)
        return len(self.texts)

    def cut(self, count: int) -> None:
        """Forget what was entered after the first ``count`` texts."""
        for text in self.texts[count:]:
            del self[text]
            self.size_bytes -= len(text.encode())
        del self.texts[count:]


class _ProcessTable(dict[Process | None, int]):
    """Process instance → index from 1, nobody → 0; one that is missing is entered."""

    def __init__(self) -> None:
        super().__init__({None: 0})
        self.instances: list[Process] = []
        self.size_bytes = 0

    def __missing__(self, process: Process) -> int:
        clean = Process._make(_clean(item) if isinstance(item, str) else item for item in process)
        if clean != process:
            return self[clean]
        array("q", (item for item in process if isinstance(item, int)))  # checks their range
        self.instances.append(process)
        self.size_bytes += _texts_bytes(process)
        self[process] = len(self.instances)
        return len(self.instances)

    def cut(self, count: int) -> None:
        """Forget what was entered after the first ``count`` processes."""
        for process in self.instances[count:]:
            del self[process]
            self.size_bytes -= _texts_bytes(process)
        del self.instances[count:]


def _texts_bytes(process: Process) -> int:
    return sum(len(item.encode()) for item in process if isinstance(item, str))


class _TableBuilder:
    def __init__(self, kind: str, strings: _StringTable) -> None:
        self._kind = kind
        self._strings = strings
        self._sent = {column.name: column for column in KINDS[kind].sent}
        self._ts_us = array("q")
        self._process = array("I")
        self._columns: dict[str, _ColumnBuilder] = {}

    def __len__(self) -> int:
        return len(self._ts_us)

    def add(self, ts_us: int, process: int, values: Mapping[str, Any]) -> None:
        row = len(self._ts_us)
        try:
            for name, value in values.items():
                column = self._column(name)
                if value is not None:
                    column.extend(row, (value,))
            self._ts_us.append(ts_us)
        except REFUSALS:
            self.cut(row)
            raise
        self._process.append(process)

    def extend(self, events: Sequence[Event], processes: _ProcessTable) -> None:
        """Add rows; after an error there is more than there was, to be cut."""
        row = len(self._ts_us)
        values = [event[3] for event in events]
        for name in dict.fromkeys(chain.from_iterable(values)):
            try:
                column = list(map(itemgetter(name), values))
            except KeyError:
                column = [each.get(name) for each in values]
            self._column(name).extend(row, column)
        self._ts_us.extend(map(_TIME, events))
        self._process.extend(map(processes.__getitem__, map(_PROCESS, events)))

    def build(self) -> Table:
        rows = len(self._ts_us)
        built = ((name, self._columns[name]) for name in self._sent if name in self._columns)
        columns = {name: column.build(rows) for name, column in built if column.has_values}
        return Table(self._kind, self._ts_us, self._process, columns)

    def cut(self, rows: int) -> None:
        for column in self._columns.values():
            column.cut(rows)
        del self._ts_us[rows:]
        del self._process[rows:]

    def _column(self, name: str) -> _ColumnBuilder:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = _ColumnBuilder(self._sent[name], self._strings)
        return column


class _ColumnBuilder:
    """One column. What is no number is an index, found in a table of what is there."""

    def __init__(self, column: Column, strings: _StringTable) -> None:
        self._numbers = frozenset(column.numbers)
        self._values = array(TYPE_CODES[column.type])
        self._valid = bytearray()
        self._indexes: dict[Any, int] | None = None
        if column.type is ColumnType.CODE:
            self._indexes = {value: code for code, value in enumerate(column.closed, start=1)}
        elif column.type is ColumnType.BOOLEAN:
            self._indexes = {False: FALSE, True: TRUE}
        elif column.type not in NULLABLE_NUMBERS:
            self._indexes = _TextIndexes(column, strings)

    @property
    def has_values(self) -> bool:
        return 1 in self._valid

    def extend(self, row: int, values: Sequence[Any]) -> None:
        """Add values from a row on; None is null."""
        self._pad(row)
        has_null = None in values
        valid = bytes(value is not None for value in values) if has_null else b"\1" * len(values)
        if self._indexes is not None:
            index = self._indexes.__getitem__
            if has_null:
                values = [0 if value is None else index(value) for value in values]
            else:
                values = list(map(index, values))
        else:
            self._check_numbers(values)
            values = [0 if value is None else value for value in values] if has_null else values
        self._values.extend(array(self._values.typecode, values))  # from a list: the quickest
        self._valid += valid

    def build(self, rows: int) -> Vector:
        self._pad(rows)
        has_null = self._indexes is None and 0 in self._valid
        return Vector(self._values, self._valid if has_null else None)

    def cut(self, rows: int) -> None:
        del self._values[rows:]
        del self._valid[rows:]
        if isinstance(self._indexes, _TextIndexes):
            self._indexes.clear()  # some of them may be of texts that are cut, too

    def _check_numbers(self, values: Iterable[Any]) -> None:
        if self._numbers:
            for value in values:
                if value is not None and value not in self._numbers:
                    raise KeyError(value)

    def _pad(self, rows: int) -> None:
        missing = rows - len(self._values)
        if missing > 0:
            self._values.extend([0] * missing)
            self._valid.extend(bytes(missing))


class _TextIndexes(dict[Any, int]):
    """Text as it comes → index of its canonical form in the batch's strings."""

    def __init__(self, column: Column, strings: _StringTable) -> None:
        super().__init__()
        self._is_address = column.type is ColumnType.ADDRESS
        self._lower = column.lower
        self._strings = strings

    def __missing__(self, text: Any) -> int:  # noqa: ANN401
        if type(text) is not str:
            raise TypeError(text)
        canonical = plain_address(text) if self._is_address else text
        index = self._strings[canonical.lower() if self._lower else canonical]
        if len(text) <= _LONGEST_KEPT:
            self[text] = index
        return index
