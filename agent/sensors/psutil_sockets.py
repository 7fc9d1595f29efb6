"""The psutil sensor: the same facts where the kernel offers no sock_diag, slower and coarser.

In: psutil. Out: ``ListenersSeen`` and ``ConnectionsSeen``. The library is imported where it is
used, since it takes 4 MB that most hosts do without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from agent.errors import SocketTableError
from agent.sensors.observations import Observation, owner_key
from agent.sensors.sensor import Capability, Stats, Tools, Wake, Watch
from agent.sensors.socket_polls import ConnectionPoll, ListenerPoll, Owners
from rules.telemetry.event import Process

if TYPE_CHECKING:
    from agent.sensors.socket_rows import SocketRow, SocketTables

logger = logging.getLogger(__name__)

RETRY_S: Final = 10.0  # until tables that the system refused are tried again
CPU_SHARE: Final = 0.01  # of one core, for each of two polls: psutil is slow, blindness is worse
METHOD: Final = "psutil polls"
REMEDY: Final = "Run it as root: `sudo proctor-agent run`."


class PsutilSensor:
    """Socket tables by psutil, where nothing better works."""

    name = "psutil"
    kinds = ("connection", "listener")

    def __init__(
        self,
        tools: Tools,
        *,
        tables: SocketTables | None = None,
        open_owners: Callable[[], Owners] | None = None,
    ) -> None:
        self._clock = tools.clock
        self._tables = tables or _open_tables()
        self._open_owners = open_owners or PsutilProcesses
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
        return Capability("degraded", METHOD, "connections between two polls are missed", REMEDY)

    def start(self, kinds: frozenset[str]) -> None:
        """Begin; the first ``drain`` tells what is there."""
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
            logger.warning("psutil.refused", extra={"reason": str(error)})
            self._is_refused = True
            self._retry_due_s = now_s + RETRY_S
        return observations

    def stats(self) -> Stats:
        """Return what was seen, and what is watched."""
        if self._listeners is None or self._connections is None:
            return Stats()
        state: Watch = Watch(self.kinds, "degraded", METHOD)
        if self._is_refused:
            state = Watch(self.kinds, "off", "psutil is refused the tables")
        return Stats(self._listeners.seen + self._connections.seen, {}, (state,))

    def blind_spots(self) -> tuple[str, ...]:
        """Return what polls cannot show."""
        return (
            "Connections and listeners that live between two polls are mostly missed.",
            "Bytes of connections are not known.",
            "Sockets of processes that the agent may not look into are seen without process.",
        )

    def stop(self) -> None:
        """Release nothing: psutil keeps nothing open."""


class PsutilProcesses:
    """Facts of processes by psutil, for the pids that socket rows name."""

    def __init__(self) -> None:
        self._groups: dict[str, set[int]] = {}
        self._known: dict[int, Process] = {}

    def update(self, group: str, rows: Sequence[SocketRow]) -> Mapping[int, Process]:
        """Take in the rows of a group's latest poll; return ``owner_key`` → process."""
        self._groups[group] = {owner_key(row) for row in rows if row.pid}
        known: dict[int, Process] = {}
        for key in set().union(*self._groups.values()):
            process = self._known.get(key) or _read_process(-key)
            if process is not None:
                known[key] = process
        self._known = known
        return known


def _open_tables() -> SocketTables:
    from agent.sensors.psutil_tables import PsutilTable

    return PsutilTable()


def _read_process(pid: int) -> Process | None:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return Process(
                pid=pid,
                start_us=round(process.create_time() * 1_000_000),
                name=process.name(),
                path=process.as_dict(["exe"])["exe"] or None,  # None where access is denied
                parent_pid=process.ppid(),
                uid=process.uids().effective,
                user=process.username(),
            )
    except psutil.Error:  # gone, or not to be looked at
        return None
