"""Columns of what comes as a batch or as rows: values become ids of a run's dictionary.

In: a decoded batch, or rows. Out: ``Columns`` per kind, derived columns included, with the same
values as its rows after ``derive``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analyzer.telemetry.dictionary import NULL
from analyzer.telemetry.slices import Columns
from rules.telemetry.batch import NULLABLE_NUMBERS, PROCESS_ROW_KEYS, Process, Vector
from rules.telemetry.kinds import KINDS, Column, ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from analyzer.telemetry.dictionary import Dictionary
    from rules.telemetry.batch import Batch, Row

_SECOND_US: Final = 1_000_000
_SIDES: Final = (("local_address", "local_scope"), ("remote_address", "remote_scope"))
_INDEXED: Final = (ColumnType.TEXT, ColumnType.ADDRESS)
DTYPES: Final[Mapping[ColumnType, type[np.generic]]] = {
    ColumnType.TEXT: np.uint32,
    ColumnType.ADDRESS: np.uint32,
    ColumnType.CODE: np.uint8,
    ColumnType.BOOLEAN: np.uint8,
    ColumnType.PORT: np.uint16,
    ColumnType.INTEGER: np.int64,
}


def batch_columns(batch: Batch, dictionary: Dictionary) -> dict[str, Columns]:
    """Return the events of a batch by kind, in the order in which it holds them."""
    texts = dictionary.text_ids(batch.strings)
    processes = dictionary.process_ids(batch.processes)
    return {
        kind: Columns(
            kind,
            np.asarray(table.ts_us, np.int64),
            processes.take(np.asarray(table.process)),
            derived(
                kind,
                np.asarray(table.ts_us, np.int64),
                {name: _own(kind, name, vector, texts) for name, vector in table.columns.items()},
                dictionary,
            ),
            dictionary,
        )
        for kind, table in batch.tables.items()
        if len(table)
    }


def row_columns(rows: Iterable[Row], dictionary: Dictionary) -> dict[str, Columns]:
    """Return rows of one host by kind, in their order; derived columns are as the rows say."""
    by_kind: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_kind[row["telemetry"]].append(row)
    return {kind: _of_rows(kind, own, dictionary) for kind, own in by_kind.items()}


def derived(
    kind: str,
    ts_us: npt.NDArray[np.int64],
    columns: dict[str, Vector],
    dictionary: Dictionary,
) -> dict[str, Vector]:
    """Add the derived columns of a kind to ``columns`` and return it.

    A value that was given counts only where the column it is made from is null.
    """
    known = KINDS[kind].columns
    for address, scope in _SIDES:
        if scope in known and address in columns:
            ids = columns[address].values
            codes = dictionary.scopes.take(ids)
            given = columns.get(scope)
            if given is not None:
                codes = np.where(ids == 0, given.values, codes)
            columns[scope] = Vector(codes)
    if "cert_not_after_us" in columns:
        columns["cert_remaining_s"] = _remaining(ts_us, columns)
    return columns


def _remaining(ts_us: npt.NDArray[np.int64], columns: Mapping[str, Vector]) -> Vector:
    not_after = columns["cert_not_after_us"]
    end_s, end_us = np.divmod(not_after.values, _SECOND_US)
    at_s, at_us = np.divmod(ts_us, _SECOND_US)
    values = end_s - at_s - (end_us < at_us)  # the difference itself may exceed 64 bits
    given = columns.get("cert_remaining_s")
    if not_after.valid is None or given is None:
        return Vector(values, not_after.valid)
    there = not_after.valid.astype(bool)
    given_valid = np.ones(len(ts_us), np.uint8) if given.valid is None else given.valid
    return Vector(
        np.where(there, values, given.values),
        np.where(there, np.uint8(1), given_valid).astype(np.uint8),
    )


def _of_rows(kind: str, rows: Sequence[Row], dictionary: Dictionary) -> Columns:
    processes = [dictionary.process_id(Process(*map(row.get, PROCESS_ROW_KEYS))) for row in rows]
    vectors = {
        column.name: _vector(column, [row.get(column.name) for row in rows], dictionary)
        for column in KINDS[kind].own
        if any(column.name in row for row in rows)
    }
    ts_us = np.array([row["ts_us"] for row in rows], np.int64)
    return Columns(kind, ts_us, np.array(processes, np.uint32), vectors, dictionary)


def _vector(column: Column, values: Sequence[Any], dictionary: Dictionary) -> Vector:
    dtype = DTYPES[column.type]
    if column.type in NULLABLE_NUMBERS:
        there = np.array([value is not None for value in values], np.uint8)
        numbers = np.array([0 if value is None else value for value in values], dtype)
        return Vector(numbers, None if there.all() else there)
    if column.type in _INDEXED:
        ids = [NULL if value is None else dictionary.text_id(value) for value in values]
        return Vector(np.array(ids, dtype))
    closed = (False, True) if column.type is ColumnType.BOOLEAN else column.closed
    codes = {None: 0} | {value: code for code, value in enumerate(closed, start=1)}
    return Vector(np.array([codes[value] for value in values], dtype))


def _own(kind: str, name: str, vector: Vector, texts: npt.NDArray[np.uint32]) -> Vector:
    column_type = KINDS[kind].columns[name].type
    if column_type in _INDEXED:
        return Vector(texts.take(np.asarray(vector.values)))
    values = np.asarray(vector.values, DTYPES[column_type])
    valid = None if vector.valid is None else np.frombuffer(vector.valid, np.uint8)
    return Vector(values, valid)
