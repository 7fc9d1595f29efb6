import pytest

from agent.decode.stream import PENDING_BYTES_MAX, PENDING_MAX, Stream

TOP = 0xFFFF_FFFF


def feed(stream: Stream, sequence: int, data: bytes, *, size: int | None = None) -> bytes:
    return b"".join(stream.feed(sequence, data, size_bytes=len(data) if size is None else size))


def test_segments_in_order_come_out_as_they_were_sent() -> None:
    stream = Stream(100)

    assert stream.feed(100, b"abc", size_bytes=3) == [b"abc"]
    assert stream.feed(103, b"de", size_bytes=2) == [b"de"]


def test_early_segments_wait_for_the_missing_one() -> None:
    stream = Stream(0)

    assert feed(stream, 6, b"ghi") == b""
    assert feed(stream, 3, b"def") == b""
    assert stream.feed(0, b"abc", size_bytes=3) == [b"abc", b"def", b"ghi"]


@pytest.mark.parametrize(
    ("sequence", "data"), [(0, b"abc"), (1, b"bc"), (0, b"ab")], ids=["same", "tail", "head"]
)
def test_what_is_known_does_not_come_out_again(sequence: int, data: bytes) -> None:
    stream = Stream(0)
    feed(stream, 0, b"abc")

    assert feed(stream, sequence, data) == b""
    assert feed(stream, 3, b"d") == b"d"


def test_overlaps_are_cut() -> None:
    stream = Stream(0)
    feed(stream, 0, b"abc")

    assert feed(stream, 1, b"bcde") == b"de"


def test_overlap_of_a_waiting_segment_is_cut() -> None:
    stream = Stream(0)
    feed(stream, 2, b"cde")
    feed(stream, 3, b"d")

    assert feed(stream, 0, b"abcd") == b"abcde"


def test_of_two_waiting_at_one_place_the_longer_stays() -> None:
    stream = Stream(0)
    for data in (b"bc", b"bcd", b"b"):
        feed(stream, 1, data)

    assert feed(stream, 0, b"a") == b"abcd"


def test_numbers_wrap() -> None:
    stream = Stream(TOP - 1)
    feed(stream, 2, b"ef")

    assert feed(stream, TOP - 1, b"abcd") == b"abcdef"


def test_no_more_than_the_limit_comes_out() -> None:
    stream = Stream(0, limit_bytes=4)
    feed(stream, 5, b"f")

    assert feed(stream, 0, b"abcdef") == b"abcd"
    assert stream.is_over
    assert not stream.has_gap
    assert feed(stream, 6, b"g") == b""


def test_without_a_limit_everything_comes_out() -> None:
    stream = Stream(0, limit_bytes=None)

    assert len(feed(stream, 0, bytes(50_000))) == 50_000
    assert not stream.is_over


def test_bytes_that_were_not_captured_are_a_gap() -> None:
    stream = Stream(0)

    assert feed(stream, 0, b"abc", size=10) == b"abc"
    assert stream.has_gap
    assert stream.is_over


def test_limit_before_the_cut_is_no_gap() -> None:
    stream = Stream(0, limit_bytes=3)
    feed(stream, 0, b"abc", size=10)

    assert not stream.has_gap


def test_waiting_segment_that_was_cut_is_a_gap() -> None:
    stream = Stream(0)
    feed(stream, 1, b"b", size=5)
    feed(stream, 9, b"z")

    assert feed(stream, 0, b"a") == b"ab"
    assert stream.has_gap


def test_too_many_waiting_segments_are_a_gap() -> None:
    stream = Stream(0)
    for number in range(PENDING_MAX + 1):
        assert not stream.has_gap
        feed(stream, 10 + 2 * number, b"x")

    assert stream.has_gap
    assert feed(stream, 0, b"abc") == b""


def test_too_many_waiting_bytes_are_a_gap() -> None:
    stream = Stream(0)
    feed(stream, 10, bytes(PENDING_BYTES_MAX))
    assert not stream.has_gap
    feed(stream, 10 + PENDING_BYTES_MAX, b"x")

    assert stream.has_gap
