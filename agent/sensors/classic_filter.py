"""The filter for hosts that load no eBPF: packets that begin like something worth reading.

In: nothing. Out: a classic BPF program for a packet socket without link header (SOCK_DGRAM). It
remembers no flow, so of a message that spans packets only the first one is kept.
Source: packet(7), Linux Documentation/networking/filter.rst.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from agent.decode.dns import DNS_PORT
from agent.decode.http import IMDS_PORT
from agent.decode.packet import TCP, UDP

WHOLE: Final = 0x40000
STARTS: Final = (
    *(b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"CONN", b"PATC", b"PRI ", b"HTTP"),
    *(b"SSH-", b"220 ", b"220-", b"+OK ", b"* OK", b"EHLO", b"HELO", b"NICK"),
)
"""First four bytes of a payload that is kept, beside those of TLS."""

_INSTRUCTION: Final = Struct("=HBBI")
_WORD, _HALF, _BYTE = 0x20, 0x28, 0x30
_WORD_BEHIND_X, _HALF_BEHIND_X, _BYTE_BEHIND_X = 0x40, 0x48, 0x50
_IPV4_HEADER_TO_X, _NUMBER_TO_X, _A_TO_X = 0xB1, 0x01, 0x07
_JUMP, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x05, 0x15, 0x45, 0x06
_SHIFT_LEFT, _SHIFT_RIGHT, _ADD_X = 0x64, 0x74, 0x0C
_CONDITIONAL: Final = frozenset({_IF_EQUAL, _IF_ANY_BIT})

_PROTOCOL, _DIRECTION, _INTERFACE = 0xFFFFF000, 0xFFFFF004, 0xFFFFF008
_OUTGOING: Final = 4
_LOOPBACK: Final = 1

_Line = tuple[str, int, int, str]
"""Label or nothing, code, number, where to jump if it holds."""


def build_classic_filter() -> bytes:
    """Return the program."""
    return _assemble([*_LINK, *_IPV4, *_IPV6, *_SEGMENT, *_DATAGRAM, *_ENDS])


_LINK: Final[Sequence[_Line]] = (
    ("", _WORD, _DIRECTION, ""),
    ("", _IF_EQUAL, _OUTGOING, "outgoing"),
    ("", _JUMP, 0, "single"),
    ("outgoing", _WORD, _INTERFACE, ""),  # what leaves by loopback comes in as well
    ("", _IF_EQUAL, _LOOPBACK, "drop"),
    ("single", _WORD, _PROTOCOL, ""),
    ("", _IF_EQUAL, 0x0800, "ipv4"),
    ("", _IF_EQUAL, 0x86DD, "ipv6"),
    ("", _JUMP, 0, "drop"),
)
_IPV4: Final[Sequence[_Line]] = (
    ("ipv4", _HALF, 6, ""),
    ("", _IF_ANY_BIT, 0x3FFF, "drop"),  # a fragment
    ("", _IPV4_HEADER_TO_X, 0, ""),
    ("", _BYTE, 9, ""),
    ("", _IF_EQUAL, UDP, "udp"),
    ("", _IF_EQUAL, TCP, "tcp_v4"),
    ("", _JUMP, 0, "drop"),
    ("tcp_v4", _HALF_BEHIND_X, 2, ""),
    ("", _IF_EQUAL, IMDS_PORT, "imds_v4"),
    ("", _JUMP, 0, "tcp"),
    ("imds_v4", _WORD, 16, ""),
    ("", _IF_EQUAL, 0xA9FEA9FE, "whole"),
    ("", _JUMP, 0, "tcp"),
)
_IPV6: Final[Sequence[_Line]] = (
    ("ipv6", _NUMBER_TO_X, 40, ""),
    ("", _BYTE, 6, ""),
    ("", _IF_EQUAL, UDP, "udp"),
    ("", _IF_EQUAL, TCP, "tcp_v6"),
    ("", _JUMP, 0, "drop"),
    ("tcp_v6", _HALF_BEHIND_X, 2, ""),
    ("", _IF_EQUAL, IMDS_PORT, "imds_v6"),
    ("", _JUMP, 0, "tcp"),
    ("imds_v6", _WORD, 24, ""),
    ("", _IF_EQUAL, 0xFD000EC2, "imds_v6_end"),
    ("", _JUMP, 0, "tcp"),
    ("imds_v6_end", _WORD, 36, ""),
    ("", _IF_EQUAL, 0x254, "whole"),
)
_SEGMENT: Final[Sequence[_Line]] = (
    ("tcp", _HALF_BEHIND_X, 0, ""),
    ("", _IF_EQUAL, DNS_PORT, "whole"),
    ("", _HALF_BEHIND_X, 2, ""),
    ("", _IF_EQUAL, DNS_PORT, "whole"),
    ("", _BYTE_BEHIND_X, 12, ""),
    ("", _SHIFT_RIGHT, 4, ""),
    ("", _SHIFT_LEFT, 2, ""),
    ("", _ADD_X, 0, ""),
    ("", _A_TO_X, 0, ""),
    ("", _HALF_BEHIND_X, 0, ""),
    ("", _IF_EQUAL, 0x1603, "whole"),
    ("", _WORD_BEHIND_X, 0, ""),
    *(("", _IF_EQUAL, int.from_bytes(start, "big"), "whole") for start in STARTS),
    ("", _JUMP, 0, "drop"),
)
_DATAGRAM: Final[Sequence[_Line]] = (
    ("udp", _HALF_BEHIND_X, 0, ""),
    *(("", _IF_EQUAL, port, "whole") for port in (DNS_PORT, 161, 162)),
    ("", _HALF_BEHIND_X, 2, ""),
    *(("", _IF_EQUAL, port, "whole") for port in (161, 162)),
    ("", _JUMP, 0, "drop"),
)
_ENDS: Final[Sequence[_Line]] = (
    ("whole", _RETURN, WHOLE, ""),
    ("drop", _RETURN, 0, ""),
)


def _assemble(lines: Sequence[_Line]) -> bytes:
    labels = {label: place for place, (label, *_) in enumerate(lines) if label}
    return b"".join(
        _instruction(code, number, labels[to] - place - 1 if to else 0)
        for place, (_, code, number, to) in enumerate(lines)
    )


def _instruction(code: int, number: int, ahead: int) -> bytes:
    if code in _CONDITIONAL:
        return _INSTRUCTION.pack(code, ahead, 0, number)
    return _INSTRUCTION.pack(code, 0, 0, ahead if code == _JUMP else number)
