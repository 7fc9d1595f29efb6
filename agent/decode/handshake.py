"""One TLS handshake, seen from outside: both hellos and, up to TLS 1.2, the certificate.

In: bytes of both directions, as they come. Out: columns of a ``tls_session`` row, once nothing more
can be learnt.
Source: RFC 8446, RFC 5246, RFC 6101, draft-hickman-netscape-ssl-00.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal

from agent.decode.cipher_suites import CIPHER_SUITES
from agent.decode.client_offer import ClientOffer, ClientProfile, read_client_offer
from agent.decode.ja3 import ja3
from agent.decode.ja4 import ja4
from agent.decode.server_answer import ServerAnswer
from agent.decode.ssl2 import (
    Ssl2ServerHello,
    begins_ssl2_client_hello,
    begins_ssl2_server_hello,
    read_ssl2_server_hello,
    ssl2_message,
)
from agent.decode.tls import CLIENT_HELLO, HANDSHAKE, SERVER_HELLO, HandshakeReader, Message
from agent.decode.x509 import read_certificate
from agent.errors import DecodeError

Unseen = Literal["encrypted", "not_sent", "resumed", "incomplete", "unreadable"]

START_BYTES: Final = 11  # record header, message header, version of the hello
_CACHED_PROFILES: Final = 256
_CACHED_CERTIFICATES: Final = 256
_CACHED_BYTES: Final = 4_096  # of one; most have half of that
_MAJOR: Final = 3
_MINOR_MAX: Final = 4
_RECORD_BYTES_MAX: Final = 16_384
_MESSAGE_START: Final = 5
_HELLO_BYTES_MIN: Final = 38
SSL2_FIRST: Final = 0x80  # the least first byte of a hello in the form of SSL 2.0


def begins_hello(data: bytes, *, kind: int) -> bool:
    """Tell whether bytes begin with a record that begins with a ClientHello or ServerHello.

    Args:
        data: Bytes of one direction; a record may be cut in any way behind its first 11 bytes.
        kind: ``CLIENT_HELLO`` or ``SERVER_HELLO``.
    """
    return (
        len(data) >= START_BYTES
        and data[0] == HANDSHAKE
        and data[1] == _MAJOR
        and data[2] <= _MINOR_MAX
        and data[_MESSAGE_START] == kind
        and int.from_bytes(data[3:5], "big") <= _RECORD_BYTES_MAX
        and _HELLO_BYTES_MIN <= int.from_bytes(data[6:9], "big") <= 4 * _RECORD_BYTES_MAX
        and data[9] == _MAJOR
        and data[10] <= _MINOR_MAX
    )


def may_begin_hello(data: bytes) -> bool:
    """Tell whether bytes are too few to say, but a hello could begin with them."""
    return 0 < len(data) < START_BYTES and (data[0] == HANDSHAKE or data[0] >= SSL2_FIRST)


def is_client_start(data: bytes) -> bool:
    """Tell whether a client begins TLS or SSL with these bytes."""
    return begins_hello(data, kind=CLIENT_HELLO) or begins_ssl2_client_hello(data)


def is_server_start(data: bytes) -> bool:
    """Tell whether a server answers a hello of TLS or SSL with these bytes."""
    return begins_hello(data, kind=SERVER_HELLO) or begins_ssl2_server_hello(data)


class Handshake:
    """The handshake of one connection, from its first hello on.

    Attributes:
        offer: The client's hello, once it is whole; None for one in the form of SSL 2.0.
        is_asked: The client's hello is whole: an answer is due.
        is_over: Nothing more can be learnt: ``columns`` is final.
    """

    def __init__(self) -> None:
        self.offer: ClientOffer | None = None
        self.is_over = False
        self.is_asked = False
        self._client = HandshakeReader()
        self._server = ServerAnswer()
        self._ssl2_client = bytearray()
        self._ssl2_server: bytearray | None = None
        self._ssl2: Ssl2ServerHello | None = None
        self._has_server_bytes = False
        self._has_gap = False

    @property
    def is_answered(self) -> bool:
        """Whether the server's hello has been seen."""
        return self._server.hello is not None or self._ssl2 is not None

    def feed_client(self, data: bytes) -> None:
        """Take the next bytes of the client; those behind its hello are passed over.

        Raises:
            DecodeError: This is no hello.
        """
        if self.is_asked:
            return
        if self._ssl2_client or begins_ssl2_client_hello(data):
            self._ssl2_client += data
            self.is_asked = ssl2_message(bytes(self._ssl2_client)) is not None
            return
        for part in self._client.feed(data):
            if isinstance(part, Message) and part.kind == CLIENT_HELLO:
                self.offer = read_client_offer(part.body)
                self.is_asked = True
                return
            raise DecodeError("handshake", "it does not begin with a ClientHello")

    def feed_server(self, data: bytes) -> None:
        """Take the next bytes of the server.

        Bytes that are no answer end the handshake: the hello stays unanswered.
        """
        if self.is_over or not data:
            return
        if not self._has_server_bytes and begins_ssl2_server_hello(data):
            self._ssl2_server = bytearray()
        self._has_server_bytes = True
        try:
            if self._ssl2_server is None:
                self._server.feed(data)
                self.is_over = self._server.is_complete
            else:
                self._feed_ssl2(self._ssl2_server, data)
        except DecodeError:
            self.is_over = True

    def miss(self) -> None:
        """Note that bytes of the server are missing: no more can be read."""
        self._has_gap = self.is_over = True

    def columns(self) -> dict[str, Any]:
        """Return columns of the row, as far as they are known now; null ones are left out."""
        values = self._answer_columns()
        offer = self.offer
        if offer is not None:
            values["server_name"] = offer.server_name
            values["ja3"], values["ja4"] = _fingerprints(offer.profile)
        return {name: value for name, value in values.items() if value is not None}

    def _feed_ssl2(self, received: bytearray, data: bytes) -> None:
        received += data
        message = ssl2_message(bytes(received))
        if message is not None:
            self._ssl2 = read_ssl2_server_hello(message)
            self.is_over = True

    def _answer_columns(self) -> dict[str, Any]:
        if self._ssl2 is not None:
            absent: Unseen = "resumed" if self._ssl2.is_resumed else "not_sent"
            start = {"handshake": "answered", "tls_version": "SSLv2"}
            return start | certificate_columns(self._ssl2.leaf, otherwise=absent)
        hello = self._server.hello
        if hello is None:
            return {"handshake": self._failure()}
        return {
            "handshake": "answered",
            "tls_version": hello.tls_version,
            "cipher_code": hello.cipher_code,
            "cipher_suite": CIPHER_SUITES.get(hello.cipher_code),
            "alpn": hello.alpn,
        } | certificate_columns(self._server.leaf, otherwise=self._unseen())

    def _failure(self) -> str | None:
        """Return how a handshake without the server's hello ended; None where that was missed."""
        if self._server.alert is not None:
            return "refused"
        return None if self._has_gap else "unanswered"

    def _unseen(self) -> Unseen:
        answer = self._server
        if answer.hello is not None and answer.hello.tls_version == "TLSv1.3":
            return "encrypted"
        if answer.is_resumed:
            return "resumed"
        if not answer.is_complete or answer.alert is not None:
            return "incomplete"
        return "not_sent"


def certificate_columns(leaf: bytes | None, *, otherwise: Unseen) -> dict[str, Any]:
    """Return the columns that describe a certificate, or say why there is none.

    Args:
        leaf: DER, None where there is none.
        otherwise: Why there is none.
    """
    if leaf is None:
        return {"cert_unseen": otherwise}
    is_cached = len(leaf) <= _CACHED_BYTES
    return dict(_describe(leaf) if is_cached else _describe.__wrapped__(leaf))


@lru_cache(_CACHED_PROFILES)  # the clients of a host are few
def _fingerprints(profile: ClientProfile) -> tuple[str, str]:
    return ja3(profile), ja4(profile)


@lru_cache(_CACHED_CERTIFICATES)  # the servers that a host talks to are few
def _describe(leaf: bytes) -> Mapping[str, Any]:
    try:
        facts = read_certificate(leaf)
    except DecodeError:
        return {"cert_unseen": "unreadable"}
    return {
        "cert_subject": facts.subject,
        "cert_issuer": facts.issuer,
        "cert_not_before_us": facts.not_before_us,
        "cert_not_after_us": facts.not_after_us,
        "cert_self_signed": facts.self_signed,
        "cert_key_type": facts.key_type,
        "cert_key_bits": facts.key_bits,
        "cert_signature": facts.signature,
    }
