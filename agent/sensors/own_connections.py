"""Connections that the agent itself makes to ask this host's listeners. They are no telemetry.

In: both ends of a connection, entered before it is made. Out: whether a socket belongs to one.
The listener's end counts too: an unused port stays unused although it was asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from agent.sensors.socket_rows import ClosedSocket, SocketRow

Endpoint: TypeAlias = tuple[str, int]
"""Address and port."""

_Ends: TypeAlias = tuple[Endpoint, Endpoint]
_Side = Literal["asking", "answering"]

MAX_CONNECTIONS: Final = 1_024  # far beyond what the probe's rate limit lets exist at a time
KEEP_US: Final = 120_000_000  # after the last sight, where the end is not told by the kernel
PACKETS_US: Final = 30_000_000  # packets of a connection are told of so long after its begin


@dataclass(slots=True)
class _Own:
    cookie: int
    last_seen_us: int
    alive: set[_Side] = field(default_factory=lambda: {"asking", "answering"})


class OwnConnections:
    """What the probe has connected, for as long as one of both ends may still exist.

    The probe's thread adds, the collector's thread asks.
    """

    def __init__(self, *, limit: int = MAX_CONNECTIONS) -> None:
        self._limit = limit
        self._lock = Lock()
        self._own: dict[_Ends, _Own] = {}
        self._cookies: dict[int, _Ends] = {}
        self._past: dict[_Ends, int] = {}  # and when they were seen last

    def __len__(self) -> int:
        return len(self._own)

    def add(self, asking: Endpoint, answering: Endpoint, *, cookie: int, now_us: int) -> None:
        """Enter a connection that is about to be made from ``asking`` to ``answering``."""
        ends = (asking, answering)
        with self._lock:
            self._forget_old(now_us)
            self._own[ends] = _Own(cookie, now_us)
            if cookie:
                self._cookies[cookie] = ends

    def owns(self, row: SocketRow, now_us: int) -> bool:
        """Tell whether a socket is one end of an own connection."""
        local = (row.local_address, row.local_port)
        return self.owns_ends(local, (row.remote_address, row.remote_port), now_us)

    def owns_ends(self, local: Endpoint, remote: Endpoint, now_us: int) -> bool:
        """Tell whether a connection between these ends is an own one, seen from either end."""
        if not self._own:
            return False
        with self._lock:
            found = self._own.get((local, remote)) or self._own.get((remote, local))
            if found is not None:
                found.last_seen_us = now_us
            return found is not None

    def made(self, client: Endpoint, server: Endpoint, ts_us: int) -> bool:
        """Tell whether packets of a connection are of an own one, which may have ended since."""
        ends = (client, server)
        with self._lock:
            past_us = self._past.get(ends)
            return ends in self._own or (past_us is not None and ts_us - past_us < PACKETS_US)

    def settle(self, closed: ClosedSocket) -> bool:
        """Tell whether a destroyed socket was one end; forget a connection when both are gone."""
        if not self._own:
            return False
        local = (closed.local_address, closed.local_port)
        remote = (closed.remote_address, closed.remote_port)
        with self._lock:
            ends = self._cookies.get(closed.cookie)
            side: _Side = "asking"
            if ends is None and (local, remote) in self._own:
                ends = (local, remote)
            elif ends is None and (remote, local) in self._own:
                ends, side = (remote, local), "answering"
            if ends is None:
                return False
            own = self._own[ends]
            own.alive.discard(side)
            if not own.alive:
                self._forget(ends)
            return True

    def _forget_old(self, now_us: int) -> None:
        old = [ends for ends, own in self._own.items() if own.last_seen_us + KEEP_US < now_us]
        excess = len(self._own) - len(old) - self._limit + 1
        for ends in (*old, *(list(self._own)[:excess] if excess > 0 else ())):
            if ends in self._own:
                self._forget(ends)

    def _forget(self, ends: _Ends) -> None:
        own = self._own.pop(ends)
        self._cookies.pop(own.cookie, None)
        self._past.pop(ends, None)
        self._past[ends] = own.last_seen_us
        if len(self._past) > self._limit:
            del self._past[next(iter(self._past))]
