"""Our reading of an Arrow record batch is pyarrow's, or a refusal."""

import struct
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import WireError
from rules.telemetry.arrow_reader import read_table
from rules.telemetry.batch import Table
from rules.telemetry.kinds import KINDS, ColumnType

INDEXES = (pa.uint8(), pa.uint16(), pa.uint32())
TOP = 200  # strings and processes
TOPS = {pa.uint8(): 255, pa.uint16(): 65_535, pa.int64(): 2**63 - 1}


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw a table of any kind as pyarrow writes it, in either version of its metadata."""
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    rows = draw(st.integers(1, 20))
    fields = [("ts_us", _array(draw, pa.int64(), rows, nulls=False))]
    fields.append(
        ("process", _array(draw, draw(st.sampled_from(INDEXES)), rows, nulls=False, top=TOP))
    )
    for column in draw(st.lists(st.sampled_from(kind.sent), unique=True)):
        if column.type in (ColumnType.TEXT, ColumnType.ADDRESS):
            array = _array(draw, draw(st.sampled_from(INDEXES)), rows, nulls=False, top=TOP)
        elif column.type is ColumnType.PORT:
            array = _array(draw, pa.uint16(), rows)
        elif column.type is ColumnType.INTEGER:
            array = _array(
                draw,
                pa.int64(),
                rows,
                top=min(column.numbers, default=None),
                number=min(column.numbers, default=None),
            )
        else:
            array = _array(draw, pa.uint8(), rows, nulls=False, top=1)
        fields.append((column.name, array))
    if draw(st.booleans()):
        fields.append(("mood", _array(draw, pa.int64(), rows)))
    names, arrays = zip(*fields, strict=True)
    schema = pa.schema([(name, array.type) for name, array in fields], {"proctor:kind": kind.name})
    version = draw(st.sampled_from([pa.ipc.MetadataVersion.V4, pa.ipc.MetadataVersion.V5]))
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(metadata_version=version)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(list(arrays), names=list(names)))
    return bytes(sink.getvalue())


def _array(
    draw: st.DrawFn,
    kind: pa.DataType,
    rows: int,
    *,
    nulls: bool = True,
    top: int | None = None,
    number: int | None = None,
) -> pa.Array:
    items = st.integers(0 if number is None else number, TOPS[kind] if top is None else top)
    drawn = st.lists(st.none() | items if nulls else items, min_size=rows, max_size=rows)
    return pa.array(draw(drawn), kind)


def metadata_of(data: bytes) -> tuple[int, int]:
    """Return where the metadata of the record batch begins and ends."""
    start = 16 + struct.unpack_from("<i", data, 4)[0]
    return start, start + struct.unpack_from("<i", data, start - 4)[0]


def assert_same(table: Table | None, batch: pa.RecordBatch) -> None:
    assert table is not None
    vectors: dict[str, Any] = {
        "ts_us": (table.ts_us, None),
        "process": (table.process, None),
        **table.columns,
    }
    assert set(vectors) == set(batch.schema.names) - {"mood"}
    for name, (values, valid) in vectors.items():
        assert len(values) == batch.num_rows
        expected = batch.column(name)
        there = np.ones(len(values), bool) if valid is None else valid == 1
        assert there.tolist() == expected.is_valid().to_pylist()
        assert values[there].tolist() == expected.drop_null().to_pylist()


@given(streams())
def test_tables_are_read_as_pyarrow_reads_them(data: bytes) -> None:
    decoded = read_table(data, strings=TOP, processes=TOP)
    assert_same(decoded.table, pa.ipc.open_stream(data).read_next_batch())


@given(streams(), st.data())
def test_changed_metadata_is_read_as_pyarrow_reads_it_or_refused(
    data: bytes, choice: st.DataObject
) -> None:
    """Whatever the metadata says, in whole words or single bytes: none gets by with less."""
    start, end = metadata_of(data)
    broken = bytearray(data)
    for _ in range(choice.draw(st.integers(1, 3))):
        layout = choice.draw(st.sampled_from("BHIq"))
        size = struct.calcsize(layout)
        place = start + size * choice.draw(st.integers(0, (end - start) // size - 1))
        (old,) = struct.unpack_from("<" + layout, broken, place)
        near = st.sampled_from([old + 1, old - 1, old + 8, old - 8, 0, 8])
        low, high = (-(2**63), 2**63 - 1) if layout == "q" else (0, 256**size - 1)
        value = choice.draw(near | st.integers(low, high))
        struct.pack_into("<" + layout, broken, place, min(max(value, low), high))
    try:
        decoded = read_table(bytes(broken), strings=TOP, processes=TOP)
    except WireError:
        return
    assert_same(decoded.table, pa.ipc.open_stream(bytes(broken)).read_next_batch())
