import msgspec
import pytest

from rules.telemetry.event import MAX_TEXT_BYTES
from rules.telemetry.texts import Texts, plain_texts

LENGTHS = (0, 1, 31, 32, 127, 128, 217, 218, 255, 256, 1_000, 0xD9D9 % 32_768, MAX_TEXT_BYTES)


def packed(*texts: str) -> bytes:
    return msgspec.msgpack.encode(texts)


def read(data: bytes, *, max_count: int = 1_000) -> Texts | None:
    return plain_texts(memoryview(data), max_count=max_count)


@pytest.mark.parametrize(
    "texts",
    [
        ("a",),
        ("",),
        ("", "", "x"),
        ("10.0.0.1", "", "/usr/bin/curl"),
        ("x",) * 15,
        ("x",) * 16,
        tuple(map(str, range(300))),
        *((("x" * length), "y", "z" * length) for length in LENGTHS),
        tuple("x" * length for length in LENGTHS),
        tuple("x" * length for length in reversed(LENGTHS)),
    ],
)
def test_texts_of_ascii_are_where_they_lie(texts: tuple[str, ...]) -> None:
    found = read(packed(*texts))
    assert found is not None
    assert len(found) == len(texts)
    assert tuple(found) == texts
    assert found[-1] == texts[-1]
    assert tuple(found[1:]) == texts[1:]
    ends = found.starts + found.sizes
    spans = zip(found.starts.tolist(), ends.tolist(), strict=True)
    assert tuple(str(found.data[start:end].data, "ascii") for start, end in spans) == texts


def test_an_array_with_a_size_of_four_bytes_is_read() -> None:
    found = read(b"\xdd\0\0\0\2\xa1a\xa1b")
    assert found is not None
    assert list(found) == ["a", "b"]


def test_some_of_the_texts_can_be_taken() -> None:
    found = read(packed("a", "bb", "", "c" * 40, "d"))
    assert found is not None
    some = found.take(found.sizes.argsort(kind="stable")[::-1])
    assert list(some) == ["c" * 40, "bb", "d", "a", ""]


@pytest.mark.parametrize(
    "data",
    [
        packed(),
        packed("ä"),
        packed("a", "ä", "b"),
        packed("a" * 30, "€" * 20),
        packed("a", "b" * (MAX_TEXT_BYTES + 1)),
        packed("x" * 70_000),  # whose size takes four bytes
        msgspec.msgpack.encode("text"),
        msgspec.msgpack.encode(None),
        msgspec.msgpack.encode((1, 2, 3)),
        msgspec.msgpack.encode(("a", 7)),
        msgspec.msgpack.encode(("a", None)),
        msgspec.msgpack.encode(("a", b"b")),
        msgspec.msgpack.encode((("a",),)),
        msgspec.msgpack.encode(("a", {"b": "c"})),
        msgspec.msgpack.encode(("a", -1)),
        b"\x92\xa1a\xa2b",  # cut off
        b"\x91\xa1ab",  # more than it holds
        b"\x91\xd9",
        b"\x91\xda",
        b"\x91\xda\x01",
        b"\x92\xa1a\xd9\x05abc",
        b"\x91\xd9\xd9\xff" + b"x" * 216,  # no UTF-8 right behind a size that looks like a mark
        b"\x91\xda\x00\xda\xff" + b"x" * 217,
        b"\x91\xda\xda\x00\xff" + b"x" * 0xD9FF,
    ],
)
def test_of_all_else_it_is_not_sure(data: bytes) -> None:
    assert read(data) is None


def test_more_than_allowed_are_left_to_be_refused() -> None:
    data = packed("a", "b", "c")
    assert read(data, max_count=2) is None
    assert read(data, max_count=3) is not None
