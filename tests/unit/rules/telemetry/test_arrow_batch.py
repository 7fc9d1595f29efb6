"""The metadata of a record batch, laid out by hand so that each piece of it can be broken."""

import struct
from typing import Any

import pyarrow as pa
import pytest

from rules.errors import WireError
from rules.telemetry.arrow_batch import BatchLayout, read_layout

ROWS, BODY_BYTES = 3, 32
NODES = (3, 0, 3, 1)
BUFFERS = (0, 0, 0, 24, 24, 1, 24, 3)

# Where the pieces stand; a vtable states its size, that of its table, and the place of each field.
ROOT, MESSAGE_VTABLE, MESSAGE = 0, 4, 24
VERSION, TYPE, HEADER, CUSTOM, BODY = 28, 30, 32, 36, 40
BATCH_VTABLE, BATCH = 48, 64
LENGTH, NODES_AT, BUFFERS_AT, SPARE = 72, 80, 84, 88
NODES_VECTOR, BUFFERS_VECTOR, END = 100, 140, 208


def metadata() -> bytearray:
    data = bytearray(END)
    struct.pack_into("<I", data, ROOT, MESSAGE)
    struct.pack_into("<7H", data, MESSAGE_VTABLE, 14, 24, 4, 6, 8, 16, 0)
    struct.pack_into("<ihBxII", data, MESSAGE, MESSAGE - MESSAGE_VTABLE, 4, 3, BATCH - HEADER, 0)
    struct.pack_into("<q", data, BODY, BODY_BYTES)
    struct.pack_into("<7H", data, BATCH_VTABLE, 14, 32, 8, 16, 20, 0, 0)
    struct.pack_into("<i4xq", data, BATCH, BATCH - BATCH_VTABLE, ROWS)
    struct.pack_into("<2I", data, NODES_AT, NODES_VECTOR - NODES_AT, BUFFERS_VECTOR - BUFFERS_AT)
    struct.pack_into("<I4q", data, NODES_VECTOR, 2, *NODES)
    struct.pack_into("<I8q", data, BUFFERS_VECTOR, 4, *BUFFERS)
    return data


def changed(layout: str, place: int, *values: Any) -> bytearray:  # noqa: ANN401 (numbers)
    data = metadata()
    struct.pack_into(layout, data, place, *values)
    return data


def reason_of(data: bytearray) -> str:
    with pytest.raises(WireError) as caught:
        read_layout(memoryview(data), columns=2)
    return caught.value.reason


def test_the_numbers_of_a_record_batch_are_read() -> None:
    expected = BatchLayout(ROWS, BODY_BYTES, NODES, BUFFERS)
    assert read_layout(memoryview(metadata()), columns=2) == expected


def test_pyarrow_reads_the_same() -> None:
    data = b"\xff\xff\xff\xff" + END.to_bytes(4, "little") + metadata() + bytes(BODY_BYTES)
    schema = pa.schema([("a", pa.int64()), ("b", pa.uint8())])
    batch = pa.ipc.read_record_batch(pa.ipc.read_message(data), schema)
    assert batch.num_rows == ROWS
    assert batch.column(0).to_pylist() == [0, 0, 0]
    assert batch.column(1).null_count == 1


@pytest.mark.parametrize(
    ("vtable", "field"),
    [(MESSAGE_VTABLE, 3), (BATCH_VTABLE, 0)],
)
def test_a_number_that_is_left_out_is_zero(vtable: int, field: int) -> None:
    layout = read_layout(memoryview(changed("<H", vtable + 4 + 2 * field, 0)), columns=2)
    assert 0 in layout[:2]


def test_a_newer_vtable_may_be_longer() -> None:
    data = bytearray(metadata() + bytes(32))
    vtable = struct.pack("<9H", 18, 24, 4, 6, 8, 16, 0, 0, 0)
    data[END : END + len(vtable)] = vtable
    struct.pack_into("<i", data, MESSAGE, MESSAGE - END)
    assert read_layout(memoryview(data), columns=2).rows == ROWS


@pytest.mark.parametrize("version", [3, 4])
def test_both_versions_of_today_are_read(version: int) -> None:
    data = memoryview(changed("<h", VERSION, version))
    assert read_layout(data, columns=2).rows == ROWS


@pytest.mark.parametrize(
    "data",
    [
        bytearray(),
        bytearray(3),
        bytearray(END),
        changed("<I", ROOT, END),
        changed("<I", ROOT, 2**32 - 4),
        changed("<I", ROOT, MESSAGE + 1),
        changed("<i", MESSAGE, MESSAGE + 4),  # the vtable before the beginning
        changed("<i", MESSAGE, -END),  # and behind the end
        changed("<i", MESSAGE, MESSAGE - MESSAGE_VTABLE - 1),  # and at an odd place
        changed("<H", MESSAGE_VTABLE, 13),
        changed("<H", MESSAGE_VTABLE, END),  # longer than all there is
        changed("<H", MESSAGE_VTABLE, 0),
        changed("<H", MESSAGE_VTABLE, 2),
        changed("<H", MESSAGE_VTABLE, 4),
        changed("<H", MESSAGE_VTABLE, 8),  # without header
        changed("<H", MESSAGE_VTABLE + 4, 0),  # without version
        changed("<H", MESSAGE_VTABLE + 4, 5),  # the version at an odd place
        changed("<H", MESSAGE_VTABLE + 6, 0),
        changed("<H", MESSAGE_VTABLE + 8, 0),
        changed("<H", MESSAGE_VTABLE + 8, 9),
        changed("<H", MESSAGE_VTABLE + 10, 12),  # the body's size at no multiple of 8
        changed("<H", MESSAGE_VTABLE + 10, 2**16 - 8),
        changed("<h", VERSION, 2),
        changed("<h", VERSION, 5),
        changed("<h", VERSION, -1),
        changed("<B", TYPE, 1),  # a schema
        changed("<B", TYPE, 2),  # a dictionary
        changed("<I", HEADER, 2**32 - 4),
        changed("<I", HEADER, BATCH - HEADER + 2),
        changed("<i", BATCH, 2**31 - 1),
        changed("<i", BATCH, -(2**31)),
        changed("<H", BATCH_VTABLE, 4),
        changed("<H", BATCH_VTABLE + 4, 4),  # the rows at no multiple of 8
        changed("<H", BATCH_VTABLE + 6, 0),  # without nodes
        changed("<H", BATCH_VTABLE + 8, 0),  # without buffers
        changed("<H", BATCH_VTABLE + 12, 24),  # buffers of views
        changed("<I", NODES_AT, 2**32 - 4),
        changed("<I", NODES_AT, NODES_VECTOR - NODES_AT + 1),
        changed("<I", NODES_VECTOR, 1),
        changed("<I", NODES_VECTOR, 3),
        changed("<I", NODES_VECTOR, 2**32 - 1),
        changed("<I", BUFFERS_VECTOR, 3),
        changed("<I", BUFFERS_VECTOR, 5),
        metadata()[:-1],
    ],
)
def test_what_is_laid_out_otherwise_is_refused(data: bytearray) -> None:
    assert reason_of(data) == "arrow"


def test_compression_is_refused_wherever_it_is_said() -> None:
    assert reason_of(changed("<H", BATCH_VTABLE + 10, 24)) == "compression"
    assert reason_of(changed("<H", MESSAGE_VTABLE + 12, 12)) == "compression"


@pytest.mark.parametrize("columns", [0, 1, 3, 128])
def test_another_number_of_columns_is_refused(columns: int) -> None:
    with pytest.raises(WireError, match=r"^arrow: "):
        read_layout(memoryview(metadata()), columns=columns)
