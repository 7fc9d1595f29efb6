"""Raw facts: what sensors hand to the correlation. Nothing here is judged or guessed.

In: nothing. Out: the types. Times are wall clock microseconds at which the fact was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from agent.sensors.socket_rows import ClosedSocket, SocketRow, Transport
    from rules.telemetry.event import Process


def owner_key(row: SocketRow) -> int:
    """Return what the owner of a socket is kept under: its inode, else the pid as a negative."""
    return row.inode or -(row.pid or 0)


class Listener(NamedTuple):
    """One address and port that waits for peers, and its owner as far as it is known."""

    protocol: Transport
    address: str
    port: int
    process: Process | None = None


class ListenersSeen(NamedTuple):
    """Every socket of one protocol that waited for peers at one moment."""

    ts_us: int
    source: str
    protocol: Transport
    rows: Sequence[SocketRow]
    owners: Mapping[int, Process]
    """``owner_key`` of a row → process, as far as it is known."""


class ConnectionsSeen(NamedTuple):
    """Every socket of one protocol that had a peer at one moment."""

    ts_us: int
    source: str
    protocol: Transport
    rows: Sequence[SocketRow]
    owners: Mapping[int, Process]
    """``owner_key`` of a row → process, as far as it is known."""
    ends_are_told: bool
    """Whether the end of each socket also comes as ``SocketsClosed``, perhaps later."""


class SocketsClosed(NamedTuple):
    """TCP sockets that the kernel destroyed, in its order."""

    ts_us: int
    source: str
    sockets: Sequence[ClosedSocket]


class TlsAnswered(NamedTuple):
    """What a TLS listener of this host said to one hello."""

    ts_us: int
    source: str
    local_address: str
    """Address of the listener, as it is bound."""
    local_port: int
    process: Process | None
    values: Mapping[str, Any]
    """Columns of ``tls_session`` that come from the answer."""


Observation: TypeAlias = ListenersSeen | ConnectionsSeen | SocketsClosed | TlsAnswered
