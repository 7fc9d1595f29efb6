"""Raw facts as sensors hand them over, made in one line each."""

import socket
from collections.abc import Mapping, Sequence
from typing import Any

from agent.sensors.observations import (
    ConnectionsSeen,
    KernelChanges,
    ListenersSeen,
    ProcessChange,
    SocketChange,
    SocketsClosed,
)
from agent.sensors.socket_rows import ClosedSocket, SocketRow, TcpState, Transport
from rules.telemetry.event import Event, Process

S = 1_000_000  # microseconds of a second
NGINX = Process(pid=80, name="nginx", uid=33, user="www-data")
CURL = Process(pid=90, name="curl", uid=1000, user="ada")

WEB = ("192.0.2.1", 443)
PEER = ("198.51.100.7", 50_000)
NONE = ("0.0.0.0", 0)  # noqa: S104


def row(
    local: tuple[str, int],
    remote: tuple[str, int] = NONE,
    *,
    cookie: int = 0,
    inode: int = 0,
    state: int = TcpState.ESTABLISHED,
    protocol: Transport = "tcp",
    pid: int | None = None,
) -> SocketRow:
    return SocketRow(
        family=socket.AF_INET6 if ":" in local[0] else socket.AF_INET,
        protocol=protocol,
        state=state,
        local_address=local[0],
        local_port=local[1],
        remote_address=remote[0],
        remote_port=remote[1],
        uid=0,
        inode=inode,
        cookie=cookie,
        pid=pid,
    )


def listening(local: tuple[str, int], *, cookie: int, inode: int = 0) -> SocketRow:
    return row(local, cookie=cookie, inode=inode, state=TcpState.LISTEN)


def bound(local: tuple[str, int], *, cookie: int, inode: int = 0) -> SocketRow:
    return row(local, cookie=cookie, inode=inode, state=TcpState.CLOSE, protocol="udp")


def listeners(
    at_s: float,
    *rows: SocketRow,
    owners: Mapping[int, Process] | None = None,
    protocol: Transport = "tcp",
) -> ListenersSeen:
    return ListenersSeen(round(at_s * S), "sock_diag", protocol, rows, owners or {})


def connections(
    at_s: float,
    *rows: SocketRow,
    owners: Mapping[int, Process] | None = None,
    protocol: Transport = "tcp",
    ends_are_told: bool = True,
) -> ConnectionsSeen:
    return ConnectionsSeen(
        round(at_s * S), "sock_diag", protocol, rows, owners or {}, ends_are_told
    )


def closed(at_s: float, *sockets: ClosedSocket) -> SocketsClosed:
    return SocketsClosed(round(at_s * S), "sock_diag", sockets)


def end(
    local: tuple[str, int],
    remote: tuple[str, int] = NONE,
    *,
    cookie: int,
    established: bool = True,
    sent: int | None = None,
    received: int | None = None,
) -> ClosedSocket:
    return ClosedSocket(socket.AF_INET, *local, *remote, cookie, established, sent, received)


class Told:
    """What the kernel tells of one socket, step by step; times in seconds."""

    def __init__(
        self,
        local: tuple[str, int],
        remote: tuple[str, int],
        *,
        socket: int = 0xA000,
        process: Process | None = None,
    ) -> None:
        self.local = local
        self.remote = remote
        self.socket = socket
        self.process = process

    def step(self, at_s: float, old: int, new: int, *, by_holder: bool = False) -> SocketChange:
        process = self.process if by_holder else None
        ends = (*self.local, *self.remote)
        return SocketChange(round(at_s * S), self.socket, old, new, *ends, process)

    def connect(self, at_s: float) -> SocketChange:
        return self.step(at_s, TcpState.CLOSE, TcpState.SYN_SENT, by_holder=True)

    def connected(self, at_s: float) -> SocketChange:
        return self.step(at_s, TcpState.SYN_SENT, TcpState.ESTABLISHED)

    def accepted(self, at_s: float) -> SocketChange:
        return self.step(at_s, TcpState.SYN_RECV, TcpState.ESTABLISHED)

    def shut(self, at_s: float) -> SocketChange:
        return self.step(at_s, TcpState.ESTABLISHED, TcpState.FIN_WAIT1, by_holder=True)

    def gone(self, at_s: float) -> SocketChange:
        return self.step(at_s, TcpState.FIN_WAIT2, TcpState.CLOSE)

    def listen(self, at_s: float) -> SocketChange:
        return self.step(at_s, TcpState.CLOSE, TcpState.LISTEN, by_holder=True)

    def unlisten(self, at_s: float) -> SocketChange:
        return self.step(at_s, TcpState.LISTEN, TcpState.CLOSE)

    def abort(self, at_s: float) -> SocketChange:
        return self.step(at_s, TcpState.ESTABLISHED, TcpState.CLOSE, by_holder=True)


def told(
    at_s: float, *changes: SocketChange | ProcessChange, is_first: bool = False
) -> KernelChanges:
    return KernelChanges(round(at_s * S), "perf", changes, is_first)


def columns(events: Sequence[Event], *names: str) -> list[tuple[Any, ...]]:
    """Return the named columns of events; ``pid``, ``user`` and ``ts_us`` by those names."""
    return [tuple(_column(event, name) for name in names) for event in events]


def _column(event: Event, name: str) -> Any:  # noqa: ANN401
    if name == "ts_us":
        return event.ts_us
    if name in ("pid", "user"):
        return getattr(event.process, name, None)
    return event.values.get(name)
