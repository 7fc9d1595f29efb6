"""The /proc sensor: socket tables as text, for where the agent may not ask the kernel by netlink.

In: ``/proc/self/net/{tcp,tcp6,udp,udp6}`` and, for who holds what, the descriptors in /proc. Out:
``ListenersSeen`` and ``ConnectionsSeen``. It needs no privilege; every look reads whole tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from agent.decode.proc_net import read_sockets
from agent.errors import DecodeError, SocketTableError
from agent.sensors.netlink import read_address
from agent.sensors.polled_tables import PolledTables
from agent.sensors.processes import ProcessTable
from agent.sensors.sensor import Tools
from agent.sensors.socket_owners import SocketOwners
from agent.sensors.socket_polls import Owners
from agent.sensors.socket_processes import SocketProcesses
from agent.sensors.socket_rows import (
    CONNECTION_STATES,
    SocketRow,
    SocketTables,
    TcpState,
    Transport,
)

NET: Final = "/proc/self/net"
_MAX_BYTES: Final = 256 << 20  # of one table: a million and a half sockets


class ProcSensor(PolledTables):
    """Socket tables by /proc, where there is no netlink."""

    name = "procfs"
    method = "/proc polls"

    def __init__(
        self,
        tools: Tools,
        *,
        tables: SocketTables | None = None,
        open_owners: Callable[[], Owners] | None = None,
    ) -> None:
        clock = tools.clock
        super().__init__(
            tools,
            tables=tables or ProcTable(),
            open_owners=open_owners
            or (lambda: SocketProcesses(SocketOwners(clock=clock), ProcessTable(clock=clock))),
        )


class ProcTable:
    """The socket tables of a network namespace, as /proc prints them.

    Args:
        folder: The folder with the tables.

    Raises:
        SocketTableError: From every method, where a table cannot be read.
    """

    def __init__(self, folder: str | Path = NET) -> None:
        self._folder = Path(folder)

    def listeners(self) -> list[SocketRow]:
        """Return every TCP socket that waits for peers."""
        return self._rows("tcp", {TcpState.LISTEN})

    def connections(self, states: Collection[int] = CONNECTION_STATES) -> list[SocketRow]:
        """Return every TCP socket in one of ``states``."""
        return self._rows("tcp", states)

    def udp(self) -> list[SocketRow]:
        """Return every bound UDP socket."""
        return self._rows("udp", {TcpState.ESTABLISHED, TcpState.CLOSE})

    def _rows(self, protocol: Transport, states: Collection[int]) -> list[SocketRow]:
        rows: list[SocketRow] = []
        for table in (protocol, f"{protocol}6"):
            try:
                sockets = read_sockets(self._read(table), table)
            except DecodeError as error:
                raise SocketTableError(str(error)) from error
            for found in sockets:
                if found.state in states:
                    family, local = read_address(found.local)
                    _, remote = read_address(found.remote)
                    rows.append(
                        SocketRow(
                            family=family,
                            protocol=protocol,
                            state=found.state,
                            local_address=local,
                            local_port=found.local_port,
                            remote_address=remote,
                            remote_port=found.remote_port,
                            uid=found.uid,
                            inode=found.inode,
                            cookie=0,
                        )
                    )
        return rows

    def _read(self, table: str) -> bytes:
        try:
            with (self._folder / table).open("rb") as file:
                content = file.read(_MAX_BYTES)
        except FileNotFoundError:
            if table.endswith("6"):
                return b""  # this kernel speaks no IPv6
            raise SocketTableError(f"{self._folder / table} is missing") from None
        except OSError as error:
            raise SocketTableError(f"{self._folder / table}: {error.strerror}") from error
        if len(content) == _MAX_BYTES:
            raise SocketTableError(f"{self._folder / table} is too large")
        return content
