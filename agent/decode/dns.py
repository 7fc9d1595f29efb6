"""DNS answers: the names that a host asked for, and the addresses it was given.

In: a DNS message that anybody may have written. Out: its question and answers, or ``DecodeError``.
Source: RFC 1035, RFC 3596, RFC 2181.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct
from typing import Final, NamedTuple

from agent.errors import DecodeError
from rules.telemetry.scope import plain_address

DNS_PORT: Final = 53
MAX_ANSWERS: Final = 256  # of one message; more are passed over

_HEADER: Final = Struct(">HHHHHH")
_QUESTION: Final = Struct(">HH")
_RECORD: Final = Struct(">HHIH")
_RESPONSE: Final = 0x8000
_OPCODE: Final = 0x7800
_POINTER: Final = 0xC0
_LABEL_MAX: Final = 63
_NAME_MAX: Final = 255
_POINTERS_MAX: Final = 64
_INTERNET: Final = 1
_TTL_MAX: Final = 0x7FFF_FFFF
_A, _AAAA = 1, 28
_TYPES: Final = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    35: "NAPTR",
    39: "DNAME",
    43: "DS",
    46: "RRSIG",
    48: "DNSKEY",
    52: "TLSA",
    64: "SVCB",
    65: "HTTPS",
    257: "CAA",
}
_WHAT: Final = "DNS message"


class Answer(NamedTuple):
    """One answer record."""

    type: str
    address: str | None
    """Of A and AAAA."""
    ttl_s: int


class DnsMessage(NamedTuple):
    """One message about one name."""

    name: str
    """The name asked for, lower case, without a final dot."""
    is_response: bool
    answers: tuple[Answer, ...]


def read_dns(message: bytes) -> DnsMessage:
    """Return what a query or response says.

    Raises:
        DecodeError: It is cut, or no query and no response about one name.
    """
    if len(message) < _HEADER.size:
        raise DecodeError(_WHAT, "its header is cut")
    _, flags, questions, count, _, _ = _HEADER.unpack_from(message)
    if questions != 1 or flags & _OPCODE:
        raise DecodeError(_WHAT, "it does not ask for one name")
    name, place = _read_name(message, _HEADER.size)
    _unpack(_QUESTION, message, place)
    place += _QUESTION.size
    answers: list[Answer] = []
    for _ in range(min(count, MAX_ANSWERS)):
        answer, place = _read_answer(message, place)
        if answer is not None:
            answers.append(answer)
    return DnsMessage(name, bool(flags & _RESPONSE), tuple(answers))


def _read_answer(message: bytes, place: int) -> tuple[Answer | None, int]:
    """Return the next record and where it ends; None for one that is not of the internet."""
    place = _skip_name(message, place)
    kind, group, ttl_s, size = _unpack(_RECORD, message, place)
    begin = place + _RECORD.size
    content = message[begin : begin + size]
    if len(content) < size:
        raise DecodeError(_WHAT, "a record is cut")
    if group != _INTERNET:
        return None, begin + size
    address = None
    if kind == _A and size == 4:  # noqa: PLR2004 (bytes of an IPv4 address)
        address = inet_ntop(AF_INET, content)
    elif kind == _AAAA and size == 16:  # noqa: PLR2004 (bytes of an IPv6 address)
        address = plain_address(inet_ntop(AF_INET6, content))
    ttl_s = ttl_s if ttl_s <= _TTL_MAX else 0
    return Answer(_TYPES.get(kind, f"TYPE{kind}"), address, ttl_s), begin + size


def _read_name(message: bytes, place: int) -> tuple[str, int]:
    """Return a name and where it ends; a pointer leads back to an earlier part of the message."""
    labels: list[str] = []
    end = -1
    size = 0
    for _ in range(_POINTERS_MAX + _NAME_MAX):
        if place >= len(message):
            raise DecodeError(_WHAT, "a name is cut")
        length = message[place]
        if length & _POINTER == _POINTER:
            end = place + 2 if end < 0 else end
            place = int.from_bytes(message[place : place + 2], "big") & ~(_POINTER << 8)
            continue
        if length > _LABEL_MAX:
            raise DecodeError(_WHAT, "a name has a label of unknown form")
        place += 1
        if length == 0:
            return ".".join(labels) or ".", place if end < 0 else end
        labels.append(_label(message[place : place + length]))
        place += length
        size += length + 1
        if size > _NAME_MAX:
            break
    raise DecodeError(_WHAT, "a name is too long, or leads back to itself")


def _skip_name(message: bytes, place: int) -> int:
    """Return where a name ends, without following it: hostile ones would lead far, often."""
    while place < len(message):
        length = message[place]
        if length & _POINTER == _POINTER:
            return place + 2
        if length > _LABEL_MAX:
            break
        place += 1 + length
        if length == 0:
            return place
    raise DecodeError(_WHAT, "a name is cut, or has a label of unknown form")


def _label(raw: bytes) -> str:
    """Return a label as text; bytes that could mislead a reader as numbers."""
    if raw.isalnum():
        return raw.decode("ascii").lower()
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03}" for byte in raw.lower())


def _unpack(struct: Struct, message: bytes, place: int) -> tuple[int, ...]:
    if len(message) < place + struct.size:
        raise DecodeError(_WHAT, "it is cut")
    return struct.unpack_from(message, place)


_PLAIN: Final = frozenset(range(0x21, 0x7F)) - frozenset(b'."\\')
