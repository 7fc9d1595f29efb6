"""SSL 2.0: its two hellos. The client's was also sent by clients of SSL 3.0 and TLS 1.0.

In: the first bytes of one direction. Out: whether a hello begins there, and what it says.
Source: draft-hickman-netscape-ssl-00; RFC 5246, appendix E.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.decode.tls import FieldReader
from agent.errors import DecodeError

SSL2_VERSION: Final = 0x0002

_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 4
_WITHOUT_PADDING: Final = 0x80
_HEADER_BYTES: Final = 2
_CLIENT_BYTES_MIN: Final = 9  # kind, version and three lengths
_SERVER_BYTES_MIN: Final = 11  # kind, hit, certificate type, version and three lengths
_CIPHER_BYTES: Final = 3
_CHALLENGE_BYTES: Final = range(16, 33)
_MODERN_MAJOR: Final = 3
_X509: Final = 1


@dataclass(frozen=True, slots=True)
class Ssl2ServerHello:
    """What an SSL 2.0 server says. The client chooses the cipher afterwards."""

    leaf: bytes | None
    """DER of its certificate; None where an earlier session goes on."""
    is_resumed: bool


def begins_ssl2_client_hello(data: bytes) -> bool:
    """Tell whether bytes begin with a client's hello in the form of SSL 2.0."""
    if len(data) < _HEADER_BYTES + _CLIENT_BYTES_MIN or data[2] != _CLIENT_HELLO:
        return False
    if not data[0] & _WITHOUT_PADDING:  # as a record of TLS 1.0 begins
        return False
    version = int.from_bytes(data[3:5], "big")
    if version != SSL2_VERSION and version >> 8 != _MODERN_MAJOR:
        return False
    ciphers, session, challenge = (int.from_bytes(data[at : at + 2], "big") for at in (5, 7, 9))
    size = int.from_bytes(data[:2], "big") & ~(_WITHOUT_PADDING << 8)
    return (
        ciphers > 0
        and ciphers % _CIPHER_BYTES == 0
        and challenge in _CHALLENGE_BYTES
        and size == _CLIENT_BYTES_MIN + ciphers + session + challenge
    )


def begins_ssl2_server_hello(data: bytes) -> bool:
    """Tell whether bytes begin with a server's hello of SSL 2.0."""
    return (
        len(data) >= _HEADER_BYTES + _SERVER_BYTES_MIN
        and bool(data[0] & _WITHOUT_PADDING)
        and data[2] == _SERVER_HELLO
        and int.from_bytes(data[5:7], "big") == SSL2_VERSION
    )


def ssl2_message(data: bytes) -> bytes | None:
    """Return the first message without its header; None while it is not complete."""
    end = _HEADER_BYTES + (int.from_bytes(data[:2], "big") & ~(_WITHOUT_PADDING << 8))
    return data[_HEADER_BYTES:end] if len(data) >= end else None


def read_ssl2_server_hello(message: bytes) -> Ssl2ServerHello:
    """Return what a server's hello says.

    Raises:
        DecodeError: It is none, or cut.
    """
    fields = FieldReader(message, "SSL 2.0 server hello")
    if fields.number(1) != _SERVER_HELLO:
        raise DecodeError("SSL 2.0 server hello", "it is another message")
    is_resumed = fields.number(1) != 0
    certificate_type = fields.number(1)
    fields.number(2)  # version
    sizes = [fields.number(2) for _ in range(3)]
    certificate = fields.take(sizes[0])
    is_leaf = bool(certificate) and certificate_type == _X509
    return Ssl2ServerHello(certificate if is_leaf else None, is_resumed)
