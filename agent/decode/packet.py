"""Packets: from the bytes of one frame to the TCP segment or UDP datagram inside.

In: a frame and how its link layer looks. Out: ``Packet``, or why it is none. Anything may stand in
a frame: what cannot be read is named, never raised.
Source: IEEE 802.3 and 802.1Q, RFC 791, RFC 8200, RFC 9293, RFC 768, tcpdump.org's link types.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

TCP: Final = 6
UDP: Final = 17

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
ACK: Final = 0x10


class Skipped(StrEnum):
    """Why a frame gives no packet."""

    OTHER = "other"  # no TCP and no UDP: ARP, ICMP, …
    FRAGMENT = "fragment"  # part of a datagram that was cut on its way
    TUNNEL = "tunnel"  # packets inside packets, or encrypted ones
    MALFORMED = "malformed"  # cut or contradictory
    LINK = "link_type"  # of a network that is not known


class Link(StrEnum):
    """How frames begin."""

    ETHERNET = "ethernet"
    RAW = "raw"  # with the IP header
    NULL = "null"  # BSD loopback, family in the byte order of the host
    COOKED = "cooked"  # Linux "any", version 1
    COOKED2 = "cooked2"


class Packet(NamedTuple):
    """One TCP segment or UDP datagram.

    ``ends`` names its direction: source and destination address, then both ports, as they stand in
    the packet; 12 bytes with IPv4, 36 with IPv6. The payload is ``frame[begin:end]``; of
    ``payload_bytes`` that were sent, a capture may hold fewer. Sequence and flags are 0 for UDP.
    """

    protocol: int
    ends: bytes
    frame: bytes
    begin: int
    end: int
    payload_bytes: int
    sequence: int = 0
    flags: int = 0

    @property
    def payload(self) -> bytes:
        """Return what was captured of the payload."""
        return self.frame[self.begin : self.end]


class Ends(NamedTuple):
    """Addresses and ports of a packet, as text and numbers."""

    source: str
    source_port: int
    destination: str
    destination_port: int


_Read: TypeAlias = "Packet | Skipped"

_IPV4_TYPE: Final = 0x0800
_IPV6_TYPE: Final = 0x86DD
_IPV4_BYTES: Final = b"\x08\x00"
_VLAN_TYPES: Final = frozenset({0x8100, 0x88A8, 0x9100})
_TUNNEL_TYPES: Final = frozenset({0x8847, 0x8848, 0x8864})  # MPLS, PPP over Ethernet
_ETHERNET_BYTES: Final = 14
_VLAN_BYTES: Final = 4
_MAX_VLAN_TAGS: Final = 4
_FRAME_TYPE: Final = Struct(">H")

# TCP behind plain IPv4: total length, fragment, protocol, ends, sequence, header length, flags.
_PLAIN: Final = Struct(">xxHxxHxBxx12sI4xBB6x")
_PLAIN_FIRST: Final = 0x45  # version 4, a header of 20 bytes
_IPV4: Final = Struct(">BxHxxHxB")  # version and length, total length, fragment, protocol
_IPV4_BYTES_MIN: Final = 20
_MORE_OR_OFFSET: Final = 0x3FFF
_IPV6: Final = Struct(">HB")  # payload length, next header; from byte 4 on
_IPV6_BYTES: Final = 40
_PORTS_BYTES: Final = 4
_TCP_FIELDS: Final = Struct(">I4xBB")  # sequence, header length, flags; from byte 4 on
_TCP_BYTES_MIN: Final = 20
_UDP_BYTES: Final = 8

_ENDS: Final = {12: Struct(">4s4sHH"), 36: Struct(">16s16sHH")}

_TUNNEL_PROTOCOLS: Final = frozenset({4, 41, 47, 50, 51, 97, 115, 137})  # IP in IP, GRE, ESP, …
_TUNNEL_PORTS: Final = frozenset({2152, 4789, 6081, 8472})  # GTP-U, VXLAN, Geneve, VXLAN of old
_IPV6_OPTIONS: Final = frozenset({0, 43, 60, 135, 139, 140})  # hop by hop, routing, destination, …
_IPV6_FRAGMENT: Final = 44
_MAX_EXTENSION_HEADERS: Final = 8
_CACHED_ADDRESSES: Final = 4_096
_MAPPED: Final = bytes(10) + b"\xff\xff"


def read_packet(frame: bytes, link: Link) -> Packet | Skipped:
    """Return the packet in a frame, or why there is none."""
    begin = 0 if link is Link.RAW else _LINK_LAYERS[link](frame)
    if isinstance(begin, Skipped):
        return begin
    captured = len(frame)
    if captured - begin >= _PLAIN.size and frame[begin] == _PLAIN_FIRST:
        # Most of what there is: TCP over IPv4 without options, whole. What fits not, goes on below.
        total, fragment, protocol, ends, sequence, offset, flags = _PLAIN.unpack_from(frame, begin)
        payload, until = begin + _IPV4_BYTES_MIN + (offset >> 4) * 4, begin + total
        is_whole = protocol == TCP and not fragment & _MORE_OR_OFFSET
        if is_whole and begin + _PLAIN.size <= payload <= until:
            end = min(captured, until)
            fields = (TCP, ends, frame, payload, end, until - payload, sequence, flags)
            # Calling Packet itself would take twice as long.
            return tuple.__new__(Packet, fields)
    if captured - begin < _IPV4_BYTES_MIN:
        return Skipped.MALFORMED
    version = frame[begin] >> 4
    if version == 4:  # noqa: PLR2004 (as in its name)
        return _read_ipv4(frame, begin)
    return _read_ipv6(frame, begin) if version == 6 else Skipped.OTHER  # noqa: PLR2004


def read_ends(ends: bytes) -> Ends:
    """Return addresses and ports; IPv4 addresses inside IPv6 as IPv4."""
    source, destination, source_port, destination_port = _ENDS[len(ends)].unpack(ends)
    fields = (_text(source), source_port, _text(destination), destination_port)
    return tuple.__new__(Ends, fields)


def reverse(ends: bytes) -> bytes:
    """Return the ends of the other direction."""
    size = (len(ends) - _PORTS_BYTES) // 2
    return ends[size:-4] + ends[:size] + ends[-2:] + ends[-4:-2]


@lru_cache(_CACHED_ADDRESSES)
def _text(address: bytes) -> str:
    if len(address) == 4:  # noqa: PLR2004 (bytes of an IPv4 address)
        return inet_ntop(AF_INET, address)
    if address.startswith(_MAPPED):
        return inet_ntop(AF_INET, address[12:])
    return inet_ntop(AF_INET6, address)


def _read_ipv4(frame: bytes, begin: int) -> _Read:
    first, total, fragment, protocol = _IPV4.unpack_from(frame, begin)
    header = (first & 0x0F) * 4
    # A length of 0 stands in packets that the network card was to cut.
    total = total or len(frame) - begin
    if fragment & _MORE_OR_OFFSET:
        return Skipped.FRAGMENT
    if header < _IPV4_BYTES_MIN or total < header:
        return Skipped.MALFORMED
    addresses = frame[begin + 12 : begin + 20]
    if protocol == TCP:
        return _read_segment(frame, begin + header, begin + total, addresses)
    return _read_transport(
        frame, begin + header, begin + total, protocol=protocol, addresses=addresses
    )


def _read_ipv6(frame: bytes, begin: int) -> _Read:
    place = begin + _IPV6_BYTES
    if len(frame) < place:
        return Skipped.MALFORMED
    size, protocol = _IPV6.unpack_from(frame, begin + 4)
    until = place + size if size else len(frame)
    for _ in range(_MAX_EXTENSION_HEADERS):
        if protocol == _IPV6_FRAGMENT:
            return Skipped.FRAGMENT
        if protocol not in _IPV6_OPTIONS:
            addresses = frame[begin + 8 : begin + _IPV6_BYTES]
            return _read_transport(frame, place, until, protocol=protocol, addresses=addresses)
        if len(frame) < place + 2:
            return Skipped.MALFORMED
        protocol, length = frame[place], frame[place + 1]
        place += 8 * (length + 1)
    return Skipped.MALFORMED


def _read_transport(
    frame: bytes, place: int, until: int, *, protocol: int, addresses: bytes
) -> _Read:
    """Return the packet whose transport header begins at ``place``.

    Args:
        frame: All of it.
        place: Behind the IP header.
        until: Where the IP packet ends; a capture may hold less, and padding may follow.
        protocol: Of IP.
        addresses: Source and destination as they stand in the IP header.
    """
    if protocol == TCP:
        return _read_segment(frame, place, until, addresses)
    if protocol == UDP:
        return _read_datagram(frame, place, until, addresses)
    return Skipped.TUNNEL if protocol in _TUNNEL_PROTOCOLS else Skipped.OTHER


def _read_segment(frame: bytes, place: int, until: int, addresses: bytes) -> _Read:
    captured = len(frame)
    if captured < place + _TCP_BYTES_MIN:
        return Skipped.MALFORMED
    sequence, offset, flags = _TCP_FIELDS.unpack_from(frame, place + 4)
    begin = place + (offset >> 4) * 4
    if begin < place + _TCP_BYTES_MIN or until < begin:
        return Skipped.MALFORMED
    ends = addresses + frame[place : place + _PORTS_BYTES]
    end = min(until, captured)
    return Packet(TCP, ends, frame, begin, end, until - begin, sequence, flags)


def _read_datagram(frame: bytes, place: int, until: int, addresses: bytes) -> _Read:
    captured = len(frame)
    begin = place + _UDP_BYTES
    if captured < begin or until < begin:
        return Skipped.MALFORMED
    ports = frame[place : place + _PORTS_BYTES]
    if int.from_bytes(ports[2:], "big") in _TUNNEL_PORTS:
        return Skipped.TUNNEL
    return Packet(UDP, addresses + ports, frame, begin, min(until, captured), until - begin)


def _behind_ethernet(frame: bytes) -> int | Skipped:
    if frame[12:14] == _IPV4_BYTES:  # most of what there is
        return _ETHERNET_BYTES
    return _behind_type(frame, _ETHERNET_BYTES)


def _behind_cooked(frame: bytes) -> int | Skipped:
    return _behind_type(frame, 16)


def _behind_cooked2(frame: bytes) -> int | Skipped:
    if len(frame) < 20:  # noqa: PLR2004 (its header)
        return Skipped.MALFORMED
    kind = int.from_bytes(frame[:2], "big")
    return 20 if kind in {_IPV4_TYPE, _IPV6_TYPE} else _other_type(kind)


def _behind_null(frame: bytes) -> int | Skipped:
    """Return where IP begins; IP says itself which version it is."""
    return 4 if len(frame) > 4 else Skipped.MALFORMED  # noqa: PLR2004 (its header)


def _behind_type(frame: bytes, begin: int) -> int | Skipped:
    """Return where IP begins if the type that ends the link header, or a VLAN tag, says so."""
    for _ in range(_MAX_VLAN_TAGS + 1):
        if len(frame) < begin:
            return Skipped.MALFORMED
        (kind,) = _FRAME_TYPE.unpack_from(frame, begin - 2)
        if kind in {_IPV4_TYPE, _IPV6_TYPE}:
            return begin
        if kind not in _VLAN_TYPES:
            return _other_type(kind)
        begin += _VLAN_BYTES
    return Skipped.MALFORMED


def _other_type(kind: int) -> Skipped:
    return Skipped.TUNNEL if kind in _TUNNEL_TYPES else Skipped.OTHER


_LINK_LAYERS: Final[dict[Link, Callable[[bytes], int | Skipped]]] = {
    Link.ETHERNET: _behind_ethernet,
    Link.NULL: _behind_null,
    Link.COOKED: _behind_cooked,
    Link.COOKED2: _behind_cooked2,
}
