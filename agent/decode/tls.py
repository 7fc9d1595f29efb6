"""TLS as it is seen from outside: records, handshake messages, hellos, alerts.

In: bytes of one direction of a connection, in any pieces. Out: messages and their facts, or
``DecodeError``. Nothing is decrypted.
Source: RFC 8446, RFC 5246, RFC 6101.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from agent.errors import DecodeError

TlsVersion = Literal["SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
VERSION_CODES: Final[dict[TlsVersion, int]] = {
    "SSLv3": 0x0300,
    "TLSv1.0": 0x0301,
    "TLSv1.1": 0x0302,
    "TLSv1.2": 0x0303,
    "TLSv1.3": 0x0304,
}
_VERSION_NAMES: Final = {code: name for name, code in VERSION_CODES.items()}
_DRAFT_PREFIXES: Final = frozenset({0x7F, 0xFB})  # drafts of TLS 1.3 before it had a number

CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
HEARTBEAT: Final = 24

SERVER_HELLO: Final = 2
CERTIFICATE: Final = 11
SERVER_KEY_EXCHANGE: Final = 12
CERTIFICATE_REQUEST: Final = 13
SERVER_HELLO_DONE: Final = 14

SUPPORTED_VERSIONS: Final = 43

MAX_MESSAGE_BYTES: Final = 131_072  # of one handshake message; long certificate chains have 20 KB
_RECORD_HEADER_BYTES: Final = 5
_RECORD_BYTES_MAX: Final = 16_384 + 2_048
_MESSAGE_HEADER_BYTES: Final = 4
_ALERT_BYTES: Final = 2
_FATAL: Final = 2
_CLOSE_NOTIFY: Final = 0
_RANDOM_BYTES: Final = 32
_RETRY_RANDOM: Final = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)

ALERT_NAMES: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}


class Message(NamedTuple):
    """One handshake message."""

    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert."""

    level: int
    description: int

    @property
    def name(self) -> str:
        """The registered name, else the number."""
        return ALERT_NAMES.get(self.description, f"alert_{self.description}")

    @property
    def ends_handshake(self) -> bool:
        """Whether nothing comes after it."""
        return self.level == _FATAL or self.description == _CLOSE_NOTIFY


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What a server chose."""

    version_code: int
    """As negotiated: from supported_versions where the server sent it."""
    tls_version: TlsVersion | None
    """Its name; None where it is none that exists."""
    cipher_code: int
    is_retry: bool
    """A HelloRetryRequest: the server asks for another key share, but has chosen."""


class HandshakeReader:
    """Joins handshake messages and alerts of one direction, over records and pieces.

    Each record may hold several messages, and a message may span records.
    """

    def __init__(self) -> None:
        self.is_encrypted = False
        """Application data has begun: what follows cannot be read."""
        self._bytes = bytearray()
        self._handshake = bytearray()

    def feed(self, data: bytes) -> list[Message | Alert]:
        """Take the next piece and return what it completes, in order.

        Raises:
            DecodeError: This is not TLS, or a message is larger than ``MAX_MESSAGE_BYTES``.
        """
        self._bytes += data
        complete: list[Message | Alert] = []
        while not self.is_encrypted and (record := self._take_record()) is not None:
            kind, content = record
            if kind == HANDSHAKE:
                self._handshake += content
                complete += self._take_messages()
            elif kind == ALERT:
                complete.append(_read_alert(content))
            elif kind == APPLICATION_DATA:
                self.is_encrypted = True
        return complete

    def _take_record(self) -> tuple[int, bytes] | None:
        header = self._bytes[:_RECORD_HEADER_BYTES]
        _check_record_start(header)
        if len(header) < _RECORD_HEADER_BYTES:
            return None
        end = _RECORD_HEADER_BYTES + int.from_bytes(header[3:5], "big")
        if end > _RECORD_HEADER_BYTES + _RECORD_BYTES_MAX:
            raise DecodeError("TLS record", "it is too long")
        if len(self._bytes) < end:
            return None
        content = bytes(self._bytes[_RECORD_HEADER_BYTES:end])
        del self._bytes[:end]
        return header[0], content

    def _take_messages(self) -> list[Message]:
        messages: list[Message] = []
        while len(self._handshake) >= _MESSAGE_HEADER_BYTES:
            size = int.from_bytes(self._handshake[1:_MESSAGE_HEADER_BYTES], "big")
            if size > MAX_MESSAGE_BYTES:
                raise DecodeError("handshake message", "it is too large")
            end = _MESSAGE_HEADER_BYTES + size
            if len(self._handshake) < end:
                break
            body = bytes(self._handshake[_MESSAGE_HEADER_BYTES:end])
            messages.append(Message(self._handshake[0], body))
            del self._handshake[:end]
        return messages


def read_server_hello(body: bytes) -> ServerHello:
    """Return what a ServerHello or HelloRetryRequest says.

    Raises:
        DecodeError: It is cut, or something follows its end.
    """
    fields = FieldReader(body, "ServerHello")
    version_code = fields.number(2)
    is_retry = fields.take(_RANDOM_BYTES) == _RETRY_RANDOM
    fields.vector(1)  # session id
    cipher_code = fields.number(2)
    fields.number(1)  # compression
    extensions = read_extensions(fields)
    chosen = extensions.get(SUPPORTED_VERSIONS)
    if chosen is not None:
        version_code = FieldReader(chosen, "supported_versions").number(2)
    return ServerHello(version_code, name_version(version_code), cipher_code, is_retry)


def read_leaf(body: bytes) -> bytes | None:
    """Return the first certificate of a Certificate message up to TLS 1.2; None if it has none.

    Raises:
        DecodeError: It is cut.
    """
    chain = FieldReader(FieldReader(body, "Certificate").vector(3), "Certificate")
    return None if chain.is_at_end else chain.vector(3)


def read_extensions(fields: FieldReader) -> dict[int, bytes]:
    """Return the extensions that end a hello, by number; of equal numbers the first."""
    extensions: dict[int, bytes] = {}
    if fields.is_at_end:
        return extensions
    block = FieldReader(fields.vector(2), "extensions")
    fields.expect_end()
    while not block.is_at_end:
        number = block.number(2)
        extensions.setdefault(number, block.vector(2))
    return extensions


def name_version(code: int) -> TlsVersion | None:
    """Return the name of a version number; drafts of TLS 1.3 count as TLS 1.3."""
    return "TLSv1.3" if code >> 8 in _DRAFT_PREFIXES else _VERSION_NAMES.get(code)


class FieldReader:
    """Reads the fields of a message: numbers, and vectors with their length in front."""

    __slots__ = ("_data", "_offset", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._offset = 0
        self._what = what

    @property
    def is_at_end(self) -> bool:
        """Whether all has been read."""
        return self._offset == len(self._data)

    def expect_end(self) -> None:
        """Refuse what follows.

        Raises:
            DecodeError: Something does.
        """
        if not self.is_at_end:
            raise DecodeError(self._what, "something follows its end")

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes.

        Raises:
            DecodeError: There are fewer.
        """
        end = self._offset + size
        if end > len(self._data):
            raise DecodeError(self._what, "it ends too early")
        begin, self._offset = self._offset, end
        return self._data[begin:end]

    def number(self, size: int) -> int:
        """Return the next ``size`` bytes as a number."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_size: int) -> bytes:
        """Return the next bytes, as many as the number of ``length_size`` bytes in front says."""
        return self.take(self.number(length_size))


def _check_record_start(header: bytes | bytearray) -> None:
    """Refuse what cannot begin a record, as soon as its first bytes show it."""
    if header and not CHANGE_CIPHER_SPEC <= header[0] <= HEARTBEAT:
        raise DecodeError("TLS record", f"type {header[0]} does not exist")
    if len(header) > 1 and header[1] != VERSION_CODES["SSLv3"] >> 8:
        raise DecodeError("TLS record", f"version {header[1]} does not exist")


def _read_alert(content: bytes) -> Alert:
    if len(content) != _ALERT_BYTES:
        raise DecodeError("alert", "it is no two bytes")
    return Alert(content[0], content[1])
