"""The filter in front of packets: only the start of each TCP direction leaves the kernel.

In: a map of flows. Out: an eBPF program for a packet socket without link header (SOCK_DGRAM). Bulk
data never reaches the agent; the first 16 KB of each direction do, whatever it speaks.

It keeps: SYN, FIN and RST; the first 16 KB of each direction whose SYN it saw, or that begins with
TLS; all of TCP port 53 and of requests to the metadata service; over UDP, DNS answers and SNMP.
It drops fragments, IPv6 extension headers, and what loopback shows a second time.
"""

from __future__ import annotations

import sys
from ipaddress import ip_address
from typing import Final

from agent.decode.dns import DNS_PORT
from agent.decode.http import IMDS_PORT
from agent.decode.packet import FIN, RST, SYN, TCP, UDP
from agent.decode.stream import STREAM_BYTES
from agent.sensors.ebpf import (
    ADD,
    AND,
    ANY_BIT,
    AT_MOST_SIGNED,
    BELOW,
    BYTE,
    DOUBLE,
    EQUAL,
    FRAME,
    HALF,
    LOAD_BYTES,
    MAP_LOOKUP,
    MAP_UPDATE,
    NOT_EQUAL,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R8,
    R9,
    SHIFT_LEFT,
    SHIFT_RIGHT,
    SUBTRACT,
    WORD,
    Assembler,
)

KEY_BYTES: Final = 40  # both addresses, both ports, padding
VALUE_BYTES: Final = 4  # sequence number of the first byte

SNAP_BYTES: Final = STREAM_BYTES + 256  # of a packet: what is wanted and every header
WHOLE: Final = 0x40000
SNMP_PORTS: Final = (161, 162)

_IPV4_TYPE, _IPV6_TYPE = 0x0800, 0x86DD
_OUTGOING: Final = 4
_LOOPBACK: Final = 1
_FRAGMENTED: Final = 0x3FFF
_IPV6_BYTES: Final = 40
_TLS_HANDSHAKE: Final = 0x1603

# Fields of the packet's description (struct __sk_buff).
_LENGTH, _DIRECTION, _PROTOCOL, _INTERFACE = 0, 4, 16, 40
# The stack, from its top: the key, then the value. IPv4 leaves most of the key 0.
_KEY, _V4_DESTINATION, _V6_DESTINATION, _PORTS = -40, -36, -24, -8
_VALUE: Final = -44

_IMDS_V4, _IMDS_V6 = (ip_address(text).packed for text in ("169.254.169.254", "fd00:ec2::254"))


def build_flow_filter(map_fileno: int) -> bytes:
    """Return the program; R7 is the size of the IP header, R8 where the packet ends."""
    code = Assembler()
    code.copy(R6, R1)
    _drop_doubles(code)
    for offset in range(_KEY, 0, 8):
        code.store_number(DOUBLE, FRAME, offset, 0)
    code.load(WORD, R0, R6, _PROTOCOL)
    code.jump_if(EQUAL, R0, _in_network_order(_IPV4_TYPE), "ipv4")
    code.jump_if(EQUAL, R0, _in_network_order(_IPV6_TYPE), "ipv6")
    code.jump("drop")
    _read_ipv4(code)
    _read_ipv6(code)
    code.label("transport")
    code.jump_if(EQUAL, R0, UDP, "udp")
    code.jump_if(NOT_EQUAL, R0, TCP, "drop")
    _judge_segment(code, map_fileno)
    _judge_datagram(code)
    for name, size in (("whole", WHOLE), ("start", SNAP_BYTES), ("drop", 0)):
        code.label(name)
        code.set(R0, size)
        code.exit()
    return code.assemble()


def _drop_doubles(code: Assembler) -> None:
    """Drop outgoing packets of loopback: each comes in as well."""
    code.load(WORD, R0, R6, _DIRECTION)
    code.jump_if(NOT_EQUAL, R0, _OUTGOING, "single")
    code.load(WORD, R0, R6, _INTERFACE)
    code.jump_if(EQUAL, R0, _LOOPBACK, "drop")
    code.label("single")


def _read_ipv4(code: Assembler) -> None:
    code.label("ipv4")
    code.load_packet(HALF, 6)
    code.jump_if(ANY_BIT, R0, _FRAGMENTED, "drop")
    code.load_packet(BYTE, 0)
    code.compute(AND, R0, 0x0F)
    code.compute(SHIFT_LEFT, R0, 2)
    code.copy(R7, R0)
    code.load_packet(HALF, 2)
    code.copy(R8, R0)
    code.jump_if(NOT_EQUAL, R8, 0, "ipv4_sized")
    code.load(WORD, R8, R6, _LENGTH)  # the network card is to cut it and fill in the length
    code.label("ipv4_sized")
    _load_bytes(code, 12, _KEY, 8)
    code.load_packet(BYTE, 9)
    code.jump("transport")


def _read_ipv6(code: Assembler) -> None:
    code.label("ipv6")
    code.set(R7, _IPV6_BYTES)
    code.load_packet(HALF, 4)
    code.copy(R8, R0)
    code.compute(ADD, R8, _IPV6_BYTES)
    code.jump_if(NOT_EQUAL, R0, 0, "ipv6_sized")
    code.load(WORD, R8, R6, _LENGTH)
    code.label("ipv6_sized")
    _load_bytes(code, 8, _KEY, 32)
    code.load_packet(BYTE, 6)


def _judge_segment(code: Assembler, map_fileno: int) -> None:
    code.copy(R2, R7)
    _load_bytes(code, None, _PORTS, 4)
    code.load_packet(BYTE, 13, behind=R7)
    code.copy(R9, R0)  # flags
    code.jump_if(ANY_BIT, R9, FIN | RST, "start")
    for offset in (0, 2):
        code.load_packet(HALF, offset, behind=R7)
        code.jump_if(EQUAL, R0, DNS_PORT, "whole")
    code.jump_if(NOT_EQUAL, R0, IMDS_PORT, "not_imds")
    _keep_imds(code)
    code.label("not_imds")
    code.jump_if(ANY_BIT, R9, SYN, "syn")
    _find_payload(code)
    code.load_packet(WORD, 4, behind=R7)
    code.copy(R9, R0)  # sequence number
    code.load_map(R1, map_fileno)
    _point_to(code, R2, _KEY)
    code.call(MAP_LOOKUP)
    code.jump_if(EQUAL, R0, 0, "unknown")
    code.load(WORD, R1, R0, 0)
    code.compute_from(SUBTRACT, R9, R1, bits=32)
    code.jump_if(BELOW, R9, STREAM_BYTES, "start")
    code.jump("drop")
    code.label("unknown")  # open since before, or forgotten: only TLS is worth a new look
    code.load_packet(HALF, 0, behind=R8)
    code.jump_if(NOT_EQUAL, R0, _TLS_HANDSHAKE, "drop")
    code.jump("remember")
    code.label("syn")
    code.load_packet(WORD, 4, behind=R7)
    code.copy(R9, R0)
    code.compute(ADD, R9, 1)
    code.label("remember")
    code.store(WORD, FRAME, _VALUE, R9)
    code.load_map(R1, map_fileno)
    _point_to(code, R2, _KEY)
    _point_to(code, R3, _VALUE)
    code.set(R4, 0)
    code.call(MAP_UPDATE)
    code.jump("start")


def _keep_imds(code: Assembler) -> None:
    """Keep all of what goes to the metadata service."""
    code.load(WORD, R1, FRAME, _V4_DESTINATION)
    code.set(R2, _word(_IMDS_V4))
    code.load(WORD, R3, FRAME, _V6_DESTINATION)
    code.jump_if(NOT_EQUAL, R3, 0, "imds_v6")
    code.jump_if_equal(R1, R2, "whole")
    code.jump("not_imds")
    code.label("imds_v6")
    code.set(R2, _word(_IMDS_V6[:4]))
    code.jump_if_equal(R3, R2, "imds_v6_end")
    code.jump("not_imds")
    code.label("imds_v6_end")
    code.load(WORD, R1, FRAME, _V6_DESTINATION + 12)
    code.set(R2, _word(_IMDS_V6[12:]))
    code.jump_if_equal(R1, R2, "whole")


def _find_payload(code: Assembler) -> None:
    """Drop segments without payload; of others R8 becomes the place where it begins."""
    code.load_packet(BYTE, 12, behind=R7)
    code.compute(SHIFT_RIGHT, R0, 4)
    code.compute(SHIFT_LEFT, R0, 2)
    code.compute_from(ADD, R0, R7)
    code.compute_from(SUBTRACT, R8, R0)
    code.jump_if(AT_MOST_SIGNED, R8, 0, "drop")
    code.copy(R8, R0)


def _judge_datagram(code: Assembler) -> None:
    code.label("udp")
    code.load_packet(HALF, 0, behind=R7)
    code.jump_if(EQUAL, R0, DNS_PORT, "whole")
    for port in SNMP_PORTS:
        code.jump_if(EQUAL, R0, port, "start")
    code.load_packet(HALF, 2, behind=R7)
    for port in SNMP_PORTS:
        code.jump_if(EQUAL, R0, port, "start")
    code.jump("drop")


def _load_bytes(code: Assembler, offset: int | None, target: int, size: int) -> None:
    """Copy bytes of the packet to the stack; from the place in R2 where ``offset`` is None."""
    code.copy(R1, R6)
    if offset is not None:
        code.set(R2, offset)
    _point_to(code, R3, target)
    code.set(R4, size)
    code.call(LOAD_BYTES)
    code.jump_if(NOT_EQUAL, R0, 0, "drop")


def _point_to(code: Assembler, target: int, offset: int) -> None:
    code.copy(target, FRAME)
    code.compute(ADD, target, offset)


def _in_network_order(number: int) -> int:
    return int.from_bytes(number.to_bytes(2, "big"), sys.byteorder)


def _word(raw: bytes) -> int:
    return int.from_bytes(raw, sys.byteorder)
