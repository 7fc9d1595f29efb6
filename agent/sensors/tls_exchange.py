"""Connections to one of the host's own listeners, each for one question about TLS.

In: the listener and a ClientHello. Out: what came back and how it ended. Source and destination
are the same local address, so that no other host can be reached by mistake.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from agent.decode.server_answer import ServerAnswer
from agent.errors import DecodeError

Endpoint: TypeAlias = tuple[str, int]
"""Address and port."""

OnConnection = Callable[[Endpoint, Endpoint, int], None]
"""Told asking end, answering end and socket cookie (0 = unknown) before a connection is made."""

End = Literal["complete", "closed", "silent", "no_tls", "unreachable"]

_RECEIVE_BYTES: Final = 16_384
_SO_COOKIE: Final = 57
_COOKIE: Final = struct.Struct("=Q")


@dataclass(frozen=True, slots=True)
class Exchange:
    """How one question ended."""

    answer: ServerAnswer
    end: End
    """``silent``: connected, and no full answer in time; ``no_tls``: not, or badly, in TLS."""
    detail: str
    """Why it was unreachable or unreadable."""
    asking: Endpoint | None
    """The agent's end; None where no connection was tried."""
    answering: Endpoint
    """The listener's end."""


class OwnListener:
    """A TCP listener of this host that can be asked.

    Args:
        address: An address of this host at which it answers.
        port: Its port.
        timeout_s: How long one question may take.
        on_connection: Called before each connection.
    """

    def __init__(
        self, address: str, port: int, *, timeout_s: float, on_connection: OnConnection
    ) -> None:
        self._answering: Endpoint = (address, port)
        self._timeout_s = timeout_s
        self._on_connection = on_connection

    async def ask(self, hello: bytes) -> Exchange:
        """Send one ClientHello over a connection of its own and gather the answer."""
        answer = ServerAnswer()
        try:
            with self._open() as asking:
                end, detail = await self._ask(asking, hello, answer)
                return Exchange(answer, end, detail, _endpoint(asking), self._answering)
        except OSError as error:
            return Exchange(answer, "unreachable", _reason(error), None, self._answering)

    async def handshake(self, server_name: str | None) -> bytes | None:
        """Complete a TLS 1.3 handshake and return the leaf certificate, None if it fails."""
        try:
            with self._open() as asking:
                async with asyncio.timeout(self._timeout_s):
                    await asyncio.get_running_loop().sock_connect(asking, self._answering)
                    return await _shake_hands(asking, server_name)
        except OSError:  # a timeout and every error of ssl are OSErrors too
            return None

    async def _ask(
        self, asking: socket.socket, hello: bytes, answer: ServerAnswer
    ) -> tuple[End, str]:
        loop = asyncio.get_running_loop()
        is_connected = False
        try:
            async with asyncio.timeout(self._timeout_s):
                await loop.sock_connect(asking, self._answering)
                is_connected = True
                await loop.sock_sendall(asking, hello)
                while not answer.is_complete:
                    data = await loop.sock_recv(asking, _RECEIVE_BYTES)
                    if not data:
                        return "closed", ""
                    answer.feed(data)
        except TimeoutError:
            return ("silent", "") if is_connected else ("unreachable", "timeout")
        except DecodeError as error:
            return "no_tls", str(error)
        except OSError as error:
            return ("closed", "") if is_connected else ("unreachable", _reason(error))
        return "complete", ""

    def _open(self) -> socket.socket:
        """Open a socket whose end is known before it connects, so that nobody counts it."""
        family = socket.AF_INET6 if ":" in self._answering[0] else socket.AF_INET
        asking = socket.socket(family, socket.SOCK_STREAM)
        try:
            asking.settimeout(0)
            asking.bind((self._answering[0], 0))
            self._on_connection(_endpoint(asking), self._answering, _cookie(asking))
        except BaseException:
            asking.close()
            raise
        return asking


def _endpoint(asking: socket.socket) -> Endpoint:
    address, port, *_ = asking.getsockname()
    return str(address), int(port)


def _cookie(asking: socket.socket) -> int:
    try:
        raw = asking.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE.size)
    except OSError:  # before Linux 4.12
        return 0
    return int(_COOKIE.unpack(raw)[0])


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


async def _shake_hands(asking: socket.socket, server_name: str | None) -> bytes | None:
    loop = asyncio.get_running_loop()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _context().wrap_bio(incoming, outgoing, server_hostname=server_name)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            await loop.sock_sendall(asking, outgoing.read())
            data = await loop.sock_recv(asking, _RECEIVE_BYTES)
            if not data:
                return None
            incoming.write(data)
        else:
            return tls.getpeercert(binary_form=True)


def _context() -> ssl.SSLContext:
    """Return a context that accepts any certificate: it is described, not trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ciphers("ALL:@SECLEVEL=0")  # weak keys too are there to be seen
    return context
