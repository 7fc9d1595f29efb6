"""Raw facts: what sensors hand to the correlation. Nothing here is judged or guessed.

In: nothing. Out: the types. Times are wall clock microseconds at which the fact was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from agent.decode.facts import Fact as TrafficFact
    from agent.sensors.facts.host_files import Fact
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
    is_all: bool = True
    """Whether no more of them waited to be read."""


class SocketChange(NamedTuple):
    """A TCP socket of any network namespace that went into another state."""

    ts_us: int
    """When, to the microsecond, and not when it was read."""
    socket: int
    """What tells it from every other socket while it lives; used again later."""
    old_state: int
    """A ``TcpState``."""
    new_state: int
    local_address: str
    local_port: int
    """0 while the socket has none."""
    remote_address: str
    remote_port: int
    process: Process | None
    """Who made it change; None where a packet or a timer did, or nobody is known."""
    is_elsewhere: bool = False
    """Whether that process is known to be in another network namespace."""


class ProcessChange(NamedTuple):
    """A process that executed a program or ended."""

    ts_us: int
    state: Literal["started", "exited"]
    process: Process


class KernelChanges(NamedTuple):
    """What the kernel told of sockets and processes, in the order in which it happened."""

    ts_us: int
    """Everything before this moment has been told, here or earlier."""
    source: str
    changes: Sequence[SocketChange | ProcessChange]
    is_first: bool = False
    """Whether the kernel was not listened to before: changes of older sockets were missed."""
    goes_on: bool = False
    """Whether it goes on from the one before, which was read in the same moment."""


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


class TrafficSeen(NamedTuple):
    """What packets of this host's network namespace showed."""

    ts_us: int
    """Packets before this moment have been told, here or earlier."""
    source: str
    facts: Sequence[TrafficFact]
    """In the order in which they became certain; each has its own time."""
    local: tuple[IPv4Network | IPv6Network, ...]
    """Addresses of this host; the same object while they have not changed."""


class FactsRead(NamedTuple):
    """Facts of the host that are new since the last reading, or told again for a new run."""

    ts_us: int
    source: str
    facts: Sequence[Fact]


Observation: TypeAlias = (
    ListenersSeen
    | ConnectionsSeen
    | SocketsClosed
    | KernelChanges
    | TlsAnswered
    | TrafficSeen
    | FactsRead
)
