"""What a client offers: its ClientHello, read.

In: the body of a ClientHello that anybody may have written. Out: ``ClientOffer``, or
``DecodeError``.
Source: RFC 8446, RFC 5246, RFC 6066, RFC 7301, RFC 8701.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct, unpack
from typing import Final, NamedTuple

from agent.decode.tls import ALPN, SUPPORTED_VERSIONS, FieldReader
from agent.errors import DecodeError

SERVER_NAME: Final = 0
SUPPORTED_GROUPS: Final = 10
POINT_FORMATS: Final = 11
SIGNATURE_ALGORITHMS: Final = 13

_PROFILED: Final = (
    SUPPORTED_VERSIONS,
    SUPPORTED_GROUPS,
    POINT_FORMATS,
    SIGNATURE_ALGORITHMS,
    ALPN,
)
MAX_NAME_CHARACTERS: Final = 255  # of a server name; a DNS name has 253

_WHAT: Final = "ClientHello"
_CACHED_PROFILES: Final = 256  # of 1 KB, and never more than 16 KB
_SESSION_ID: Final = 34  # where its length stands, behind version and random
_HOST_NAME: Final = 0
_EXTENSION: Final = Struct(">HH")


class ClientProfile(NamedTuple):
    """What a client offers wherever it connects; numbers in its order, with those of RFC 8701."""

    version_code: int
    """Of the hello itself; TLS 1.3 is offered in ``versions``."""
    ciphers: tuple[int, ...]
    extensions: tuple[int, ...]
    versions: tuple[int, ...]
    """supported_versions; empty where it is not sent."""
    groups: tuple[int, ...]
    point_formats: tuple[int, ...]
    signature_algorithms: tuple[int, ...]
    alpn: bytes | None
    """The first protocol that the client would speak over TLS."""


class ClientOffer(NamedTuple):
    """What a client offers to one server."""

    profile: ClientProfile
    server_name: str | None
    """Lower case; None where there is none, or none that can be a host name."""


def read_client_offer(body: bytes) -> ClientOffer:
    """Return what a ClientHello offers; of equal extensions the first counts.

    Raises:
        DecodeError: It is cut, or something in it does not fit.
    """
    place = _SESSION_ID + 1 + _byte(body, _SESSION_ID)
    begin = place + 2
    place = begin + int.from_bytes(body[place:begin], "big")
    ciphers = body[begin:place]
    place += 1 + _byte(body, place)  # compression
    order, extensions = _read_extensions(body, place)
    profile = _read_profile(body[:2], ciphers, order, *map(extensions.get, _PROFILED))
    return ClientOffer(profile, _read_server_name(extensions.get(SERVER_NAME)))


@lru_cache(_CACHED_PROFILES)  # the clients of a host are few
def _read_profile(  # noqa: PLR0917 (it has what the key of the cache has)
    version: bytes,
    ciphers: bytes,
    order: tuple[int, ...],
    versions: bytes | None,
    groups: bytes | None,
    formats: bytes | None,
    algorithms: bytes | None,
    alpn: bytes | None,
) -> ClientProfile:
    protocols = _inner(alpn, 2)
    return ClientProfile(
        version_code=int.from_bytes(version, "big"),
        ciphers=_numbers(ciphers),
        extensions=order,
        versions=_numbers(_inner(versions, 1)),
        groups=_numbers(_inner(groups, 2)),
        point_formats=tuple(_inner(formats, 1)),
        signature_algorithms=_numbers(_inner(algorithms, 2)),
        alpn=FieldReader(protocols, _WHAT).vector(1) if protocols else None,
    )


def is_grease(number: int) -> bool:
    """Tell whether a number only tests that servers ignore what they do not know (RFC 8701)."""
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF  # noqa: PLR2004


def _byte(body: bytes, place: int) -> int:
    if place >= len(body):
        raise DecodeError(_WHAT, "it ends too early")
    return body[place]


def _read_extensions(body: bytes, place: int) -> tuple[tuple[int, ...], dict[int, bytes]]:
    """Return the numbers in order, repeated ones too, and the first content of each."""
    end = len(body)
    if place == end:
        return (), {}
    if place + 2 > end or place + 2 + int.from_bytes(body[place : place + 2], "big") != end:
        raise DecodeError(_WHAT, "its extensions do not end where it does")
    place += 2
    order: list[int] = []
    contents: dict[int, bytes] = {}
    while place < end:
        if end - place < _EXTENSION.size:
            raise DecodeError(_WHAT, "an extension is cut")
        number, size = _EXTENSION.unpack_from(body, place)
        begin = place + _EXTENSION.size
        place = begin + size
        if place > end:
            raise DecodeError(_WHAT, "an extension is longer than what holds it")
        order.append(number)
        if number not in contents:
            contents[number] = body[begin:place]
    return tuple(order), contents


def _inner(content: bytes | None, length_size: int) -> bytes:
    """Return the list that is all there is in an extension; empty where it is missing."""
    if not content:  # some clients send signature_algorithms and the like with nothing inside
        return b""
    end = length_size + int.from_bytes(content[:length_size], "big")
    if end > len(content):
        raise DecodeError(_WHAT, "a list is longer than what holds it")
    return content[length_size:end]


def _numbers(content: bytes) -> tuple[int, ...]:
    count, rest = divmod(len(content), 2)
    if rest:
        raise DecodeError(_WHAT, "a list of numbers has an odd length")
    return unpack(f">{count}H", content)


def _read_server_name(content: bytes | None) -> str | None:
    if not content:
        return None
    names = FieldReader(_inner(content, 2), _WHAT)
    while not names.is_at_end:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            return _host_name(name)
    return None


def _host_name(raw: bytes) -> str | None:
    text = raw.decode("ascii", "replace").lower().removesuffix(".")
    is_name = 0 < len(text) <= MAX_NAME_CHARACTERS and text.isprintable() and " " not in text
    return text if is_name and text.isascii() else None
