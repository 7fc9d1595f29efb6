"""What a server says to one ClientHello, gathered until nothing more can be learnt.

In: bytes from the server, in any pieces. Out: its ServerHello, leaf certificate or alert.
"""

from __future__ import annotations

from agent.decode.tls import (
    CERTIFICATE,
    SERVER_HELLO,
    SERVER_HELLO_DONE,
    SERVER_KEY_EXCHANGE,
    Alert,
    HandshakeReader,
    Message,
    ServerHello,
    read_leaf,
    read_server_hello,
)
from agent.errors import DecodeError

_AFTER_CERTIFICATE = frozenset({SERVER_KEY_EXCHANGE, SERVER_HELLO_DONE})


class ServerAnswer:
    """The answer to one ClientHello. Warnings in it are passed over."""

    def __init__(self) -> None:
        self.hello: ServerHello | None = None
        self.leaf: bytes | None = None
        """DER of the server's own certificate, up to TLS 1.2."""
        self.alert: Alert | None = None
        """The alert that ended the handshake."""
        self.is_complete = False
        """Whether nothing more can be learnt."""
        self.is_resumed = False
        """Ciphers came into use without a certificate: an earlier session goes on."""
        self._reader = HandshakeReader()

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            DecodeError: This is no answer of a TLS server.
        """
        for part in self._reader.feed(data):
            if self.is_complete:
                return
            if isinstance(part, Message):
                self._take(part)
            elif part.ends_handshake:
                self.alert = part
                self.is_complete = True
        if self._reader.is_encrypted and not self.is_complete:
            if self.hello is None:
                raise DecodeError("answer", "it is encrypted from its first message on")
            self.is_complete = self.is_resumed = True

    def _take(self, message: Message) -> None:
        if self.hello is None:
            if message.kind != SERVER_HELLO:
                raise DecodeError("answer", f"message {message.kind} comes before ServerHello")
            self.hello = read_server_hello(message.body)
            self.is_complete = self.hello.tls_version == "TLSv1.3"
        elif message.kind == CERTIFICATE:
            self.leaf = read_leaf(message.body)
            self.is_complete = True
        elif message.kind in _AFTER_CERTIFICATE:
            self.is_complete = True
