"""Sensors that only look at socket tables now and then: the same facts as sock_diag's, coarser.

In: the tables and owners that /proc or psutil give. Out: ``ListenersSeen`` and
``ConnectionsSeen``; what lives between two polls is missed, and coverage says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agent.errors import SocketTableError
from agent.sensors.observations import Observation
from agent.sensors.sensor import Capability, Stats, Tools, Wake, Watch
from agent.sensors.socket_polls import ConnectionPoll, ListenerPoll, Owners

if TYPE_CHECKING:
    from agent.sensors.socket_rows import SocketTables

logger = logging.getLogger(__name__)

RETRY_S: Final = 10.0  # until tables that the system refused are tried again
CPU_SHARE: Final = 0.01  # of one core, for each of two polls: these are slow, blindness is worse
REMEDY: Final = "Run it as root: `sudo proctor-agent run`."


class PolledTables:
    """Socket tables of this network namespace, polled; what is common to such sensors.

    Attributes:
        name: The sensor's, and its rows' source.
        method: How it sees.
    """

    name: str
    method: str
    kinds = ("connection", "listener")

    def __init__(
        self, tools: Tools, *, tables: SocketTables, open_owners: Callable[[], Owners]
    ) -> None:
        self._clock = tools.clock
        self._tables = tables
        self._open_owners = open_owners
        self._listeners: ListenerPoll | None = None
        self._connections: ConnectionPoll | None = None
        self._wants_connections = True
        self._retry_due_s = 0.0
        self._is_refused = False

    def probe(self) -> Capability:
        """Ask for the listeners once."""
        try:
            self._tables.listeners()
        except SocketTableError as error:
            return Capability("off", "", str(error), REMEDY)
        return Capability(
            "degraded", self.method, "connections between two polls are missed", REMEDY
        )

    def start(self, kinds: frozenset[str]) -> None:
        """Begin; the first ``drain`` tells what is there.

        Raises:
            OSError: There is no /proc.
            DecodeError: It is not Linux's.
        """
        owners = self._open_owners()
        self._listeners = ListenerPoll(
            self._tables, owners, self._clock, source=self.name, share=CPU_SHARE
        )
        self._connections = ConnectionPoll(
            self._tables, owners, self._clock, source=self.name, share=CPU_SHARE
        )
        self._wants_connections = "connection" in kinds

    def wake(self) -> Wake:
        """Wait for the next poll."""
        if self._is_refused or self._listeners is None or self._connections is None:
            return Wake(self._retry_due_s)
        due_s = self._listeners.due_s
        if self._wants_connections:
            due_s = min(due_s, self._connections.due_s(is_changed=True))
        return Wake(due_s)

    def drain(self) -> list[Observation]:
        """Poll what is due."""
        now_s = self._clock.monotonic_s()
        observations: list[Observation] = []
        if self._listeners is None or self._connections is None:
            return observations
        try:
            if now_s >= self._listeners.due_s:
                observations += self._listeners.poll()
            if self._wants_connections and now_s >= self._connections.due_s(is_changed=True):
                observations.append(self._connections.poll(ends_are_told=False))
            self._is_refused = False
        except SocketTableError as error:
            logger.warning(
                "socket_tables.refused", extra={"sensor": self.name, "reason": str(error)}
            )
            self._is_refused = True
            self._retry_due_s = now_s + RETRY_S
        return observations

    def stats(self) -> Stats:
        """Return what was seen, and what is watched."""
        if self._listeners is None or self._connections is None:
            return Stats()
        state: Watch = Watch(self.kinds, "degraded", self.method)
        if self._is_refused:
            state = Watch(self.kinds, "off", f"{self.name} is refused the tables")
        return Stats(self._listeners.seen + self._connections.seen, {}, (state,))

    def blind_spots(self) -> tuple[str, ...]:
        """Return what polls cannot show."""
        return (
            "Connections and listeners that live between two polls are mostly missed.",
            "Bytes of connections are not known.",
            "Sockets of processes that the agent may not look into are seen without process.",
        )

    def stop(self) -> None:
        """Release nothing: polls keep nothing open."""
