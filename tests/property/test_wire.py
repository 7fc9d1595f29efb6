"""The wire gives back what went in, and meets other bytes with a WireError in bounded memory."""

import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import WireError
from rules.telemetry import Batch, BatchBuilder, Event, Row
from rules.telemetry.arrow_writer import write_table
from rules.telemetry.foreign import MAX_JSON_BYTES
from rules.telemetry.wire import (
    MAX_BODY_BYTES,
    REASONS,
    decode,
    decode_any,
    encode,
    header_of,
    peek,
)
from tests.messages import HEADER, sample_batch, sealed, sealed_body
from tests.strategies import batches, events

PREFIX = b"\x97\xa7proctor\x01"
MEBIBYTE = 1024 * 1024


@cache
def message() -> bytes:
    return encode(sample_batch())


@cache
def tables() -> tuple[bytes, ...]:
    batch = sample_batch()
    return tuple(
        write_table(table, strings=len(batch.strings), processes=len(batch.processes))
        for table in batch.tables.values()
    )


def rows_of(batch: Batch) -> list[Row]:
    return list(batch.rows())


def refused(data: bytes) -> str:
    """Return the reason of a refusal, empty where the bytes are a batch; no more may happen."""
    reason = ""
    with suppress(WireError):
        peek(data)
    header = None
    with suppress(WireError):
        header = header_of(data)
    try:
        batch = decode_any(data)
        rows_of(batch)
        assert header is not None
        if not batch.ignored:
            assert batch.header == header
    except WireError as error:
        reason = error.reason
    assert reason in {"", *REASONS}
    return reason


@given(batches())
def test_decode_gives_back_what_encode_took(batch: Batch) -> None:
    again = decode(encode(batch))
    assert again.header == batch.header
    assert tuple(again.strings) == tuple(batch.strings)
    assert tuple(again.processes) == tuple(batch.processes)
    assert rows_of(again) == rows_of(batch)
    assert again.ignored == ()


@given(st.lists(events, max_size=10))
def test_a_row_is_all_there_is_to_an_event(given_events: list[Event]) -> None:
    first, second = BatchBuilder(), BatchBuilder()
    for event in given_events:
        first.add(event)
    rows = rows_of(first.build(HEADER))
    for row in rows:
        second.add(Event.from_row(row))
    assert rows_of(second.build(HEADER)) == rows


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    assert refused(data)
    assert refused(PREFIX + data)
    assert refused(b"{" + data)


@given(st.binary(max_size=300))
def test_random_bodies_and_tables_are_refused(data: bytes) -> None:
    assert refused(sealed_body(data)) in {"body", "count", "header"}
    padded = data + bytes(-len(data) % 8 or 8)
    assert refused(sealed([padded])) == "arrow"


_leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
_objects = st.recursive(
    _leaves | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@given(_objects)
def test_other_layouts_are_refused(other: object) -> None:
    good = (HEADER, ("a",), ())
    for place in range(len(good)):
        body = msgspec.msgpack.encode((*good[:place], other, *good[place + 1 :]))
        assert refused(sealed_body(body, events=0)) in {"", "body", "header"}
    for field in ("compression", "size_bytes", "label", "tables", "body"):
        changes: dict[str, Any] = {field: other}
        assert refused(sealed_body(msgspec.msgpack.encode(good), **changes))
    assert refused(msgspec.msgpack.encode(other))


def test_a_message_cut_at_any_byte_is_refused() -> None:
    for size in range(len(message())):
        assert refused(message()[:size]) == "truncated", size


def test_a_table_cut_at_any_byte_is_refused() -> None:
    whole = tables()[0]
    for size in range(8, len(whole), 8):
        assert refused(sealed([whole[:size]], strings=("a",) * 9, events=6)) == "arrow", size
    for size in range(len(whole)):
        padded = whole[:size] + bytes(-size % 8 or 8)
        assert refused(sealed([padded], strings=("a",) * 9, events=6)) in {"arrow", ""}, size


@given(st.data())
def test_a_flipped_bit_never_makes_another_event(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 8 * len(message()) - 1))
    broken = bytearray(message())
    broken[place // 8] ^= 1 << place % 8
    if not refused(bytes(broken)):
        batch = decode(bytes(broken))
        assert batch.header == sample_batch().header
        assert rows_of(batch) == rows_of(sample_batch())


@given(st.data())
def test_tables_with_flipped_bytes_are_read_or_refused(data: st.DataObject) -> None:
    """Behind a good checksum: a sender that lies, not a line that breaks."""
    table = bytearray(data.draw(st.sampled_from(tables())))
    flips = st.lists(st.tuples(st.integers(0, len(table) - 1), st.integers(0, 255)), max_size=6)
    for place, value in data.draw(flips):
        table[place] = value
    events_stated = data.draw(st.sampled_from([2, 6]))
    refused(sealed([bytes(table)], strings=("a",) * 12, events=events_stated))


@given(st.data())
def test_flipped_bytes_behind_the_seal_are_read_or_refused(data: st.DataObject) -> None:
    batch = sample_batch()
    tail = msgspec.msgpack.encode((batch.header, batch.strings, batch.processes))
    body = bytearray(b"".join((*tables(), tail)))
    flips = st.lists(st.tuples(st.integers(0, len(body) - 1), st.integers(0, 255)), max_size=6)
    for place, value in data.draw(flips):
        body[place] = value
    sizes = list(map(len, tables()))
    refused(sealed_body(bytes(body), events=len(batch), tables=sizes))


def peak_bytes(data: bytes) -> int:
    """Return the most memory that refusing takes, Python's and Arrow's together."""
    pool = pa.system_memory_pool()
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        assert refused(data)
        return tracemalloc.get_traced_memory()[1] + int(pool.max_memory())
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


def bomb_zstd() -> bytes:
    packed = zstandard.ZstdCompressor(19).compress(bytes(MAX_BODY_BYTES))
    return sealed_body(b"", body=packed, compression="zstd", size_bytes=1_000)


def bomb_zstd_of_unknown_size() -> bytes:
    packing = zstandard.ZstdCompressor(19, write_content_size=False).compressobj()
    packed = packing.compress(bytes(MAX_BODY_BYTES)) + packing.flush()
    return sealed_body(b"", body=packed, compression="zstd", size_bytes=1_000)


def bomb_zlib() -> bytes:
    packed = zlib.compress(bytes(MAX_BODY_BYTES), 9)
    return sealed_body(b"", body=packed, compression="zlib", size_bytes=1_000)


def bomb_of_strings() -> bytes:
    count = 16 * MEBIBYTE
    body = msgspec.msgpack.encode((HEADER,))[1:]
    body = b"\x93" + body + b"\xdd" + count.to_bytes(4, "big") + b"\xa1a" * count
    return sealed_body(body)


def bomb_in_arrow() -> bytes:
    """A buffer of few bytes that claims to be a gigabyte once decompressed."""
    columns = [pa.array([1] * 8, pa.int64()), pa.array([1] * 8, pa.uint8())]
    schema = pa.schema(
        [("ts_us", pa.int64()), ("process", pa.uint8())], {"proctor:kind": "process"}
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
    ) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    size = (64).to_bytes(8, "little")
    data = bytes(sink.getvalue()).replace(size, (2**30).to_bytes(8, "little"))
    return sealed([data], events=8)


def bomb_of_json() -> bytes:
    return b'{"format":1,"events":[' + b"[]," * (MAX_JSON_BYTES // 12) + b"0]}"


@pytest.mark.parametrize(
    ("bomb", "most_mebibytes"),
    [
        (bomb_zstd, 1),
        (bomb_zstd_of_unknown_size, 1),
        (bomb_zlib, 1),
        (bomb_of_strings, 40),
        (bomb_in_arrow, 1),
        (bomb_of_json, 32),  # a quarter of what is allowed, so a quarter of the worst
    ],
)
def test_a_bomb_stays_small(bomb: Callable[[], bytes], most_mebibytes: int) -> None:
    data = bomb()
    assert len(data) < MAX_JSON_BYTES + 1
    assert peak_bytes(data) < most_mebibytes * MEBIBYTE
