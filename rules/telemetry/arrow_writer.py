"""Arrow writer: one table of a batch as an Arrow IPC stream, made with nanoarrow alone.

In: a table with its sizes of strings and processes. Out: bytes that any Arrow tool reads: a schema
message, one record batch, the end. Light enough for an agent; numpy and pyarrow stay out.

How columns travel (a field's metadata repeats it for the reader):

- codes and booleans: uint8, 0 = null, else the position in ``closed``, from 1;
- texts, addresses and processes: index into the tables of the message, 0 = null, else from 1, in
  the narrowest of uint8, uint16 and uint32 that holds the size of the table;
- ports: uint16; integers and ``ts_us``: int64; with Arrow's own validity where some are null.

Integers stay wide and ``ts_us`` plain: narrowing and differences saved 0.2 to 0.4 bytes per event
after compression, and cost the agent more than the analyzer gained (benchmarks/README.md).
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import nanoarrow
from nanoarrow.ipc import StreamWriter

from rules.telemetry.kinds import KINDS, Column, ColumnType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rules.telemetry.batch import Table, Vector

KIND_KEY = "proctor:kind"
TABLE_KEY = "proctor:table"  # of an index column: which table it points into
CLOSED_KEY = "proctor:closed"  # of a code column: its values, joined by "|"
STRINGS, PROCESSES = "strings", "processes"
BOOLEANS = ("false", "true")

_Code = Literal["B", "H", "I", "q"]
_Field = tuple[str, _Code]  # column name and its type on the wire
_Buffers = tuple[bytes | None, Any]  # validity and values

_INDEX_WIDTHS: tuple[tuple[int, _Code], ...] = (
    (0xFF, "B"),
    (0xFFFF, "H"),
    (0xFFFF_FFFF, "I"),
)  # largest index, type code
_ARROW_TYPES = {
    "B": nanoarrow.uint8(),
    "H": nanoarrow.uint16(),
    "I": nanoarrow.uint32(),
    "q": nanoarrow.int64(),
}
_CACHED_SCHEMAS = 256  # a kind has few sets of columns and widths at one time
_ASCII_BITS = bytes.maketrans(b"\0\1", b"01")


def write_table(table: Table, *, strings: int, processes: int) -> bytes:
    """Return a table as an Arrow IPC stream.

    Args:
        table: Its columns may be ``array.array`` or numpy arrays of ``TYPE_CODES``.
        strings: Number of strings of the batch.
        processes: Number of process instances of the batch.
    """
    sent = KINDS[table.kind].columns
    text_code, process_code = _index_code(strings), _index_code(processes)
    fields: list[_Field] = [("ts_us", "q"), ("process", process_code)]
    buffers: list[_Buffers] = [(None, table.ts_us), (None, _narrowed(table.process, process_code))]
    for name, vector in table.columns.items():
        code = _type_code(sent[name], text_code)
        fields.append((name, code))
        buffers.append(_buffers(vector, code))
    return _stream(_schema(table.kind, tuple(fields)), len(table), buffers)


def _index_code(size: int) -> _Code:
    return next(code for largest, code in _INDEX_WIDTHS if size <= largest)


def _type_code(column: Column, text_code: _Code) -> _Code:
    if column.type in (ColumnType.TEXT, ColumnType.ADDRESS):
        return text_code
    if column.type is ColumnType.INTEGER:
        return "q"
    return "H" if column.type is ColumnType.PORT else "B"


def _buffers(vector: Vector, code: _Code) -> _Buffers:
    valid = None if vector.valid is None else _bitmap(bytes(vector.valid))
    return valid, _narrowed(vector.values, code)


def _narrowed(values: Any, code: _Code) -> Any:  # noqa: ANN401 (array.array or numpy array)
    """Return the low bytes of each value: a little endian host is taken for granted."""
    wide = memoryview(values)
    if code == "B":
        return wide.tobytes()[:: wide.itemsize]  # ten times faster than lanes
    lanes = wide.cast("B").cast(code)
    if lanes.itemsize == wide.itemsize:
        return values
    return lanes[:: wide.itemsize // lanes.itemsize].tobytes()


def _bitmap(valid: bytes) -> bytes:
    """Return one bit per byte, first row in the lowest bit: Arrow's validity."""
    bits = int(valid[::-1].translate(_ASCII_BITS), 2)
    return bits.to_bytes((len(valid) + 7) // 8, "little")


def _stream(schema: _Schema, rows: int, buffers: Sequence[_Buffers]) -> bytes:
    children = [
        nanoarrow.c_array_from_buffers(child, rows, pair, validation_level="none")
        for child, pair in zip(schema.children, buffers, strict=True)
    ]
    array = nanoarrow.c_array_from_buffers(
        schema.whole, rows, [None], children=children, validation_level="none"
    )
    out = io.BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.write_array(array)
    return out.getvalue()


class _Schema(NamedTuple):
    whole: Any
    children: tuple[Any, ...]


@lru_cache(_CACHED_SCHEMAS)
def _schema(kind: str, fields: tuple[_Field, ...]) -> _Schema:
    columns = KINDS[kind].columns
    children = {
        name: nanoarrow.c_schema(_ARROW_TYPES[code]).modify(metadata=_metadata(columns, name))
        for name, code in fields
    }
    whole = nanoarrow.c_schema(nanoarrow.struct(children)).modify(metadata={KIND_KEY: kind})
    return _Schema(whole, tuple(whole.child(i) for i in range(whole.n_children)))


def _metadata(columns: Mapping[str, Column], name: str) -> dict[str, str]:
    if name == "process":
        return {TABLE_KEY: PROCESSES}
    column = columns.get(name)
    if column is None:
        return {}
    if column.type in (ColumnType.TEXT, ColumnType.ADDRESS):
        return {TABLE_KEY: STRINGS}
    closed = closed_values(column)
    return {CLOSED_KEY: "|".join(closed)} if closed else {}


def closed_values(column: Column) -> tuple[str, ...]:
    """Return the values that a code of the column stands for, from code 1 on."""
    return BOOLEANS if column.type is ColumnType.BOOLEAN else column.closed
