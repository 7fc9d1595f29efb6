"""Arrow reader: the Arrow IPC stream of one table back into checked numpy columns.

In: bytes that somebody else wrote. Out: a table whose every index, code and count is proved good;
anything else ends in ``WireError``. Only the decode path imports this module: it needs pyarrow.

Hostile streams: a schema is accepted only if it is short, flat and names each column once. A record
batch that asks for decompression is refused before Arrow acts on it, so that nothing gets larger
than the message. Columns are read by their declared length, never by what the batch claims of them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from rules.errors import WireError
from rules.telemetry.arrow_writer import CLOSED_KEY, KIND_KEY, closed_values
from rules.telemetry.batch import MAX_EVENTS, NULLABLE_NUMBERS, TYPE_CODES, Table, Vector
from rules.telemetry.kinds import KINDS, Column, ColumnType, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    batch_start = _metadata_end(data, 0)
    plan = _plan(bytes(data[:batch_start]))
    batch = _record_batch(data, batch_start, plan.schema)
    rows = batch.num_rows
    if not 0 < rows <= MAX_EVENTS:
        raise WireError("count", f"{rows} rows of {plan.kind}")
    if plan.kind not in KINDS:
        return Decoded(plan.kind, rows, None, plan.ignored)
    vectors = _vectors(plan, batch, {"process": processes}, strings)
    ts_us, process = vectors.pop("ts_us").values, vectors.pop("process").values
    return Decoded(plan.kind, rows, Table(plan.kind, ts_us, process, vectors), plan.ignored)


def _metadata_end(data: bytes | memoryview, start: int) -> int:
    """Return where the metadata of the Arrow message at ``start`` ends."""
    prefix = data[start : start + 8]
    if len(prefix) < 8 or prefix[:4] != _CONTINUATION:  # noqa: PLR2004 (length of the prefix)
        raise WireError("arrow", "no Arrow message")
    length = int.from_bytes(prefix[4:], "little")
    if not 0 < length <= MAX_METADATA_BYTES:
        raise WireError("arrow", f"{length} bytes of metadata")
    return start + 8 + length


def _record_batch(data: bytes | memoryview, start: int, schema: pa.Schema) -> pa.RecordBatch:
    body_start = _metadata_end(data, start)
    if _asks_for_decompression(memoryview(data)[start + 8 : body_start]):
        raise WireError("compression", "inside Arrow")
    try:
        message = pa.ipc.read_message(pa.py_buffer(data).slice(start))
        batch = pa.ipc.read_record_batch(message, schema)
    except _BROKEN as error:
        raise WireError("arrow", str(error)) from error
    if data[body_start + message.body.size :] != _END:
        raise WireError("arrow", "not exactly one record batch")
    return batch


def _asks_for_decompression(metadata: memoryview) -> bool:
    """Tell whether Arrow would decompress the buffers of a message.

    pyarrow has no way to ask, and would allocate whatever size a buffer claims. Source: Arrow's
    Message.fbs: of Message, field 2 is ``header`` and field 4 ``custom_metadata`` (where version
    0.17 named a codec); of RecordBatch, field 3 is ``compression``.
    """
    try:
        (message,) = struct.unpack_from("<I", metadata, 0)
        header = _field(metadata, message, 2)
        (offset,) = struct.unpack_from("<I", metadata, header)
        return bool(_field(metadata, message, 4) or _field(metadata, header + offset, 3))
    except struct.error as error:
        raise WireError("arrow", "broken metadata") from error


def _field(metadata: memoryview, table: int, number: int) -> int:
    """Return where field ``number`` of a flatbuffer table is, 0 where it is left out."""
    (back,) = struct.unpack_from("<i", metadata, table)
    vtable = table - back
    if vtable < 0:
        raise WireError("arrow", "broken metadata")
    (size,) = struct.unpack_from("<H", metadata, vtable)
    place = 4 + 2 * number
    if place >= size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, vtable + place)
    return table + offset if offset else 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a schema says, checked once: one reading per field, None where it is not known."""

    kind: str
    schema: pa.Schema
    readings: tuple[_Reading | None, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    column: Column
    wire_type: str
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
    unknown = tuple(f"{name}.{column}" for column in names if column not in known)
    return _Plan(name, schema, readings, unknown if name in KINDS else (name,))


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


def _reading(field: pa.Field, column: Column | None) -> _Reading | None:
    allowed = _FLAT if column is None else _WIRE_TYPES[column.type]
    wire_type = str(field.type)
    if wire_type not in allowed:
        raise WireError("column", f"{field.name} is {wire_type[:64]}")
    if column is None:
        return None
    closed = closed_values(column)
    _check_closed(field, closed)
    return _Reading(column, wire_type, len(closed) if closed else None)


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
    plan: _Plan, batch: pa.RecordBatch, tops: Mapping[str, int], strings: int
) -> dict[str, Vector]:
    buffers = batch.to_struct_array().buffers()[1:]  # two per column: validity and values
    vectors: dict[str, Vector] = {}
    for reading, valid, values in zip(plan.readings, buffers[::2], buffers[1::2], strict=True):
        if reading is None:
            continue
        name = reading.column.name
        top = tops.get(name, strings) if reading.highest_code is None else reading.highest_code
        vectors[name] = _vector(reading, batch.num_rows, (valid, values), top)
    return vectors


def _vector(
    reading: _Reading, rows: int, buffers: tuple[pa.Buffer | None, pa.Buffer | None], top: int
) -> Vector:
    column = reading.column
    values = _array(buffers[1], reading.wire_type, rows)
    if column.type in NULLABLE_NUMBERS:
        vector = Vector(values, _valid(column, buffers[0], rows))
        _check_numbers(column, vector)
        return vector
    if buffers[0] is not None:
        raise WireError("column", f"{column.name} has nulls beside index 0")
    if np.maximum.reduce(values) > top:
        raise WireError("index" if reading.highest_code is None else "code", column.name)
    return Vector(values.astype(TYPE_CODES[column.type], copy=False))


def _valid(column: Column, buffer: pa.Buffer | None, rows: int) -> Any:  # noqa: ANN401
    if buffer is None:
        return None
    if column is _TIME:
        raise WireError("column", "ts_us has nulls")
    packed = _array(buffer, "uint8", (rows + 7) // 8)
    return np.unpackbits(packed, count=rows, bitorder="little")


def _check_numbers(column: Column, vector: Vector) -> None:
    if not column.numbers:
        return
    good = np.isin(vector.values, column.numbers)
    if not np.all(good if vector.valid is None else good | (vector.valid == 0)):
        raise WireError("code", column.name)


def _array(buffer: pa.Buffer | None, wire_type: str, rows: int) -> Any:  # noqa: ANN401
    try:
        values = np.frombuffer(buffer or b"", dtype=wire_type, count=rows)
    except ValueError as error:
        raise WireError("count", "a column is shorter than its table") from error
    return values if values.flags.aligned else values.copy()
