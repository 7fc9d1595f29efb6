"""Batch: what an agent sends at once, and the event it is made of.

In: events with their process. Out: typed columns per kind that share one table of strings and one
of process instances. Every batch stands alone: nothing in it refers to another batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rules.telemetry.event import PROCESS_ROW_KEYS, Event, Process, Row
from rules.telemetry.header import Coverage, Header, Loss
from rules.telemetry.kinds import KINDS, Column, ColumnType

__all__ = [
    "FALSE",
    "MAX_EVENTS",
    "NULLABLE_NUMBERS",
    "PROCESS_ROW_KEYS",
    "TRUE",
    "TYPE_CODES",
    "Batch",
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
