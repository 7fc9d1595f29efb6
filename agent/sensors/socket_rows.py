"""Rows of the kernel's socket tables: one shape, whichever source they come from.

In: nothing. Out: the row types that netlink, /proc and psutil fill and the correlation reads.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import Final, Literal, NamedTuple, Protocol

Transport = Literal["tcp", "udp"]


class TcpState(IntEnum):
    """States of a TCP socket as the kernel numbers them. Source: Linux include/net/tcp_states.h."""

    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11


CONNECTION_STATES: Final = frozenset(TcpState) - {TcpState.LISTEN, TcpState.CLOSE}
"""Every state in which a TCP socket has a peer."""


class SocketRow(NamedTuple):
    """One socket of this host at the moment of a poll.

    Text addresses name the IP version: an IPv4-mapped IPv6 address is written as IPv4, and
    ``family`` follows it.
    """

    family: int
    """``socket.AF_INET`` or ``socket.AF_INET6``, of the addresses."""
    protocol: Transport
    state: int
    """A ``TcpState``; a UDP socket is ESTABLISHED when connected, else CLOSE."""
    local_address: str
    local_port: int
    remote_address: str
    """``0.0.0.0`` or ``::`` where there is no peer."""
    remote_port: int
    uid: int | None
    """Owner of the socket; None where the source does not tell."""
    inode: int
    """Joins with ``socket:[inode]`` in /proc; 0 = no process holds it (TIME_WAIT, not accepted)."""
    cookie: int
    """Unique among the sockets of this boot; 0 where the source does not tell."""
    pid: int | None = None
    """Owner, where the source tells it by itself."""


class ClosedSocket(NamedTuple):
    """A TCP socket that the kernel has just destroyed.

    One whose ``remote_port`` is 0 was a listener, never connected, or was aborted by this host
    (the kernel forgets the peer): only the cookie can tell which.
    """

    family: int
    local_address: str
    local_port: int
    remote_address: str
    remote_port: int
    cookie: int
    """The cookie that a poll showed for the same socket."""
    established: bool
    """Whether the handshake was ever completed: a refused or unanswered attempt was not."""
    bytes_sent: int | None
    """Payload bytes, each counted once; None where the kernel does not tell or forgot it."""
    bytes_received: int | None
    """Payload bytes; one too many where the peer's FIN came in before the end and data with it."""


class SocketTables(Protocol):
    """A source of socket tables: netlink where the kernel offers it, else /proc or psutil."""

    def listeners(self) -> list[SocketRow]:
        """Return every TCP socket that waits for peers."""
        ...

    def connections(self, states: Collection[int] = CONNECTION_STATES) -> list[SocketRow]:
        """Return every TCP socket in one of ``states``."""
        ...

    def udp(self) -> list[SocketRow]:
        """Return every bound UDP socket."""
        ...
