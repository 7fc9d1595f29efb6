"""Batch: what an agent sends at once, and the event it is made of.

In: events with their process. Out: typed columns per kind that share one table of strings and one
of process instances. Every batch stands alone: nothing in it refers to another batch.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rules.telemetry.kinds import KINDS, Column, ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Row = dict[str, Any]
"""One event as a flat mapping: ``telemetry``, ``ts_us``, ``agent_id``, then columns; null = no key."""

MAX_EVENTS = 10_000  # rows of one batch over all kinds: bounds memory on both sides

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


class Process(NamedTuple):
    """A process instance: what every event of it shares. An exec makes a new one."""

    pid: int
    start_us: int | None = None
    name: str | None = None
    path: str | None = None
    parent_pid: int | None = None
    uid: int | None = None
    user: str | None = None
    container_id: str | None = None


PROCESS_ROW_KEYS = (
    "pid",
    "process_start_us",
    "process_name",
    "process_path",
    "parent_pid",
    "uid",
    "user",
    "container_id",
)
"""Row keys of the fields of ``Process``, in their order."""


class Event(NamedTuple):
    """One observation, as a sensor's correlation emits it."""

    kind: str
    ts_us: int
    process: Process | None
    values: dict[str, Any]
    """Own columns of the kind; null columns are left out."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Events that are missing, and why."""

    cause: str
    events: int
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one sensor watched during an interval: a coverage row.

    ``lost`` counts events by cause; ``sampled_one_in`` is 1 where nothing was left out on purpose.
    """

    sensor: str
    kinds: tuple[str, ...]
    from_us: int
    to_us: int
    state: str
    method: str = ""
    sampled_one_in: int = 1
    lost: Mapping[str, int] | None = None
    cpu_ms: int | None = None
    rss_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Who sends a batch, which one it is, and what interval [from_us, to_us) it covers."""

    agent_id: str
    boot_id: str
    stream: str
    sequence: int
    from_us: int
    to_us: int
    runs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    coverage: tuple[Coverage, ...] = ()


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
    """Collects events into the columns of one batch."""

    def __init__(self) -> None:
        """Start empty."""
        self._strings: dict[str, int] = {}
        self._processes: dict[Process, int] = {}
        self._tables: dict[str, _TableBuilder] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return the number of events added so far."""
        return self._count

    def add(self, event: Event) -> None:
        """Add one event.

        Raises:
            KeyError: Unknown kind or column, or a value outside the column's closed list.
            OverflowError: A number outside the column's range.
        """
        table = self._tables.get(event.kind)
        if table is None:
            table = self._tables[event.kind] = _TableBuilder(event.kind)
        process = 0
        if event.process is not None:
            process = self._processes.setdefault(event.process, len(self._processes) + 1)
        table.add(event.ts_us, process, event.values, self._strings)
        self._count += 1

    def build(self, header: Header) -> Batch:
        """Return what was added as a batch; the builder must not be used afterwards."""
        return Batch(
            header=header,
            strings=tuple(self._strings),
            processes=tuple(self._processes),
            tables={name: table.build() for name, table in self._tables.items()},
        )


class _TableBuilder:
    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._sent = {column.name: column for column in KINDS[kind].sent}
        self._ts_us = array("q")
        self._process = array("I")
        self._columns: dict[str, _ColumnBuilder] = {}

    def add(
        self, ts_us: int, process: int, values: Mapping[str, Any], strings: dict[str, int]
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
        columns = {
            name: self._columns[name].build(rows) for name in self._sent if name in self._columns
        }
        return Table(self._kind, self._ts_us, self._process, columns)


class _ColumnBuilder:
    def __init__(self, column: Column) -> None:
        self._type = column.type
        self._codes = {value: code for code, value in enumerate(column.closed, start=1)}
        self._values = array(TYPE_CODES[column.type])
        self._valid = bytearray()

    def put(self, row: int, value: Any, strings: dict[str, int]) -> None:  # noqa: ANN401
        if len(self._values) < row:
            self._pad(row)
        if self._type is ColumnType.CODE:
            self._values.append(self._codes[value])
        elif self._type in NULLABLE_NUMBERS:
            self._values.append(value)
        elif self._type is ColumnType.BOOLEAN:
            self._values.append(TRUE if value else FALSE)
        else:
            self._values.append(strings.setdefault(value, len(strings) + 1))
        self._valid.append(1)

    def build(self, rows: int) -> Vector:
        self._pad(rows)
        has_null = self._type in NULLABLE_NUMBERS and 0 in self._valid
        return Vector(self._values, self._valid if has_null else None)

    def cut(self, rows: int) -> None:
        """Forget everything from row ``rows`` on, so that a refused event leaves no trace."""
        del self._values[rows:]
        del self._valid[rows:]

    def _pad(self, rows: int) -> None:
        missing = rows - len(self._values)
        self._values.extend([0] * missing)
        self._valid.extend(bytes(missing))
