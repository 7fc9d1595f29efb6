"""Arrow: sealed columns of a host as Arrow tables, one schema per telemetry kind.

In: ``Columns``. Out: Arrow tables with ``agent_id``, ``ts_us`` and every column of the kind, in the
order of its declaration; null is null. Texts are strings, ports uint16, numbers int64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from rules.telemetry.batch import NULLABLE_NUMBERS, Process
from rules.telemetry.kinds import KINDS, PROCESS_COLUMNS, ColumnType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.telemetry.slices import Columns
    from rules.telemetry.batch import Vector

_TYPES: Final[Mapping[ColumnType, pa.DataType]] = {
    ColumnType.TEXT: pa.string(),
    ColumnType.ADDRESS: pa.string(),
    ColumnType.CODE: pa.string(),
    ColumnType.PORT: pa.uint16(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.BOOLEAN: pa.bool_(),
}


def schema_of(kind: str) -> pa.Schema:
    """Return the columns of a telemetry kind as Arrow types, with their descriptions."""
    own = [
        pa.field(column.name, _TYPES[column.type], metadata={"description": column.description})
        for column in KINDS[kind].columns.values()
    ]
    return pa.schema(
        [
            pa.field("agent_id", pa.string(), nullable=False),
            pa.field("ts_us", pa.int64(), nullable=False),
            *own,
        ]
    )


def arrow_table(table: Columns, agent_id: str) -> pa.Table:
    """Return the rows of one host, in their order."""
    rows = len(table)
    arrays = {
        "agent_id": pa.repeat(pa.scalar(agent_id, pa.string()), rows),
        "ts_us": pa.array(table.ts_us, pa.int64()),
        **_processes(table),
        **{name: _own(table, name, vector) for name, vector in table.columns.items()},
    }
    schema = schema_of(table.kind)
    columns = [
        arrays[field.name] if field.name in arrays else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _processes(table: Columns) -> dict[str, pa.Array]:
    ids, places = np.unique(table.process, return_inverse=True)
    instances = [table.dictionary.processes[item] for item in ids.tolist()]
    return {
        column.name: pa.array(
            [getattr(process, field) for process in instances], _TYPES[column.type]
        ).take(pa.array(places))
        for column, field in zip(PROCESS_COLUMNS, Process._fields, strict=True)
    }


def _own(table: Columns, name: str, vector: Vector) -> pa.Array:
    column = KINDS[table.kind].columns[name]
    if column.type in NULLABLE_NUMBERS:
        mask = None if vector.valid is None else np.asarray(vector.valid) == 0
        return pa.array(vector.values, _TYPES[column.type], mask=mask)
    if column.type is ColumnType.BOOLEAN:
        return _chosen((None, False, True), vector, pa.bool_())
    if column.type is ColumnType.CODE:
        return _chosen((None, *column.closed), vector, pa.string())
    ids, places = np.unique(vector.values, return_inverse=True)
    texts = [table.dictionary.texts[item] for item in ids.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(places))


def _chosen(values: Sequence[object], codes: Vector, type_: pa.DataType) -> pa.Array:
    return pa.array(values, type_).take(pa.array(codes.values))
