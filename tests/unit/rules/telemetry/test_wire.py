import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from rules.errors import WireError
from rules.telemetry import BatchBuilder, Coverage, Header, wire
from rules.telemetry.batch import MAX_EVENTS, TYPE_CODES, Event
from rules.telemetry.kinds import KINDS, ColumnType
from rules.telemetry.wire import REASONS, decode, decode_any, encode, header_of, peek
from tests.messages import HEADER, sample_batch, sample_events, sealed, sealed_body


def reason_of(data: bytes, read: Callable[[bytes], Any] = decode) -> str:
    with pytest.raises(WireError) as caught:
        read(data)
    assert caught.value.reason in REASONS
    return caught.value.reason


def test_decode_gives_back_header_and_rows() -> None:
    batch = sample_batch()
    again = decode(encode(batch))
    assert again.header == batch.header
    assert list(again.rows()) == list(batch.rows())
    assert again.ignored == ()
    assert len(again) == len(batch)


def test_decode_gives_numpy_columns_of_the_declared_types() -> None:
    batch = decode(encode(sample_batch()))
    for table in batch.tables.values():
        assert table.ts_us.dtype == np.int64
        assert table.process.dtype == np.uint32
        for name, vector in table.columns.items():
            code = TYPE_CODES[KINDS[table.kind].columns[name].type]
            assert vector.values.dtype == np.dtype(code), name
            assert vector.valid is None or vector.valid.dtype == np.uint8


def test_encode_takes_what_decode_gave() -> None:
    data = encode(sample_batch())
    assert list(decode(encode(decode(data))).rows()) == list(decode(data).rows())


def test_header_is_read_without_the_tables() -> None:
    assert header_of(encode(sample_batch())) == HEADER
    assert header_of(sealed([b"no table"])) == HEADER
    foreign = (
        b'{"format": 1, "agent_id": "i-1", "boot_id": "b0", "stream": "main", "sequence": 3,'
        b' "from_us": 10, "to_us": 20, "events": []}'
    )
    assert header_of(foreign) == decode_any(foreign).header


def test_header_that_the_label_does_not_confirm_is_refused() -> None:
    label = ("i-other", HEADER.boot_id, HEADER.stream, HEADER.sequence, 0)
    body = msgspec.msgpack.encode((HEADER, (), ()))
    assert reason_of(sealed_body(body, label=label), header_of) == "header"
    backwards = replace(HEADER, to_us=HEADER.from_us - 1)
    body = msgspec.msgpack.encode((backwards, (), ()))
    assert reason_of(sealed_body(body, events=0), header_of) == "header"


def test_a_batch_without_events_carries_its_header() -> None:
    batch = BatchBuilder().build(HEADER)
    again = decode(encode(batch))
    assert again.header == HEADER
    assert list(again.rows()) == []


def test_a_newer_sender_may_add_fields_to_header_and_arrays() -> None:
    header = {"agent_id": "a", "boot_id": "b", "stream": "main", "sequence": 1}
    header |= {"from_us": 0, "to_us": 1, "mood": "new"}
    body = msgspec.msgpack.encode((header, (), (), "new"))
    data = sealed_body(body, label=("a", "b", "main", 1, 0, "new"), more=1)
    assert decode(data).header == Header("a", "b", "main", 1, 0, 1)


def test_kinds_that_a_newer_sender_names_are_ignored_and_told() -> None:
    rows = (Coverage("usb", ("usb_device", "process"), 0, 1, "on"),)
    header = replace(HEADER, kinds=("usb_device", "process"), coverage=rows)
    batch = decode(sealed([], header=header, events=0))
    assert batch.header.kinds == ("process",)
    assert batch.header.coverage[0].kinds == ("process",)
    assert batch.ignored == ("usb_device",)


def test_peek_tells_the_label_without_a_look_at_the_body() -> None:
    label = peek(sealed_body(b"no body at all", events=9))
    assert label == wire.Label("i-0abc", "00ff", "main", 7, 9)


def test_decode_any_takes_both_forms() -> None:
    assert len(decode_any(encode(sample_batch()))) == 8
    assert reason_of(b"{", decode_any) == "json"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"\x97\xa7proc", "truncated"),
        (b"\x97\xa7proctor", "truncated"),
        (b"\x97\xa7proctor\x01", "truncated"),
        (b"hello", "magic"),
        (b"PK\x03\x04" + bytes(60), "magic"),
        (b"\x97\xa7proctor\x02" + bytes(60), "version"),
        (b"\x91\xa7proctor\x01", "envelope"),
        (b"\x97\xa7proctor\x01" + bytes(60), "envelope"),
        (bytes(8 * 1024 * 1024 + 1), "oversized"),
    ],
)
@pytest.mark.parametrize("read", [decode, peek, decode_any])
def test_what_is_no_message_is_refused(
    data: bytes, reason: str, read: Callable[[bytes], Any]
) -> None:
    assert reason_of(data, read) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compression": "lzma"}, "envelope"),
        ({"size_bytes": -1}, "envelope"),
        ({"size_bytes": 64 * 1024 * 1024 + 1}, "oversized"),
        ({"size_bytes": 3}, "count"),
        ({"body": b""}, "compression"),
        ({"body": "text"}, "envelope"),
        ({"label": ("i-0abc", "00ff", "main", 0, 0)}, "envelope"),
        ({"label": ("i-0abc", "00ff", "main", 1, MAX_EVENTS + 1)}, "envelope"),
        ({"tables": (0,)}, "envelope"),
        ({"tables": (-8,)}, "envelope"),
        ({"tables": (9,)}, "envelope"),
        ({"tables": (8,) * 65}, "envelope"),
        ({"tables": (8,)}, "body"),
        ({"tables": (2**40,)}, "body"),
        ({"label": ("i-0abc", "00ff", "main", 8, 0)}, "header"),
        ({"label": ("i-0abd", "00ff", "main", 7, 0)}, "header"),
        ({"label": ("i-0abc", "00ff", "main", 7, 1)}, "count"),
    ],
)
def test_an_envelope_that_lies_is_refused(changes: dict[str, Any], reason: str) -> None:
    body = msgspec.msgpack.encode((HEADER, (), ()))
    assert reason_of(sealed_body(body, events=0, **changes)) == reason


def test_text_that_is_no_utf_8_is_refused() -> None:
    body = msgspec.msgpack.encode((HEADER, ("x",), ()))
    label = msgspec.msgpack.encode("i-0abc")
    data = sealed_body(body, events=0).replace(label, label[:-1] + b"\xff")
    assert reason_of(data) == "envelope"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        msgspec.msgpack.encode(()),
        msgspec.msgpack.encode((HEADER, ())),
        msgspec.msgpack.encode((HEADER, ("x" * 40_000,), ())),
        msgspec.msgpack.encode((HEADER, (1,), ())),
        msgspec.msgpack.encode((HEADER, (), ((1, 2, 3),))),
        msgspec.msgpack.encode((HEADER, (), ((2**63,) + (None,) * 7,))),
        msgspec.msgpack.encode((replace(HEADER, sequence=0), (), ())),
        msgspec.msgpack.encode((replace(HEADER, sequence=2**63), (), ())),
        msgspec.msgpack.encode((replace(HEADER, from_us=1.5), (), ())),  # type: ignore[arg-type]
        msgspec.msgpack.encode((replace(HEADER, runs=("r",) * 1_001), (), ())),
        msgspec.msgpack.encode((HEADER, (), ())) + b"\x00",
        msgspec.msgpack.encode((HEADER, ("x",), ())).replace(b"\xa1x", b"\xa1\xff"),
        b"\x94" + msgspec.msgpack.encode(HEADER) + b"\x90\x90" + b"\x91" * 100_000,
    ],
)
def test_a_body_with_another_layout_is_refused(body: bytes) -> None:
    assert reason_of(sealed_body(body, events=0)) == "body"


@pytest.mark.parametrize(
    "header",
    [
        replace(HEADER, to_us=HEADER.from_us - 1),
        replace(HEADER, losses=(replace(HEADER.losses[0], to_us=-1),)),
        replace(HEADER, coverage=(replace(HEADER.coverage[0], to_us=-1),)),
        replace(HEADER, coverage=(replace(HEADER.coverage[0], state="asleep"),)),
        replace(HEADER, agent_id="a.b"),
        replace(HEADER, boot_id=""),
        replace(HEADER, stream="s" * 129),
    ],
)
def test_a_header_that_makes_no_sense_is_refused_on_both_sides(header: Header) -> None:
    label = (header.agent_id, header.boot_id, header.stream, header.sequence, 0)
    body = msgspec.msgpack.encode((header, (), ()))
    assert reason_of(sealed_body(body, label=label)) == "header"
    with pytest.raises(WireError, match=r"^header: "):
        encode(BatchBuilder().build(header))


@pytest.mark.parametrize(
    "header",
    [
        replace(HEADER, sequence=0),
        replace(HEADER, sequence=2**63),
        replace(HEADER, sequence=2**70),
        replace(HEADER, to_us=1.5),  # type: ignore[arg-type]
        replace(HEADER, to_us=object()),  # type: ignore[arg-type]
        replace(HEADER, losses=HEADER.losses * 1_001),
        replace(HEADER, coverage=(replace(HEADER.coverage[0], method="/tmp/\udcff"),)),  # noqa: S108
    ],
)
def test_a_header_that_decode_would_not_take_is_not_sent(header: Header) -> None:
    with pytest.raises(WireError, match=r"^header: "):
        encode(BatchBuilder().build(header))


def test_encode_refuses_more_than_decode_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = sample_batch()
    for limit, reason in (
        ("MAX_MESSAGE_BYTES", "oversized"),
        ("MAX_BODY_BYTES", "oversized"),
        ("MAX_EVENTS", "count"),
        ("MAX_STRINGS", "count"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(wire, limit, 5)
            with pytest.raises(WireError) as caught:
                encode(batch)
        assert caught.value.reason == reason, limit


def test_a_full_batch_of_distinct_texts_fits_a_message() -> None:
    longest = max(
        sum(column.type in {ColumnType.TEXT, ColumnType.ADDRESS} for column in kind.sent)
        for kind in KINDS.values()
    )
    assert longest * MAX_EVENTS <= wire.MAX_STRINGS


def test_the_sample_has_many_rows_of_one_process() -> None:
    builder = BatchBuilder()
    for event in sample_events(400):
        builder.add(event)
    builder.add(Event("process", 5, None, {"state": "exited"}))
    batch = builder.build(HEADER)
    again = decode(encode(batch))
    assert len(again.processes) == 1
    assert list(again.rows()) == list(batch.rows())


def test_the_agents_side_loads_nothing_of_the_analyzers() -> None:
    code = """
import sys
from rules.telemetry.wire import encode, peek
from tests.messages import sample_batch
peek(encode(sample_batch()))
print({"numpy", "pyarrow", "pydantic", "yaml"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
