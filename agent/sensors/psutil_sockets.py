"""The psutil sensor: socket tables where the host offers nothing better, slower and coarser.

In: psutil. Out: ``ListenersSeen`` and ``ConnectionsSeen``. The library is imported where it is
used, since it takes 4 MB that most hosts do without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from agent.sensors.observations import owner_key
from agent.sensors.polled_tables import PolledTables
from agent.sensors.sensor import Tools
from agent.sensors.socket_polls import Owners
from rules.telemetry.event import Process

if TYPE_CHECKING:
    from agent.sensors.socket_rows import SocketRow, SocketTables


class PsutilSensor(PolledTables):
    """Socket tables by psutil, where nothing better works."""

    name = "psutil"
    method = "psutil polls"

    def __init__(
        self,
        tools: Tools,
        *,
        tables: SocketTables | None = None,
        open_owners: Callable[[], Owners] | None = None,
    ) -> None:
        super().__init__(
            tools, tables=tables or _open_tables(), open_owners=open_owners or PsutilProcesses
        )


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
