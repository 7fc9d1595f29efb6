"""Listeners that the kernel told of: whose they are, at once and in every network namespace.

In: sockets that began to listen or were closed. Out: the answer to "whose listener did this
connection come in by?", for those that polls do not show, or not yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.correlate.listeners import matching
from agent.sensors.observations import Listener

if TYPE_CHECKING:
    from agent.sensors.observations import SocketChange

MAX_LISTENERS: Final = 4_096  # above, the oldest are forgotten


class KernelListeners:
    """Listening sockets by the kernel's address of them."""

    def __init__(self) -> None:
        self._sockets: dict[int, Listener] = {}
        self._ports: dict[int, list[Listener]] = {}

    def begin(self, change: SocketChange) -> None:
        """Take in that a socket listens."""
        self.end(change.socket)
        listener = Listener("tcp", change.local_address, change.local_port, change.process)
        self._sockets[change.socket] = listener
        self._ports.setdefault(listener.port, []).append(listener)
        if len(self._sockets) > MAX_LISTENERS:
            self.end(next(iter(self._sockets)))

    def end(self, socket: int) -> None:
        """Take in that a socket was closed; most are no listeners."""
        listener = self._sockets.pop(socket, None)
        if listener is None:
            return
        others = self._ports[listener.port]
        others.remove(listener)
        if not others:
            del self._ports[listener.port]

    def match(self, address: str, port: int) -> Listener | None:
        """Return the listener that a connection with this local end came in by, if one is told."""
        return matching(self._ports.get(port, []), address)
