import struct

import pytest

from agent.decode.packet import (
    ACK,
    TCP,
    UDP,
    Ends,
    Link,
    Packet,
    Skipped,
    read_ends,
    read_packet,
    reverse,
)
from tests.packets import CLIENT, SERVER, ethernet, ip, tcp, udp

V6_CLIENT, V6_SERVER = ("2001:db8::1", 40_000), ("2001:db8::2", 443)
SEGMENT = tcp(CLIENT, SERVER, b"hello", sequence=7)


def read(frame: bytes, link: Link = Link.RAW) -> Packet:
    packet = read_packet(frame, link)
    assert isinstance(packet, Packet)
    return packet


def test_segment_is_read() -> None:
    packet = read(SEGMENT)

    assert (packet.protocol, packet.sequence, packet.flags) == (TCP, 7, ACK)
    assert (packet.payload, packet.payload_bytes) == (b"hello", 5)
    assert read_ends(packet.ends) == Ends(*CLIENT, *SERVER)
    assert read_ends(reverse(packet.ends)) == Ends(*SERVER, *CLIENT)


def test_datagram_is_read() -> None:
    packet = read(udp(V6_CLIENT, V6_SERVER, b"hello"))

    assert (packet.protocol, packet.payload, packet.flags) == (UDP, b"hello", 0)
    assert read_ends(packet.ends) == Ends(*V6_CLIENT, *V6_SERVER)
    assert read_ends(reverse(packet.ends)) == Ends(*V6_SERVER, *V6_CLIENT)


def test_ipv4_inside_ipv6_is_ipv4() -> None:
    packet = read(tcp(("::ffff:10.0.0.1", 1), ("::ffff:10.0.0.2", 2)))

    assert read_ends(packet.ends) == Ends("10.0.0.1", 1, "10.0.0.2", 2)


@pytest.mark.parametrize(
    ("frame", "link"),
    [
        (ethernet(SEGMENT), Link.ETHERNET),
        (ethernet(SEGMENT, tags=[0x8100]), Link.ETHERNET),
        (ethernet(SEGMENT, tags=[0x88A8, 0x8100]), Link.ETHERNET),
        (ethernet(SEGMENT) + bytes(6), Link.ETHERNET),
        (b"\2\0\0\0" + SEGMENT, Link.NULL),
        (bytes(14) + b"\x08\0" + SEGMENT, Link.COOKED),
        (bytes(14) + b"\x81\0\0\7\x08\0" + SEGMENT, Link.COOKED),
        (b"\x08\0" + bytes(18) + SEGMENT, Link.COOKED2),
    ],
    ids=["ethernet", "vlan", "two tags", "padding", "null", "cooked", "cooked vlan", "cooked2"],
)
def test_every_link_layer_is_taken_off(frame: bytes, link: Link) -> None:
    packet = read(frame, link)

    assert packet.payload == b"hello"
    assert packet.ends == read(SEGMENT).ends


def test_extension_headers_are_passed_over() -> None:
    inner = udp(V6_CLIENT, V6_SERVER, b"hello")[40:]
    hop_by_hop = bytes([60, 0]) + bytes(6)
    destination = bytes([17, 1]) + bytes(14)
    frame = ip(V6_CLIENT[0], V6_SERVER[0], hop_by_hop + destination + inner, protocol=0)

    assert read(frame).payload == b"hello"


def test_length_that_the_card_fills_in_later_is_that_of_the_frame() -> None:
    v4 = bytearray(SEGMENT)
    v4[2:4] = b"\0\0"
    v6 = bytearray(tcp(V6_CLIENT, V6_SERVER, b"hello"))
    v6[4:6] = b"\0\0"

    assert read(bytes(v4)).payload == read(bytes(v6)).payload == b"hello"


def test_what_was_not_captured_is_counted() -> None:
    packet = read(SEGMENT[:-3])

    assert (packet.payload, packet.payload_bytes) == (b"he", 5)


def fragment(offset: int) -> bytes:
    frame = bytearray(SEGMENT)
    frame[6:8] = struct.pack(">H", offset)
    return bytes(frame)


def with_byte(frame: bytes, place: int, value: int) -> bytes:
    return frame[:place] + bytes([value]) + frame[place + 1 :]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (fragment(0x2000), Skipped.FRAGMENT),
        (fragment(0x0010), Skipped.FRAGMENT),
        (ip(V6_CLIENT[0], V6_SERVER[0], bytes(8), protocol=44), Skipped.FRAGMENT),
        (ip(CLIENT[0], SERVER[0], SEGMENT, protocol=4), Skipped.TUNNEL),
        (ip(CLIENT[0], SERVER[0], bytes(8), protocol=47), Skipped.TUNNEL),
        (ip(CLIENT[0], SERVER[0], bytes(8), protocol=50), Skipped.TUNNEL),
        (udp(CLIENT, ("10.0.0.2", 4789), SEGMENT), Skipped.TUNNEL),
        (ip(CLIENT[0], SERVER[0], bytes(8), protocol=1), Skipped.OTHER),
        (with_byte(SEGMENT, 0, 0x55), Skipped.OTHER),
        (b"", Skipped.MALFORMED),
        (SEGMENT[:19], Skipped.MALFORMED),
        (SEGMENT[:39], Skipped.MALFORMED),
        (with_byte(SEGMENT, 0, 0x44), Skipped.MALFORMED),
        (with_byte(SEGMENT, 3, 10), Skipped.MALFORMED),
        (with_byte(SEGMENT, 3, 30), Skipped.MALFORMED),
        (with_byte(SEGMENT, 32, 0x40), Skipped.MALFORMED),
        (udp(CLIENT, SERVER)[:27], Skipped.MALFORMED),
        (tcp(V6_CLIENT, V6_SERVER)[:39], Skipped.MALFORMED),
        (ip(V6_CLIENT[0], V6_SERVER[0], b"\0", protocol=0), Skipped.MALFORMED),
        (ip(V6_CLIENT[0], V6_SERVER[0], bytes(80), protocol=0), Skipped.MALFORMED),
    ],
)
def test_what_is_no_packet_is_named(frame: bytes, reason: Skipped) -> None:
    assert read_packet(frame, Link.RAW) is reason


@pytest.mark.parametrize(
    ("frame", "link", "reason"),
    [
        (ethernet(bytes(28), kind=0x0806), Link.ETHERNET, Skipped.OTHER),
        (ethernet(SEGMENT, kind=0x8847), Link.ETHERNET, Skipped.TUNNEL),
        (ethernet(SEGMENT, tags=[0x8100] * 6), Link.ETHERNET, Skipped.MALFORMED),
        (bytes(13), Link.ETHERNET, Skipped.MALFORMED),
        (bytes(3), Link.NULL, Skipped.MALFORMED),
        (bytes(15), Link.COOKED, Skipped.MALFORMED),
        (bytes(19), Link.COOKED2, Skipped.MALFORMED),
        (b"\x08\x06" + bytes(40), Link.COOKED2, Skipped.OTHER),
    ],
)
def test_frame_without_ip_is_named(frame: bytes, link: Link, reason: Skipped) -> None:
    assert read_packet(frame, link) is reason
