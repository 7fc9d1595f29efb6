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

CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
CERTIFICATE: Final = 11
SERVER_KEY_EXCHANGE: Final = 12
CERTIFICATE_REQUEST: Final = 13
SERVER_HELLO_DONE: Final = 14

ALPN: Final = 16
SUPPORTED_VERSIONS: Final = 43

MAX_MESSAGE_BYTES: Final = 131_072  # of one handshake message; long certificate chains have 20 KB
_MAJOR: Final = 3
_RECORD_HEADER_BYTES: Final = 5
_RECORD_BYTES_MAX: Final = 16_384 + 2_048
_MESSAGE_HEADER_BYTES: Final = 4
_ALERT_BYTES: Final = 2
_FATAL: Final = 2
_CLOSE_NOTIFY: Final = 0
_RANDOM_BYTES: Final = 32
_BEHIND_HANDSHAKE: Final = frozenset({CHANGE_CIPHER_SPEC, APPLICATION_DATA})
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


class ServerHello(NamedTuple):
    """What a server chose."""

    version_code: int
    """As negotiated: from supported_versions where the server sent it."""
    tls_version: TlsVersion | None
    """Its name; None where it is none that exists."""
    cipher_code: int
    is_retry: bool
    """A HelloRetryRequest: the server asks for another key share, but has chosen."""
    alpn: str | None = None
    """The protocol to be spoken over TLS; TLS 1.3 encrypts it."""


class HandshakeReader:
    """Joins handshake messages and alerts of one direction, over records and pieces.

    Each record may hold several messages, and a message may span records.
    """

    def __init__(self) -> None:
        self.is_encrypted = False
        """Ciphers are in use: what follows cannot be read."""
        self._bytes = b""
        self._handshake = b""
        self._alert = b""

    def feed(self, data: bytes) -> list[Message | Alert]:
        """Take the next piece and return what it completes, in order.

        Raises:
            DecodeError: This is not TLS, or a message is larger than ``MAX_MESSAGE_BYTES``.
        """
        data = self._bytes + data if self._bytes else data
        complete: list[Message | Alert] = []
        place = 0
        while not self.is_encrypted and (end := _record_end(data, place)):
            kind, content = data[place], data[place + _RECORD_HEADER_BYTES : end]
            place = end
            if kind == HANDSHAKE:
                self._take_messages(content, complete)
            elif kind == ALERT:
                self._take_alerts(content, complete)
            elif kind in _BEHIND_HANDSHAKE:
                self.is_encrypted = True
        self._bytes = data[place:]
        return complete

    def _take_messages(self, content: bytes, complete: list[Message | Alert]) -> None:
        data = self._handshake + content if self._handshake else content
        place = 0
        while len(data) >= place + _MESSAGE_HEADER_BYTES:
            begin = place + _MESSAGE_HEADER_BYTES
            size = int.from_bytes(data[place + 1 : begin], "big")
            if size > MAX_MESSAGE_BYTES:
                raise DecodeError("handshake message", "it is too large")
            if len(data) < begin + size:
                break
            complete.append(Message(data[place], data[begin : begin + size]))
            place = begin + size
        self._handshake = data[place:]

    def _take_alerts(self, content: bytes, complete: list[Message | Alert]) -> None:
        if not content:
            raise DecodeError("alert", "it is empty")
        data = self._alert + content
        whole = len(data) // _ALERT_BYTES * _ALERT_BYTES
        complete += map(Alert, data[:whole:_ALERT_BYTES], data[1:whole:_ALERT_BYTES])
        self._alert = data[whole:]


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
    alpn = _read_alpn(extensions.get(ALPN))
    return ServerHello(version_code, name_version(version_code), cipher_code, is_retry, alpn)


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
        begin = self._offset
        end = self._offset = begin + size
        if end > len(self._data):
            raise DecodeError(self._what, "it ends too early")
        return int.from_bytes(self._data[begin:end], "big")

    def vector(self, length_size: int) -> bytes:
        """Return the next bytes, as many as the number of ``length_size`` bytes in front says."""
        data = self._data
        begin = self._offset + length_size
        end = self._offset = begin + int.from_bytes(data[self._offset : begin], "big")
        if end > len(data) or begin > len(data):
            raise DecodeError(self._what, "it ends too early")
        return data[begin:end]


def _read_alpn(content: bytes | None) -> str | None:
    if not content:
        return None
    try:
        protocols = FieldReader(FieldReader(content, "ALPN").vector(2), "ALPN")
        text = protocols.vector(1).decode("utf-8", "replace")
    except DecodeError:  # the rest of the hello is worth more
        return None
    return text if text.isprintable() else None


def _record_end(data: bytes, place: int) -> int:
    """Return where the record at ``place`` ends; 0 while it is not complete.

    Raises:
        DecodeError: No record begins there, as soon as its first bytes show it.
    """
    left = len(data) - place
    if left > 0 and not CHANGE_CIPHER_SPEC <= data[place] <= HEARTBEAT:
        raise DecodeError("TLS record", f"type {data[place]} does not exist")
    if left > 1 and data[place + 1] != _MAJOR:
        raise DecodeError("TLS record", f"version {data[place + 1]} does not exist")
    if left < _RECORD_HEADER_BYTES:
        return 0
    size = int.from_bytes(data[place + 3 : place + _RECORD_HEADER_BYTES], "big")
    if size > _RECORD_BYTES_MAX:
        raise DecodeError("TLS record", "it is too long")
    end = place + _RECORD_HEADER_BYTES + size
    return end if end <= len(data) else 0
