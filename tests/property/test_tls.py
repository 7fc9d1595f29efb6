"""TLS messages: any pieces give the same, and hostile bytes do no harm."""

from hypothesis import given
from hypothesis import strategies as st

from agent.decode.server_answer import ServerAnswer
from agent.decode.tls import HandshakeReader, read_leaf, read_server_hello
from agent.errors import DecodeError
from tests.tls_messages import (
    certificate_message,
    extension,
    message,
    record,
    server_hello,
    tls13_hello,
)

EXTENSIONS = st.lists(
    st.builds(extension, st.integers(0, 42) | st.integers(44, 65_535), st.binary(max_size=20)),
    max_size=5,
)
HELLOS = st.builds(
    server_hello,
    st.sampled_from([0x0300, 0x0301, 0x0302, 0x0303]),
    cipher=st.integers(0, 65_535),
    extensions=st.none() | EXTENSIONS,
    random=st.binary(min_size=32, max_size=32),
    session_id=st.binary(max_size=32),
)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut ``data`` into pieces of these sizes, in turn, until it is used up."""
    pieces: list[bytes] = []
    position = 0
    while position < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[position : position + size])
        position += size
    return pieces


SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=4)


@given(HELLOS, st.lists(st.binary(max_size=200), max_size=3), SIZES, SIZES)
def test_answer_is_the_same_in_any_pieces(
    hello: bytes, certificates: list[bytes], in_records: list[int], in_pieces: list[int]
) -> None:
    messages = message(2, hello) + message(11, certificate_message(certificates))
    stream = b"".join(record(part) for part in cut(messages, in_records))
    answer = ServerAnswer()

    for piece in cut(stream, in_pieces):
        answer.feed(piece)

    assert answer.is_complete
    assert answer.hello == read_server_hello(hello)
    assert answer.leaf == (certificates[0] if certificates else None)


VALID = [
    record(message(2, server_hello()) + message(11, certificate_message([b"leaf", b"issuer"]))),
    record(message(2, tls13_hello())),
    record(b"\x02\x28", kind=21),
]


@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=5),
    st.binary(max_size=30),
    SIZES,
)
def test_damaged_answer_is_read_or_refused(
    valid: bytes, changes: list[tuple[int, int]], after: bytes, sizes: list[int]
) -> None:
    damaged = bytearray(valid)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    answer = ServerAnswer()

    try:
        for piece in cut(bytes(damaged) + after, sizes):
            answer.feed(piece)
    except DecodeError:
        return
    assert not (answer.is_complete and answer.hello is None and answer.alert is None)


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (read_server_hello, read_leaf, HandshakeReader().feed):
        try:
            read(data)
        except DecodeError:
            continue
