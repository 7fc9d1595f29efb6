"""The tables inside a message: what any Arrow tool reads in them, and what we refuse."""

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rules.errors import WireError
from rules.telemetry import Batch, BatchBuilder, Event
from rules.telemetry.arrow_reader import MAX_METADATA_BYTES, Decoded, read_table
from rules.telemetry.arrow_writer import write_table
from rules.telemetry.kinds import KINDS, ColumnType
from rules.telemetry.wire import REASONS, decode
from tests.messages import HEADER, NGINX, sample_batch, sealed

STRINGS, PROCESSES = 2, 1


def stream(
    columns: dict[str, pa.Array],
    *,
    kind: str | None = "process",
    closed: dict[str, str] | None = None,
    **options: Any,  # noqa: ANN401
) -> bytes:
    """Return a table as somebody else would write it."""
    fields = [
        pa.field(
            name,
            array.type,
            metadata={"proctor:closed": (closed or {})[name]} if name in (closed or {}) else None,
        )
        for name, array in columns.items()
    ]
    metadata = None if kind is None else {"proctor:kind": kind}
    batch = pa.RecordBatch.from_arrays(
        list(columns.values()), schema=pa.schema(fields, metadata=metadata)
    )
    return written(batch, **options)


def written(*batches: pa.RecordBatch, **options: Any) -> bytes:  # noqa: ANN401
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, batches[0].schema, options=pa.ipc.IpcWriteOptions(**options)
    ) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def base(rows: int = 3) -> dict[str, pa.Array]:
    return {
        "ts_us": pa.array(range(rows), pa.int64()),
        "process": pa.array([1] * rows, pa.uint8()),
    }


def read(data: bytes) -> Decoded:
    return read_table(data, strings=STRINGS, processes=PROCESSES)


def reason_of(data: bytes) -> str:
    with pytest.raises(WireError) as caught:
        read(data)
    assert caught.value.reason in REASONS
    return caught.value.reason


def test_any_arrow_tool_reads_a_table() -> None:
    batch = sample_batch()
    data = write_table(
        batch.tables["connection"], strings=len(batch.strings), processes=len(batch.processes)
    )
    table = pa.ipc.open_stream(data).read_all()
    table.validate(full=True)
    assert table.schema.metadata == {b"proctor:kind": b"connection"}
    assert table["ts_us"].to_pylist() == [1_000_000 + 50 * number for number in range(6)]
    assert table["duration_us"].to_pylist() == [None, 10, None, 30, None, 50]
    assert table["local_port"].type == pa.uint16()
    assert table.field("state").metadata == {b"proctor:closed": b"opened|closed"}
    assert table["state"].to_pylist() == [1, 2] * 3
    assert table.field("remote_address").metadata == {b"proctor:table": b"strings"}
    assert batch.strings[table["remote_address"][0].as_py() - 1] == "10.0.9.0"
    assert table.field("process").metadata == {b"proctor:table": b"processes"}
    assert table["process"].type == pa.uint8()


def test_indexes_take_the_width_that_the_tables_need() -> None:
    table = sample_batch().tables["connection"]
    for strings, processes, types in (
        (255, 256, ("uint8", "uint16")),
        (65_535, 65_536, ("uint16", "uint32")),
        (65_536, 255, ("uint32", "uint8")),
    ):
        data = write_table(table, strings=strings, processes=processes)
        schema = pa.ipc.open_stream(data).schema
        names = ("remote_address", "process")
        assert tuple(str(schema.field(name).type) for name in names) == types
        decoded = read_table(data, strings=strings, processes=processes).table
        assert decoded is not None
        assert decoded.process.tolist() == [1] * 6
        before = table.columns["remote_address"].values.tolist()
        assert decoded.columns["remote_address"].values.tolist() == before


def test_a_table_written_by_pyarrow_is_read() -> None:
    columns = base() | {
        "state": pa.array([1, 2, 0], pa.uint8()),
        "arguments": pa.array([0, 1, 2], pa.uint16()),
        "argument_count": pa.array([None, -1, 3], pa.int64()),
    }
    data = stream(columns, closed={"state": "started|exited"})
    rows = list(decode(sealed([data], events=3)).rows())
    shown = [(row.get("state"), row.get("arguments"), row.get("argument_count")) for row in rows]
    assert shown == [("started", None, None), ("exited", "a", -1), (None, "b", 3)]
    assert rows[0]["process_name"] == "nginx"


def test_ports_and_closed_numbers_may_be_null() -> None:
    versions = base() | {"imds_version": pa.array([None, 1, 2], pa.int64())}
    assert read(stream(versions, kind="imds_request")).rows == 3
    ports = base() | {"local_port": pa.array([None, 0, 65_535], pa.uint16())}
    table = read(stream(ports, kind="listener")).table
    assert table is not None
    assert table.columns["local_port"].valid.tolist() == [0, 1, 1]


def test_columns_are_aligned_wherever_the_table_lies() -> None:
    whole = stream(base() | {"argument_count": pa.array([None, 2, 3], pa.int64())})
    table = read_table(memoryview(b"x" + whole)[1:], strings=0, processes=PROCESSES).table
    assert table is not None
    assert table.ts_us.flags.aligned
    assert table.ts_us.tolist() == [0, 1, 2]
    assert table.columns["argument_count"].values.flags.aligned
    in_place = decode(sealed([whole], events=3)).tables["process"].ts_us
    assert in_place.base is not None, "columns are used where they lie"


def test_an_unknown_column_is_left_out_and_told() -> None:
    data = stream(base() | {"mood": pa.array([7, 8, 9], pa.int64())})
    decoded = read(data)
    assert decoded.ignored == ("process.mood",)
    assert decoded.table is not None
    assert decoded.table.columns == {}


def test_a_derived_column_is_never_taken_from_the_wire() -> None:
    data = stream(base() | {"remote_scope": pa.array([1, 1, 1], pa.uint8())}, kind="connection")
    assert read(data).ignored == ("connection.remote_scope",)


def test_an_unknown_kind_is_left_out_and_told() -> None:
    data = stream(base() | {"mood": pa.array([7, 8, 9], pa.int64())}, kind="usb_device")
    assert read(data) == Decoded("usb_device", 3, None, ("usb_device",))
    batch = decode(sealed([data], events=3))
    assert batch.tables == {}
    assert batch.ignored == ("usb_device",)


@pytest.mark.parametrize("stated", ["started", "started|exited|forked"])
def test_a_longer_or_shorter_list_of_closed_values_is_no_conflict(stated: str) -> None:
    data = stream(base() | {"state": pa.array([1, 1, 0], pa.uint8())}, closed={"state": stated})
    assert read(data).rows == 3


def changed(**columns: pa.Array) -> bytes:
    return stream(base() | columns)


BYTES = pa.array([1, 1, 1], pa.uint8())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (changed(state=pa.array([1, 1, 3], pa.uint8())), "code"),
        (stream(base() | {"imds_version": pa.array([1, 2, 3])}, kind="imds_request"), "code"),
        (stream(base() | {"imds_version": pa.array([None, 2, 3])}, kind="imds_request"), "code"),
        (stream(base() | {"nx": pa.array([0, 1, 3], pa.uint8())}, kind="executable"), "code"),
        (changed(arguments=pa.array([0, 1, 3], pa.uint32())), "index"),
        (changed(process=pa.array([0, 1, 2], pa.uint8())), "index"),
        (changed(arguments=pa.array([0, 1, 2**32 - 1], pa.uint32())), "index"),
        (changed(arguments=pa.array([None, 1, 1], pa.uint8())), "column"),
        (changed(process=pa.array([None, 1, 1], pa.uint8())), "column"),
        (changed(ts_us=pa.array([None, 1, 1], pa.int64())), "column"),
        (changed(ts_us=pa.array([1, 1, 1], pa.int32())), "column"),
        (changed(ts_us=pa.array([1, 1, 1], pa.timestamp("us"))), "column"),
        (changed(process=pa.array([1, 1, 1], pa.int8())), "column"),
        (changed(argument_count=BYTES), "column"),
        (changed(state=pa.array(["started"] * 3)), "column"),
        (changed(state=pa.array(["started"] * 3).dictionary_encode()), "column"),
        (changed(mood=pa.array(["started"] * 3).dictionary_encode()), "column"),
        (changed(mood=pa.array([[1], [], None])), "column"),
        (changed(mood=pa.array([1.5, 2, 3])), "column"),
        (changed(Mood=BYTES), "column"),
        (changed(**{"": BYTES}), "column"),
        (changed(**{f"column_{number}": BYTES for number in range(127)}), "column"),
        (stream({"ts_us": pa.array([1])}), "column"),
        (stream({"process": BYTES}), "column"),
        (stream(base() | {"state": BYTES}, closed={"state": "exited|started"}), "column"),
        (
            stream(base() | {"argument_count": pa.array([1] * 3)}, closed={"argument_count": "1"}),
            "",
        ),
        (stream(base(), kind=None), "kind"),
        (stream(base(), kind=""), "kind"),
        (stream(base(), kind="No Kind"), "kind"),
        (stream(base(), kind="k" * 65), "kind"),
        (stream(base(0)), "count"),
        (stream(base(10_001)), "count"),
        (stream(base(0), kind="usb_device"), "count"),
        (stream(base(), compression="zstd"), "compression"),
        (stream(base(), compression="lz4"), "compression"),
        (stream(base(), kind="k" * MAX_METADATA_BYTES), "arrow"),
        (b"", "arrow"),
        (b"\xff\xff\xff\xff", "arrow"),
        (b"\xff\xff\xff\xff\x00\x00\x00\x00", "arrow"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", "arrow"),
        (b"\xff\xff\xff\xff\x08\x00\x00\x00" + bytes(40), "arrow"),
        (b"ARROW1\0\0" + bytes(64), "arrow"),
        (stream(base()) + b"\0", "arrow"),
        (stream(base())[:-1], "arrow"),
        (stream(base())[:-8], "arrow"),
    ],
)
def test_a_hostile_table_is_refused(data: bytes, reason: str) -> None:
    if reason:
        assert reason_of(data) == reason
    else:
        assert read(data).rows == 3


def test_a_column_twice_is_refused() -> None:
    arrays = [*base().values(), BYTES, BYTES]
    schema = pa.schema(
        [("ts_us", pa.int64()), ("process", pa.uint8()), ("x", pa.uint8()), ("x", pa.uint8())],
        metadata={"proctor:kind": "process"},
    )
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    assert reason_of(written(batch)) == "column"


def test_more_than_one_record_batch_is_refused() -> None:
    schema = pa.schema(
        [("ts_us", pa.int64()), ("process", pa.uint8())], {"proctor:kind": "process"}
    )
    batch = pa.RecordBatch.from_arrays(list(base().values()), schema=schema)
    assert reason_of(written(batch, batch)) == "arrow"


def test_a_kind_twice_is_refused() -> None:
    with pytest.raises(WireError) as caught:
        decode(sealed([stream(base()), stream(base())], events=6))
    assert caught.value.reason == "kind"


def test_old_versions_of_arrow_named_the_codec_elsewhere() -> None:
    data = stream(base(), metadata_version=pa.ipc.MetadataVersion.V4)
    assert read(data).rows == 3
    start = 8 + int.from_bytes(data[4:8], "little")
    message = pa.ipc.read_message(pa.py_buffer(data).slice(start))
    assert message.metadata_version == pa.ipc.MetadataVersion.V4
    batch = pa.ipc.open_stream(data).read_next_batch()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "zstd"})
    assert reason_of(bytes(sink.getvalue())) == "compression"


@pytest.mark.parametrize("value", [0, 2**31 - 1, 2**32 - 1])
def test_a_record_batch_with_broken_offsets_is_refused(value: int) -> None:
    data = stream(base())
    start = 8 + int.from_bytes(data[4:8], "little")
    for place in range(start + 8, start + 8 + 64, 4):
        broken = bytearray(data)
        struct.pack_into("<I", broken, place, value)
        assert outcome_of(bytes(broken)) in {"arrow", "compression", "count", "read"}


def test_a_column_that_is_shorter_than_its_table_is_refused() -> None:
    """Rows, node and buffer lengths stand as numbers in the metadata; claim more in every mix."""
    data = stream(base(1_000))
    true, false = struct.pack("<q", 1_000), struct.pack("<q", 9_000)
    start = 8 + int.from_bytes(data[4:8], "little")
    places = [place for place in range(start, start + 300) if data.startswith(true, place)]
    reasons = set()
    for choice in range(1, 2 ** len(places)):
        broken = bytearray(data)
        for number, place in enumerate(places):
            if choice >> number & 1:
                broken[place : place + 8] = false
        reasons.add(outcome_of(bytes(broken)))
    assert {"count", "arrow"} <= reasons <= {"count", "arrow", "read"}


def test_a_validity_that_is_shorter_than_its_table_is_refused() -> None:
    data = stream(base(9) | {"argument_count": pa.array([None, *range(8)], pa.int64())})
    assert read(data).rows == 9
    validity = struct.pack("<qq", 88, 2)  # where it is in the body, and its bytes
    assert data.count(validity) == 1
    assert reason_of(data.replace(validity, struct.pack("<qq", 88, 1))) == "count"


@pytest.mark.parametrize("nulls", [-1, 4])
def test_a_count_of_nulls_that_cannot_be_is_refused(nulls: int) -> None:
    data = stream(base() | {"argument_count": pa.array([None, 1, 2], pa.int64())})
    place = data.index(struct.pack("<qq", 3, 1))
    broken = data[: place + 8] + struct.pack("<q", nulls) + data[place + 16 :]
    assert reason_of(broken) == "count"


def test_columns_of_an_unknown_kind_are_in_the_body_too() -> None:
    data = stream(base() | {"mood": pa.array([7, 8, 9], pa.int64())}, kind="usb_device")
    place = data.rindex(struct.pack("<q", 24))  # the size of the last column
    broken = data[:place] + struct.pack("<q", 4_096) + data[place + 8 :]
    assert reason_of(broken) == "arrow"


def outcome_of(data: bytes) -> str:
    try:
        read(data)
    except WireError as error:
        return error.reason
    return "read"


VALUES = {
    ColumnType.TEXT: "x",
    ColumnType.ADDRESS: "10.0.0.1",
    ColumnType.PORT: 443,
    ColumnType.INTEGER: 1,
    ColumnType.BOOLEAN: True,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_with_every_column_leaves_room_in_its_metadata(kind: str) -> None:
    values = {
        column.name: column.closed[-1] if column.closed else VALUES[column.type]
        for column in KINDS[kind].sent
    }
    builder = BatchBuilder()
    builder.add(Event(kind, 1, NGINX, values))
    batch = builder.build(HEADER)
    data = write_table(batch.tables[kind], strings=len(batch.strings), processes=1)
    decoded = read_table(data, strings=len(batch.strings), processes=1)
    assert decoded.ignored == ()
    assert decoded.table is not None
    assert set(decoded.table.columns) == set(values)
    assert int.from_bytes(data[4:8], "little") < MAX_METADATA_BYTES / 4


def test_columns_are_checked_in_every_kind() -> None:
    builder = BatchBuilder()
    builder.add(Event("executable", 1, None, {"path": "/bin/sh", "nx": True, "pie": False}))
    batch: Batch = builder.build(HEADER)
    data = write_table(batch.tables["executable"], strings=1, processes=0)
    table = read_table(data, strings=1, processes=0).table
    assert table is not None
    assert table.columns["nx"].values.tolist() == [2]
    assert np.array_equal(table.columns["pie"].values, [1])
