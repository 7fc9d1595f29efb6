"""How a conversation in clear text opens: its protocol, and the host that an HTTP client names.

In: the first bytes of both directions, as they come. Out: what they show, as soon as it is certain.
"""

from __future__ import annotations

from typing import Final

from agent.decode.http import read_host
from agent.decode.protocols import UPGRADABLE, recognise

HEAD_BYTES: Final = 4_096  # of each direction; of HTTP the Host stands within it
_TRIES_MAX: Final = 24  # pieces after which an unknown protocol stays unknown
_HEAD_ENDS: Final = (b"\r\n\r\n", b"\n\n")
_CONNECT: Final = b"CONNECT "


class Opening:
    """The first bytes of both ends of one connection.

    Attributes:
        app_protocol: What they speak; None while it is not certain.
        host: The host that the client names, over HTTP.
        is_over: Nothing more can be learnt.
    """

    __slots__ = ("_client_port", "_heads", "_tries", "app_protocol", "host", "is_over")

    def __init__(self, client_port: int) -> None:
        self.app_protocol: str | None = None
        self.host: str | None = None
        self.is_over = False
        self._client_port = client_port
        self._heads = [b"", b""]
        self._tries = 0

    def feed(self, data: bytes, *, from_client: bool) -> None:
        """Take the next bytes of one direction."""
        if self.is_over:
            return
        head = self._heads[from_client]
        if len(head) < HEAD_BYTES:
            self._heads[from_client] = (head + data)[:HEAD_BYTES]
        server, client = self._heads
        self._tries += 1
        if self.app_protocol is None:
            self.app_protocol = recognise(
                client, server, client_port=self._client_port, is_answer=not from_client
            )
        if self.app_protocol == "http":
            self.host = read_host(client)
            is_whole = any(end in client for end in _HEAD_ENDS) or len(client) == HEAD_BYTES
            self.is_over = self.host is not None or is_whole
        else:
            self.is_over = self.app_protocol is not None
        if self._tries >= _TRIES_MAX:
            self.is_over = True

    @property
    def may_become_tls(self) -> bool:
        """Tell whether TLS may follow what has been said."""
        if self.app_protocol == "http":
            return self._heads[True].startswith(_CONNECT)
        return self.app_protocol is None or self.app_protocol in UPGRADABLE
