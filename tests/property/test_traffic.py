"""Decoders of traffic: any segmentation gives the same, and hostile bytes do no harm."""

from collections.abc import Sequence
from io import BytesIO
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agent.decode.client_offer import read_client_offer
from agent.decode.facts import ContentSeen
from agent.decode.handshake import Handshake, is_client_start, is_server_start
from agent.decode.ja3 import ja3
from agent.decode.ja4 import ja4
from agent.decode.packet import Link, Packet, Skipped, read_ends, read_packet, reverse
from agent.decode.pcap import read_pcap
from agent.decode.pcapng import PcapngReader
from agent.decode.stream import Stream
from agent.decode.traffic import Traffic
from agent.errors import CaptureFileError, DecodeError
from tests.client_hellos import CHROME, client_record
from tests.packets import Talk, ethernet, pcap, pcapng, udp
from tests.tls_messages import certificate_message, message, record, server_hello

HELLO = client_record(CHROME)
ANSWER = record(message(2, server_hello()) + message(11, certificate_message([b"leaf"])))
TALK = Talk().open().say(HELLO).answer(ANSWER).close()
V6 = udp(("2001:db8::1", 1), ("2001:db8::2", 2), b"payload")
CHANGES = st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=8)


def damage(valid: bytes, changes: Sequence[tuple[int, int]]) -> bytes:
    damaged = bytearray(valid)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    return bytes(damaged)


@given(
    st.binary(min_size=1, max_size=200),
    st.integers(0, 0xFFFF_FFFF),
    st.lists(st.tuples(st.integers(0, 199), st.integers(1, 60)), max_size=20),
    st.randoms(use_true_random=False),
)
def test_stream_puts_any_segments_in_order(
    data: bytes, first: int, extra: list[tuple[int, int]], random: Random
) -> None:
    """Every byte is sent at least once, in any order, with overlaps."""
    cuts = [(at, 13) for at in range(0, len(data), 13)]
    segments = [(at, data[at : at + size]) for at, size in [*cuts, *extra] if data[at : at + size]]
    random.shuffle(segments)
    stream = Stream(first)
    out = b"".join(
        piece
        for at, payload in segments
        for piece in stream.feed((first + at) & 0xFFFF_FFFF, payload, size_bytes=len(payload))
    )

    assert out == data


@given(st.integers(1, 300), st.integers(1, 300), st.randoms(use_true_random=False))
def test_handshake_is_the_same_in_any_segments_and_order(
    client_size: int, server_size: int, random: Random
) -> None:
    talk = Talk().open().say(HELLO, size=max(client_size, 8)).answer(ANSWER, size=server_size)
    opening, rest = talk.packets[:3], talk.packets[3:]
    window = 20
    for start in range(0, len(rest), window):
        part = rest[start : start + window]
        random.shuffle(part)
        rest[start : start + window] = part
    traffic = Traffic()
    for ts_us, packet in [*opening, *rest]:
        traffic.add(packet, Link.RAW, ts_us)
    traffic.end(9_000_000)

    (session,) = (fact for fact in traffic.drain() if isinstance(fact, ContentSeen))
    whole = Handshake()
    whole.feed_client(HELLO)
    whole.feed_server(ANSWER)
    assert session.values == whole.columns()


@given(
    st.sampled_from(list(Link)),
    st.sampled_from([TALK.packets[3][1], V6, ethernet(V6, tags=[0x8100])]),
    CHANGES,
    st.integers(0, 120),
)
def test_damaged_frame_is_read_or_named(
    link: Link, valid: bytes, changes: list[tuple[int, int]], size: int
) -> None:
    frame = damage(valid, changes)[:size]
    packet = read_packet(frame, link)

    if isinstance(packet, Packet):
        assert 0 <= packet.begin <= packet.end <= len(frame)
        assert len(packet.payload) <= packet.payload_bytes
        assert reverse(reverse(packet.ends)) == packet.ends
        read_ends(packet.ends)
    else:
        assert packet in Skipped


@given(st.sampled_from(list(Link)), st.binary(max_size=120))
def test_random_frame_is_read_or_named(link: Link, frame: bytes) -> None:
    assert isinstance(read_packet(frame, link), Packet | Skipped)


@given(CHANGES, st.binary(max_size=20))
def test_damaged_hello_is_read_or_refused(changes: list[tuple[int, int]], after: bytes) -> None:
    try:
        offer = read_client_offer(damage(CHROME, changes) + after)
    except DecodeError:
        return
    assert len(ja3(offer.profile)) == 32
    assert len(ja4(offer.profile)) == 36


@given(CHANGES, CHANGES, st.integers(1, 400))
def test_damaged_connection_does_no_harm(
    in_hello: list[tuple[int, int]], in_answer: list[tuple[int, int]], size: int
) -> None:
    talk = Talk().open().say(damage(HELLO, in_hello), size=size)
    talk.answer(damage(ANSWER, in_answer), size=size).close()
    traffic = Traffic()
    for ts_us, packet in talk.packets:
        traffic.add(packet, Link.RAW, ts_us)
    traffic.end(9_000_000)

    assert len([fact for fact in traffic.drain() if isinstance(fact, ContentSeen)]) <= 1


@given(st.lists(st.tuples(st.integers(0, 7), CHANGES), max_size=30))
def test_damaged_packets_do_no_harm(choices: list[tuple[int, list[tuple[int, int]]]]) -> None:
    traffic = Traffic(max_flows=3)
    for number, (choice, changes) in enumerate(choices):
        traffic.add(damage(TALK.packets[choice][1], changes), Link.RAW, number * 1_000_000)
    traffic.end(60_000_000)

    traffic.drain()


@given(st.binary(max_size=60))
def test_random_starts_are_told(data: bytes) -> None:
    assert not (is_client_start(data) and is_server_start(data))


FILES = [pcap(TALK.packets), pcapng(TALK.packets), pcap(TALK.packets, order=">")]


@given(st.sampled_from(FILES), CHANGES, st.integers(0, 2_000))
def test_damaged_capture_file_is_read_or_refused(
    valid: bytes, changes: list[tuple[int, int]], size: int
) -> None:
    file = damage(valid, changes)[:size]
    for frames in (read_pcap(BytesIO(file)), PcapngReader(BytesIO(file)).frames()):
        try:
            for frame in frames:
                assert len(frame.data) <= len(file)
        except CaptureFileError:
            continue
