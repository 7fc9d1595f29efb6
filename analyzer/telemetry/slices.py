"""Slices: the sealed telemetry of one host, in columns, in the order of time.

In: columns of batches or recordings whose values are ids of one ``Dictionary``. Out: what the
engine reads; rows only where a person or the reference evaluator wants them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from rules.telemetry.batch import Vector
from rules.telemetry.kinds import KINDS, Column, ColumnType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from analyzer.telemetry.dictionary import Dictionary
    from rules.telemetry.batch import Row

_TEXTS = (ColumnType.TEXT, ColumnType.ADDRESS)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Rows of one kind of one host; every array has one item per row.

    Attributes:
        kind: Name of the telemetry kind.
        ts_us: int64.
        process: uint32, ids of ``dictionary``; 0 = none.
        columns: The kind's own columns, derived ones included. Texts and addresses are uint32 ids
            (0 = null), codes and booleans uint8 (0 = null, as in ``Vector``), ports uint16,
            integers int64 (null where ``valid`` is 0; ``valid`` None = none is null). A column
            that is null in every row may be left out.
        dictionary: What the ids mean.
    """

    kind: str
    ts_us: npt.NDArray[np.int64]
    process: npt.NDArray[np.uint32]
    columns: Mapping[str, Vector]
    dictionary: Dictionary

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ts_us)

    @property
    def nbytes(self) -> int:
        """Return how many bytes the arrays have."""
        count = self.ts_us.nbytes + self.process.nbytes
        for values, valid in self.columns.values():
            count += values.nbytes + (0 if valid is None else valid.nbytes)
        return int(count)

    def take(self, places: Any) -> Columns:  # noqa: ANN401 (indexes, a mask or a slice)
        """Return the rows at ``places``: an index array, a mask, or a slice (which copies not)."""
        if isinstance(places, slice):
            return self._mapped(lambda array: array[places])
        if places.dtype == np.bool_:
            places = np.flatnonzero(places)
        return self._mapped(lambda array: array.take(places))

    def copy(self) -> Columns:
        """Return the rows in memory of their own."""
        return self._mapped(lambda array: array.copy())

    def _mapped(self, take: Callable[[Any], Any]) -> Columns:
        columns = {
            name: Vector(take(values), None if valid is None else take(valid))
            for name, (values, valid) in self.columns.items()
        }
        return Columns(self.kind, take(self.ts_us), take(self.process), columns, self.dictionary)

    def rows(self, agent_id: str) -> Iterator[Row]:
        """Yield the rows as maps without null columns, process and derived columns included."""
        kind = KINDS[self.kind]
        names = list(self.columns)
        decoded = [
            _decoded(kind.columns[name], vector, self.dictionary)
            for name, vector in self.columns.items()
        ]
        process_row = self.dictionary.process_row
        own = zip(*decoded, strict=True) if decoded else repeat(())
        for ts_us, process, values in zip(
            self.ts_us.tolist(), self.process.tolist(), own, strict=bool(decoded)
        ):
            row: Row = {"telemetry": self.kind, "ts_us": ts_us, "agent_id": agent_id}
            row.update(process_row(process))
            for name, value in zip(names, values, strict=True):
                if value is not None:
                    row[name] = value
            yield row


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """All rows of one host in [from_us, to_us); nothing comes after it that belongs before its end.

    The slices of a host follow each other without gap or overlap. Rows of a kind stand in the order
    of time; the order among rows of one moment means nothing.
    """

    agent_id: str
    from_us: int
    to_us: int
    tables: Mapping[str, Columns]
    """By kind; kinds without rows are left out."""

    def __len__(self) -> int:
        """Return the number of rows of all kinds."""
        return sum(len(table) for table in self.tables.values())

    def rows(self) -> Iterator[Row]:
        """Yield every row, kind after kind."""
        for table in self.tables.values():
            yield from table.rows(self.agent_id)


def joined(parts: Sequence[Columns]) -> Columns:
    """Return the rows of several parts of one kind and one dictionary, by time (stable)."""
    whole = concatenated(parts)
    return whole if _is_sorted(whole.ts_us) else whole.take(np.argsort(whole.ts_us, kind="stable"))


def concatenated(parts: Sequence[Columns]) -> Columns:
    """Return the rows of several parts of one kind and one dictionary, part after part."""
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys(name for part in parts for name in part.columns)
    return Columns(
        parts[0].kind,
        np.concatenate([part.ts_us for part in parts]),
        np.concatenate([part.process for part in parts]),
        {name: joined_vector(name, parts) for name in names},
        parts[0].dictionary,
    )


def joined_vector(name: str, parts: Sequence[Columns]) -> Vector:
    """Return a column that one of several parts has, part after part."""
    try:  # what most columns are, as quickly as it can be told
        values, valid = zip(*map(itemgetter(name), [part.columns for part in parts]), strict=True)
    except KeyError:
        return _partly_joined(name, parts)
    if all(own is None for own in valid):
        return Vector(np.concatenate(values))
    return _partly_joined(name, parts)


def _partly_joined(name: str, parts: Sequence[Columns]) -> Vector:
    """Return a column that some of the parts lack, or that is null in some rows."""
    vectors = [part.columns.get(name) for part in parts]
    sizes = [len(part.ts_us) for part in parts]
    dtype = next(vector.values.dtype for vector in vectors if vector is not None)
    pairs = list(zip(vectors, sizes, strict=True))
    values = np.concatenate(
        [np.zeros(size, dtype) if vector is None else vector.values for vector, size in pairs]
    )
    if KINDS[parts[0].kind].columns[name].type not in (ColumnType.PORT, ColumnType.INTEGER):
        return Vector(values)
    valid = np.ones(len(values), np.uint8)
    start = 0
    for vector, size in pairs:
        if vector is None:
            valid[start : start + size] = 0
        elif vector.valid is not None:
            valid[start : start + size] = vector.valid
        start += size
    return Vector(values, None if valid.all() else valid)


def _is_sorted(ts_us: npt.NDArray[np.int64]) -> bool:
    return bool(np.all(ts_us[1:] >= ts_us[:-1]))


def _decoded(column: Column, vector: Vector, dictionary: Dictionary) -> list[Any]:
    values = vector.values.tolist()
    if column.type in _TEXTS:
        texts = dictionary.texts
        return [texts[value] for value in values]
    if column.type is ColumnType.CODE:
        closed = (None, *column.closed)
        return [closed[value] for value in values]
    if column.type is ColumnType.BOOLEAN:
        return [(None, False, True)[value] for value in values]
    if vector.valid is None:
        return list(values)
    return [value if ok else None for value, ok in zip(values, vector.valid, strict=True)]
