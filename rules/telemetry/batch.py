"""Batch: what an agent sends at once, and the event it is made of.

In: events with their process. Out: typed columns per kind that share one table of strings and one
of process instances. Every batch stands alone: nothing in it refers to another batch.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rules.telemetry.event import MAX_TEXT_BYTES, PROCESS_ROW_KEYS, Event, Process, Row
from rules.telemetry.header import Coverage, Header, Loss
from rules.telemetry.kinds import KINDS, Column, ColumnType
from rules.telemetry.scope import plain_address

__all__ = [
    "FALSE",
    "MAX_EVENTS",
    "MAX_TEXTS_BYTES",
    "NULLABLE_NUMBERS",
    "PROCESS_ROW_KEYS",
    "TRUE",
    "TYPE_CODES",
    "Batch",
    "BatchBuilder",
    "Coverage",
    "Event",
    "Header",
    "Loss",
    "Process",
    "Row",
    "Table",
    "Vector",
]

MAX_EVENTS = 10_000  # rows of one batch over all kinds: bounds memory on both sides
MAX_TEXTS_BYTES = 4 * 1024 * 1024  # all texts of a batch, so that a full batch fits a message
# Array type codes of columns in memory. Codes, texts and booleans are indexes where 0 is null.
TYPE_CODES: dict[ColumnType, str] = {
    ColumnType.TEXT: "I",
    ColumnType.ADDRESS: "I",
    ColumnType.CODE: "B",
    ColumnType.BOOLEAN: "B",
    ColumnType.PORT: "H",
    ColumnType.INTEGER: "q",
}
NULLABLE_NUMBERS = frozenset({ColumnType.PORT, ColumnType.INTEGER})
FALSE, TRUE = 1, 2  # a boolean column's indexes; 0 is null


class Vector(NamedTuple):
    """The values of one column, one per row, and which of them are there.

    ``values`` is an ``array.array`` on the agent and a numpy array on the analyzer; its type is
    ``TYPE_CODES``. ``valid`` has one byte per row (1 = there) or is None where no row is null;
    only number columns have it, since the others use index 0 for null.
    """

    values: Any
    valid: Any = None


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of one kind: ``ts_us``, process index (0 = none, else 1 + row) and columns.

    A column that is null in every row is left out of ``columns``.
    """

    kind: str
    ts_us: Any
    process: Any
    columns: Mapping[str, Vector]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ts_us)


@dataclass(frozen=True, slots=True)
class Batch:
    """One message of telemetry. ``strings[i - 1]`` is the text of index ``i``."""

    header: Header
    strings: Sequence[str]
    processes: Sequence[Process]
    tables: Mapping[str, Table]
    ignored: tuple[str, ...] = ()
    """Kinds and columns (``kind.column``) that a newer sender sent and this version knows nothing
    of: left out of ``tables``, to be counted."""

    def __len__(self) -> int:
        """Return the number of events."""
        return sum(len(table) for table in self.tables.values())

    def rows(self) -> Iterator[Row]:
        """Yield every event as a row, kind after kind, in the order they were added."""
        processes = [_process_row(process) for process in self.processes]
        for table in self.tables.values():
            yield from _table_rows(table, self.header.agent_id, self.strings, processes)


def _process_row(process: Process) -> Row:
    return {
        key: value
        for key, value in zip(PROCESS_ROW_KEYS, process, strict=True)
        if value is not None
    }


def _table_rows(
    table: Table, agent_id: str, strings: Sequence[str], processes: list[Row]
) -> Iterator[Row]:
    kind = KINDS[table.kind]
    columns = [
        (name, _decoded(kind.columns[name], vector, strings))
        for name, vector in table.columns.items()
    ]
    for index, (ts_us, process) in enumerate(
        zip(table.ts_us.tolist(), table.process.tolist(), strict=True)
    ):
        row: Row = {"telemetry": table.kind, "ts_us": ts_us, "agent_id": agent_id}
        if process:
            row.update(processes[process - 1])
        for name, values in columns:
            if values[index] is not None:
                row[name] = values[index]
        yield row


def _decoded(column: Column, vector: Vector, strings: Sequence[str]) -> list[Any]:
    values = vector.values.tolist()
    if column.type in (ColumnType.TEXT, ColumnType.ADDRESS):
        return [strings[value - 1] if value else None for value in values]
    if column.type is ColumnType.CODE:
        closed = (None, *column.closed)
        return [closed[value] for value in values]
    if column.type is ColumnType.BOOLEAN:
        return [(None, False, True)[value] for value in values]
    if vector.valid is None:
        return list(values)
    return [value if ok else None for value, ok in zip(values, vector.valid, strict=True)]


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
        texts_bytes = self._strings.size_bytes + self._processes.size_bytes
        return self._count >= MAX_EVENTS or texts_bytes >= MAX_TEXTS_BYTES

    def add(self, event: Event) -> None:
        """Add one event; a refused one leaves no trace.

        Raises:
            KeyError: Unknown kind or column, or a value outside the column's closed list.
            OverflowError: A number outside the column's range.
            TypeError: A value of another type than the column's.
        """
        table = self._tables.get(event.kind)
        if table is None:
            table = self._tables[event.kind] = _TableBuilder(event.kind)
        process = 0 if event.process is None else self._processes[event.process]
        table.add(event.ts_us, process, event.values, self._strings)
        self._count += 1

    def build(self, header: Header) -> Batch:
        """Return what was added as a batch; the builder must not be used afterwards."""
        return Batch(
            header=header,
            strings=tuple(self._strings.texts),
            processes=tuple(self._processes.instances),
            tables={name: table.build() for name, table in self._tables.items() if len(table)},
        )


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
        if type(text) is not str:
            raise TypeError(text)
        clean = _clean(text)
        if clean != text:
            return self[clean]  # the raw text is not kept: it may be of any length
        self.texts.append(text)
        self.size_bytes += len(text.encode())
        self[text] = len(self.texts)
        return len(self.texts)


class _ProcessTable(dict[Process, int]):
    """Process instance → index from 1; one that is asked for and missing is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.instances: list[Process] = []
        self.size_bytes = 0

    def __missing__(self, process: Process) -> int:
        clean = Process._make(_clean(item) if isinstance(item, str) else item for item in process)
        if clean != process:
            return self[clean]
        array("q", (item for item in process if isinstance(item, int)))  # checks their range
        self.instances.append(process)
        self.size_bytes += sum(len(item.encode()) for item in process if isinstance(item, str))
        self[process] = len(self.instances)
        return len(self.instances)


class _TableBuilder:
    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._sent = {column.name: column for column in KINDS[kind].sent}
        self._ts_us = array("q")
        self._process = array("I")
        self._columns: dict[str, _ColumnBuilder] = {}

    def __len__(self) -> int:
        return len(self._ts_us)

    def add(
        self, ts_us: int, process: int, values: Mapping[str, Any], strings: _StringTable
    ) -> None:
        row = len(self._ts_us)
        try:
            for name, value in values.items():
                column = self._columns.get(name)
                if column is None:
                    column = self._columns[name] = _ColumnBuilder(self._sent[name])
                if value is not None:
                    column.put(row, value, strings)
            self._ts_us.append(ts_us)
        except (KeyError, OverflowError, TypeError):
            for column in self._columns.values():
                column.cut(row)
            raise
        self._process.append(process)

    def build(self) -> Table:
        rows = len(self._ts_us)
        built = ((name, self._columns[name]) for name in self._sent if name in self._columns)
        columns = {name: column.build(rows) for name, column in built if column.has_values}
        return Table(self._kind, self._ts_us, self._process, columns)


class _ColumnBuilder:
    def __init__(self, column: Column) -> None:
        # Told apart once: looking a member of an enumeration up takes longer than storing a value.
        self._is_code = column.type is ColumnType.CODE
        self._is_number = column.type in NULLABLE_NUMBERS
        self._is_boolean = column.type is ColumnType.BOOLEAN
        self._is_address = column.type is ColumnType.ADDRESS
        self._lower = column.lower
        self._numbers = column.numbers
        self._codes = {value: code for code, value in enumerate(column.closed, start=1)}
        self._values = array(TYPE_CODES[column.type])
        self._valid = bytearray()

    @property
    def has_values(self) -> bool:
        return 1 in self._valid

    def put(self, row: int, value: Any, strings: _StringTable) -> None:  # noqa: ANN401
        if len(self._values) < row:
            self._pad(row)
        if self._is_code:
            self._values.append(self._codes[value])
        elif self._is_number:
            if self._numbers and value not in self._numbers:
                raise KeyError(value)
            self._values.append(value)
        elif self._is_boolean:
            self._values.append(TRUE if value else FALSE)
        else:
            self._values.append(strings[self._canonical(value)])
        self._valid.append(1)

    def build(self, rows: int) -> Vector:
        self._pad(rows)
        has_null = self._is_number and 0 in self._valid
        return Vector(self._values, self._valid if has_null else None)

    def cut(self, rows: int) -> None:
        del self._values[rows:]
        del self._valid[rows:]

    def _canonical(self, text: str) -> str:
        if self._is_address:
            return plain_address(text)
        return text.lower() if self._lower else text

    def _pad(self, rows: int) -> None:
        missing = rows - len(self._values)
        self._values.extend([0] * missing)
        self._valid.extend(bytes(missing))
