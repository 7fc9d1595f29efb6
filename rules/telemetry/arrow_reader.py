"""Arrow reader: the Arrow IPC stream of one table back into checked numpy columns.

In: bytes that somebody else wrote. Out: a table whose every index, code and count is proved good;
anything else ends in ``WireError``. Only the decode path imports this module: it needs pyarrow.

Hostile streams: a schema is accepted only if it is short, flat and names each column once; pyarrow
reads it, once for all tables that have it. The record batch behind it is read here, since pyarrow
took a third of the time: ``arrow_batch`` finds where columns lie, and each is used there once its
place is proved to be in the body, and as long as the table. A record batch that asks for
decompression is refused, so that nothing gets larger than the message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from rules.errors import WireError
from rules.telemetry.arrow_batch import read_layout
from rules.telemetry.arrow_writer import CLOSED_KEY, KIND_KEY, closed_values
from rules.telemetry.batch import MAX_EVENTS, NULLABLE_NUMBERS, TYPE_CODES, Table, Vector
from rules.telemetry.kinds import KINDS, Column, ColumnType, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from rules.telemetry.arrow_batch import BatchLayout

MAX_METADATA_BYTES = 16_384  # of one Arrow message; ours are below 3,000
MAX_COLUMNS = 128  # of one table, known or not

_CACHED_PLANS = 256  # by the bytes of the schema: at most 4 MiB of keys
_CONTINUATION = b"\xff\xff\xff\xff"
_END = _CONTINUATION + bytes(4)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BROKEN = (pa.ArrowException, OSError, ValueError, EOFError, TypeError)
_INDEXES = ("uint8", "uint16", "uint32")  # named alike by Arrow and numpy
_FLAT = (*_INDEXES, "int64")
_WIRE_TYPES: Mapping[ColumnType, tuple[str, ...]] = {
    ColumnType.TEXT: _INDEXES,
    ColumnType.ADDRESS: _INDEXES,
    ColumnType.CODE: ("uint8",),
    ColumnType.BOOLEAN: ("uint8",),
    ColumnType.PORT: ("uint16",),
    ColumnType.INTEGER: ("int64",),
}
_TIME = Column("ts_us", ColumnType.INTEGER, "")
_PROCESS = Column("process", ColumnType.TEXT, "")  # an index, into the other table


@dataclass(frozen=True, slots=True)
class Decoded:
    """One table as read; ``table`` is None where this version does not know the kind."""

    kind: str
    rows: int
    table: Table | None
    ignored: tuple[str, ...]
    """What this version does not know: the kind itself, or columns as ``kind.column``."""


def read_table(data: bytes | memoryview, *, strings: int, processes: int) -> Decoded:
    """Return the table in an Arrow IPC stream.

    Args:
        data: Schema message, one record batch, end of stream.
        strings: Number of strings of the batch: no text index is above it.
        processes: Number of process instances of the batch.

    Raises:
        WireError: With the reason ``arrow``, ``compression``, ``kind``, ``column``, ``count``,
            ``index`` or ``code``.
    """
    data = memoryview(data)
    batch_start = _metadata_end(data, 0)
    plan = _plan(bytes(data[:batch_start]))
    body_start = _metadata_end(data, batch_start)
    layout = read_layout(data[batch_start + 8 : body_start], columns=len(plan.readings))
    body = data[body_start : -len(_END)]
    if len(body) != layout.body_bytes or data[-len(_END) :] != _END:
        raise WireError("arrow", "not exactly one record batch")
    if not 0 < layout.rows <= MAX_EVENTS:
        raise WireError("count", f"{layout.rows} rows of {plan.kind}")
    vectors = _vectors(plan, layout, body, processes=processes, strings=strings)
    if plan.kind not in KINDS:
        return Decoded(plan.kind, layout.rows, None, plan.ignored)
    ts_us, process = vectors.pop("ts_us").values, vectors.pop("process").values
    return Decoded(plan.kind, layout.rows, Table(plan.kind, ts_us, process, vectors), plan.ignored)


def _metadata_end(data: memoryview, start: int) -> int:
    """Return where the metadata of the Arrow message at ``start`` ends."""
    prefix = data[start : start + 8]
    if len(prefix) < 8 or prefix[:4] != _CONTINUATION:  # noqa: PLR2004 (length of the prefix)
        raise WireError("arrow", "no Arrow message")
    length = int.from_bytes(prefix[4:], "little")
    if not 0 < length <= MAX_METADATA_BYTES or start + 8 + length > len(data):
        raise WireError("arrow", f"{length} bytes of metadata")
    return start + 8 + length


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a schema says, checked once: one reading per field."""

    kind: str
    readings: tuple[_Reading, ...]
    ignored: tuple[str, ...]


class _Reading(NamedTuple):
    column: Column | None
    """None where it is not known: its place is checked, its values are not looked at."""
    wire: np.dtype[Any]
    wide: np.dtype[Any]
    """In memory; as on the wire but for indexes."""
    is_number: bool
    highest_code: int | None
    """The last code of the closed values; None where the column has none."""


@lru_cache(_CACHED_PLANS)
def _plan(data: bytes) -> _Plan:
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(data))
        name = (schema.metadata or {}).get(KIND_KEY.encode(), b"").decode()
        names = [str(field.name) for field in schema]
    except _BROKEN as error:
        raise WireError("arrow", str(error)) from error
    if not _NAME.fullmatch(name):
        raise WireError("kind", f"no kind is named {name[:64]!r}")
    _check_names(names)
    known = _known(KINDS.get(name))
    readings = tuple(_reading(field, known.get(field.name)) for field in schema)
    if name not in KINDS:
        readings = tuple(reading._replace(column=None) for reading in readings)
    unknown = tuple(f"{name}.{column}" for column in names if column not in known)
    return _Plan(name, readings, unknown if name in KINDS else (name,))


def _known(kind: Kind | None) -> Mapping[str, Column]:
    sent = kind.sent if kind else ()
    return {column.name: column for column in (_TIME, _PROCESS, *sent)}


def _check_names(names: Sequence[str]) -> None:
    if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
        raise WireError("column", "too many columns, or one of them twice")
    if not {_TIME.name, _PROCESS.name} <= set(names):
        raise WireError("column", "no ts_us or no process")
    for name in names:
        if not _NAME.fullmatch(name):
            raise WireError("column", f"no column is named {name[:64]!r}")


def _reading(field: pa.Field, column: Column | None) -> _Reading:
    allowed = _FLAT if column is None else _WIRE_TYPES[column.type]
    wire_type = str(field.type)
    if wire_type not in allowed:
        raise WireError("column", f"{field.name} is {wire_type[:64]}")
    wire = wide = np.dtype(wire_type)
    if column is None:
        return _Reading(None, wire, wide, is_number=False, highest_code=None)
    closed = closed_values(column)
    _check_closed(field, closed)
    is_number = column.type in NULLABLE_NUMBERS
    if not is_number:
        wide = np.dtype(TYPE_CODES[column.type])
    return _Reading(column, wire, wide, is_number, len(closed) if closed else None)


def _check_closed(field: pa.Field, closed: tuple[str, ...]) -> None:
    """Refuse a sender whose codes mean something else; a longer or shorter list is no such."""
    stated = (field.metadata or {}).get(CLOSED_KEY.encode())
    if stated is None:
        return
    theirs = stated.split(b"|")
    ours = [value.encode() for value in closed]
    shared = min(len(theirs), len(ours))
    if theirs[:shared] != ours[:shared]:
        raise WireError("column", f"the codes of {field.name} mean other values")


def _vectors(
    plan: _Plan, layout: BatchLayout, body: memoryview, *, processes: int, strings: int
) -> dict[str, Vector]:
    """Return the columns that are known, after a look at the places of all of them."""
    rows, end = layout.rows, layout.body_bytes
    vectors: dict[str, Vector] = {}
    nodes, buffers = iter(layout.nodes), iter(layout.buffers)
    for reading, length, nulls, bits_at, bits_size, at, size in zip(
        plan.readings, nodes, nodes, buffers, buffers, buffers, buffers, strict=True
    ):
        column, wire, _, is_number, _ = reading
        if (
            (bits_at | bits_size | at | size) < 0
            or (bits_at | at) & 7
            or bits_at + bits_size > end
            or at + size > end
        ):
            raise WireError("arrow", "a buffer lies outside the body, or askew")
        if length != rows or not 0 <= nulls <= rows or size < rows * wire.itemsize:
            raise WireError("count", "a column is shorter or longer than its table")
        if column is None:
            continue
        values = np.frombuffer(body, wire, rows, at)
        if not values.flags.aligned:
            values = values.copy()
        if is_number:
            bits = body[bits_at : bits_at + bits_size] if nulls else None
            vectors[column.name] = _numbers(column, values, bits)
        elif nulls:
            raise WireError("column", f"{column.name} has nulls beside index 0")
        else:
            top = processes if column is _PROCESS else strings
            vectors[column.name] = _indexes(reading, column.name, values, top)
    return vectors


def _indexes(reading: _Reading, name: str, values: npt.NDArray[Any], top: int) -> Vector:
    """Return a column of codes, or of indexes up to ``top``."""
    _, wire, wide, _, highest_code = reading
    if np.maximum.reduce(values) > (top if highest_code is None else highest_code):
        raise WireError("index" if highest_code is None else "code", name)
    return Vector(values if wire is wide else values.astype(wide))


def _numbers(column: Column, values: npt.NDArray[Any], bits: memoryview | None) -> Vector:
    """Return a column of numbers; a row is null where its bit is not set."""
    if bits is None:
        vector = Vector(values)
    elif column is _TIME:
        raise WireError("column", "ts_us has nulls")
    elif len(bits) < (len(values) + 7) // 8:
        raise WireError("count", "the validity of a column is shorter than its table")
    else:
        packed = np.frombuffer(bits, np.uint8)
        vector = Vector(values, np.unpackbits(packed, count=len(values), bitorder="little"))
    _check_numbers(column, vector)
    return vector


def _check_numbers(column: Column, vector: Vector) -> None:
    if not column.numbers:
        return
    good = vector.valid == 0 if vector.valid is not None else np.zeros(len(vector.values), np.bool_)
    for number in column.numbers:
        good |= vector.values == number
    if not good.all():
        raise WireError("code", column.name)
