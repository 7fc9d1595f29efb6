"""Texts that are looked up where they lie are those that MessagePack holds."""

from typing import Annotated

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from analyzer.telemetry.dictionary import Dictionary
from rules.telemetry.event import Text
from rules.telemetry.texts import plain_texts

LIMIT = 50
STRICT = msgspec.msgpack.Decoder(Annotated[list[Text], msgspec.Meta(max_length=LIMIT)])
ascii_texts = st.text(st.characters(max_codepoint=127), max_size=40) | st.integers(0, 700).map(
    lambda size: "x" * size
)
plain = st.lists(ascii_texts, min_size=1, max_size=LIMIT)
lists = plain | st.lists(ascii_texts | st.text(max_size=9), max_size=LIMIT + 2)


def assert_strict(data: bytes) -> None:
    """What is found is what the strict decoder reads; of what it refuses, nothing is found."""
    found = plain_texts(memoryview(data), max_count=LIMIT)
    if found is not None:
        assert list(found) == STRICT.decode(data)


@given(plain)
def test_texts_of_ascii_are_always_found(texts: list[str]) -> None:
    found = plain_texts(memoryview(msgspec.msgpack.encode(texts)), max_count=LIMIT)
    assert found is not None
    assert list(found) == texts


@given(lists)
def test_texts_are_found_as_they_are_or_not_at_all(texts: list[str]) -> None:
    assert_strict(msgspec.msgpack.encode(texts))


@given(plain, st.data())
def test_bytes_that_lie_are_not_taken_for_texts(texts: list[str], data: st.DataObject) -> None:
    broken = bytearray(msgspec.msgpack.encode(texts))
    places = st.integers(0, len(broken) - 1)
    marks = st.sampled_from([0x80, 0x91, 0xA0, 0xC0, 0xC4, 0xD9, 0xDA, 0xDB, 0xFF])
    for place in data.draw(st.lists(places, min_size=1, max_size=4)):
        broken[place] = data.draw(marks | st.integers(0, 255))
    if data.draw(st.booleans()):
        del broken[data.draw(places) :]
        broken = broken or bytearray(b"\x90")
    assert_strict(bytes(broken))


@given(st.binary(max_size=60), st.integers(1, 15))
def test_random_bytes_are_not_taken_for_texts(data: bytes, count: int) -> None:
    assert_strict(bytes([0x90 | count]) + data)


@given(st.lists(lists, max_size=6))
def test_ids_do_not_depend_on_how_texts_come(batches: list[list[str]]) -> None:
    packed, listed = Dictionary(), Dictionary()
    for texts in batches:
        found = plain_texts(memoryview(msgspec.msgpack.encode(texts)), max_count=LIMIT)
        ids = packed.text_ids(texts if found is None else found)
        assert ids.tolist() == listed.text_ids(texts).tolist()
        assert ids.dtype == listed.text_ids(texts).dtype
    assert packed.texts == listed.texts
