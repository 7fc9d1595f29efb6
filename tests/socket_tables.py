"""Socket tables and owners that say what a test has put into them."""

import socket
from collections.abc import Collection, Mapping, Sequence

from agent.errors import NetlinkError
from agent.sensors.destroy_events import DRAIN_LIMIT
from agent.sensors.observations import owner_key
from agent.sensors.socket_rows import ClosedSocket, SocketRow
from rules.telemetry import Process


class ScriptedTables:
    """Attributes hold the rows of the next polls; ``error`` is raised instead, if there is one."""

    def __init__(self) -> None:
        self.tcp_listeners: list[SocketRow] = []
        self.tcp_connections: list[SocketRow] = []
        self.udp_sockets: list[SocketRow] = []
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.states: Collection[int] = ()

    def listeners(self) -> list[SocketRow]:
        return self._answer("listeners", self.tcp_listeners)

    def connections(self, states: Collection[int] = ()) -> list[SocketRow]:
        self.states = states
        return self._answer("connections", self.tcp_connections)

    def udp(self) -> list[SocketRow]:
        return self._answer("udp", self.udp_sockets)

    def _answer(self, name: str, rows: list[SocketRow]) -> list[SocketRow]:
        self.asked.append(name)
        if self.error is not None:
            raise self.error
        return list(rows)


class ScriptedOwners:
    """Knows the processes that a test names."""

    def __init__(self, known: Mapping[int, Process] | None = None) -> None:
        self.known = dict(known or {})
        self.groups: list[str] = []

    def update(self, group: str, rows: Sequence[SocketRow]) -> Mapping[int, Process]:
        self.groups.append(group)
        keys = map(owner_key, rows)
        return {key: self.known[key] for key in keys if key in self.known}


class ScriptedSubscription:
    """A subscription to ends of sockets; ``error`` is raised instead, if there is one."""

    def __init__(self) -> None:
        self.lost = 0
        self.waiting: list[ClosedSocket] = []
        self.error: NetlinkError | None = None
        self.is_closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self, limit: int = DRAIN_LIMIT) -> list[ClosedSocket]:
        if self.error is not None:
            raise self.error
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def close(self) -> None:
        self.is_closed = True
        self._socket.close()

    def reopen(self) -> None:
        """Stand for the next subscription."""
        self.error = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
