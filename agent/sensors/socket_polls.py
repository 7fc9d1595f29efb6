"""Polls of socket tables: which are due, what they cost, and whether they show anything new.

In: a source of socket tables (netlink, /proc or psutil) and a source of owners. Out:
``ListenersSeen`` and ``ConnectionsSeen``; nothing where a poll shows what the one before it showed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from agent.sensors.observations import ConnectionsSeen, ListenersSeen, owner_key
from agent.sensors.pace import CPU_SHARE, Pace, at_tick
from agent.sensors.socket_rows import (
    CONNECTION_STATES,
    SocketRow,
    SocketTables,
    TcpState,
    Transport,
)
from rules.telemetry.event import Process

if TYPE_CHECKING:
    from rules.telemetry.clock import Clock

LISTENER_INTERVAL_S: Final = 1.0
TABLE_INTERVAL_S: Final = 30.0  # of a table that seems unchanged
LOOK_AGAIN_S: Final = 10.0  # for owners that were not found, although nothing has changed
WITHOUT_TIME_WAIT: Final = CONNECTION_STATES - {TcpState.TIME_WAIT}

NOBODY: Final = Process()

_Shown = frozenset[tuple[object, ...]]


class Owners(Protocol):
    """Who holds sockets."""

    def update(self, group: str, rows: Sequence[SocketRow]) -> Mapping[int, Process]:
        """Take in the rows of a group's latest poll; return ``owner_key`` → process."""
        ...


class ListenerPoll:
    """TCP listeners and UDP sockets, each second where that is cheap."""

    def __init__(
        self,
        tables: SocketTables,
        owners: Owners,
        clock: Clock,
        *,
        source: str,
        share: float = CPU_SHARE,
        cpu_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._tables = tables
        self._owners = owners
        self._clock = clock
        self._source = source
        self._cpu_s = cpu_s
        self._pace = Pace(shortest_s=LISTENER_INTERVAL_S, longest_s=TABLE_INTERVAL_S, share=share)
        self._shown: dict[Transport, _Shown] = {}
        self._look_again_s: dict[Transport, float] = {}
        self.seen = 0

    @property
    def due_s(self) -> float:
        """Return the monotonic moment of the next poll."""
        return at_tick(self._pace.due_s(is_changed=True))

    def poll(self) -> list[ListenersSeen | ConnectionsSeen]:
        """Poll both protocols."""
        begin_s = self._cpu_s()
        is_first = not self._shown
        observations = [*self.poll_tcp(), *self._poll_udp()]
        self._pace.spend(self._clock.monotonic_s(), self._cpu_s() - begin_s, is_usual=not is_first)
        return observations

    def poll_tcp(self) -> list[ListenersSeen]:
        """Poll TCP alone: cheap enough to ask whose port a connection came in by."""
        rows = self._tables.listeners()
        if not self._is_new("tcp", rows):
            return []
        ts_us = self._clock.now_us()
        owners = self._find_owners("tcp", rows)
        return [ListenersSeen(ts_us, self._source, "tcp", rows, owners)]

    def _poll_udp(self) -> list[ListenersSeen | ConnectionsSeen]:
        rows = self._tables.udp()
        if not self._is_new("udp", rows):
            return []
        ts_us = self._clock.now_us()
        owners = self._find_owners("udp", rows)
        waiting = [row for row in rows if row.state != TcpState.ESTABLISHED]
        flows = [row for row in rows if row.state == TcpState.ESTABLISHED]
        return [
            ListenersSeen(ts_us, self._source, "udp", waiting, owners),
            ConnectionsSeen(ts_us, self._source, "udp", flows, owners, ends_are_told=False),
        ]

    def _find_owners(self, protocol: Transport, rows: Sequence[SocketRow]) -> Mapping[int, Process]:
        owners = self._owners.update(protocol, rows)
        if any(owners.get(owner_key(row), NOBODY).pid is None for row in rows):
            self._look_again_s[protocol] = self._clock.monotonic_s() + LOOK_AGAIN_S
        else:
            self._look_again_s.pop(protocol, None)
        return owners

    def _is_new(self, protocol: Transport, rows: Sequence[SocketRow]) -> bool:
        self.seen += len(rows)
        look_again_s = self._look_again_s.get(protocol)
        if look_again_s is not None and self._clock.monotonic_s() >= look_again_s:
            return True
        shown = frozenset((*row[:7], row.cookie, row.pid) for row in rows)
        if self._shown.get(protocol) == shown:
            return False
        self._shown[protocol] = shown
        return True


class ConnectionPoll:
    """TCP connections, as often as they change and their number allows."""

    def __init__(
        self,
        tables: SocketTables,
        owners: Owners,
        clock: Clock,
        *,
        source: str,
        share: float = CPU_SHARE,
        cpu_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._tables = tables
        self._owners = owners
        self._clock = clock
        self._source = source
        self._cpu_s = cpu_s
        self._pace = Pace(shortest_s=LISTENER_INTERVAL_S, longest_s=TABLE_INTERVAL_S, share=share)
        self._polls = 0
        self.seen = 0

    def due_s(self, *, is_changed: bool) -> float:
        """Return the monotonic moment of the next poll."""
        return at_tick(self._pace.due_s(is_changed=is_changed))

    def poll(self, *, ends_are_told: bool) -> ConnectionsSeen:
        """Poll every connection; TIME_WAIT only where ends are not told anyway."""
        begin_s = self._cpu_s()
        rows = self._tables.connections(WITHOUT_TIME_WAIT if ends_are_told else CONNECTION_STATES)
        ts_us = self._clock.now_us()
        owners = self._owners.update("connections", rows)
        self._pace.spend(
            self._clock.monotonic_s(), self._cpu_s() - begin_s, is_usual=self._polls > 0
        )
        self._polls += 1
        self.seen += len(rows)
        return ConnectionsSeen(ts_us, self._source, "tcp", rows, owners, ends_are_told)
