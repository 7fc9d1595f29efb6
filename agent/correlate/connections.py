"""Connections: when each one opened and closed, who opened it, and whose it is.

In: polls of sockets with a peer, and sockets that the kernel destroyed. Out: two events for each
local side of a connection, opened and closed; the closed one repeats every column with the best
that is known by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from agent.correlate.connection_rows import (
    Connection,
    Ends,
    closed_row,
    ends_of_closed,
    ends_of_row,
    opened_row,
)
from agent.correlate.listeners import is_known
from agent.sensors.observations import owner_key
from agent.sensors.socket_rows import TcpState

if TYPE_CHECKING:
    from collections import Counter

    from agent.correlate.listeners import ListenerTable
    from agent.sensors.observations import ConnectionsSeen
    from agent.sensors.own_connections import OwnConnections
    from agent.sensors.sensor import Loss
    from agent.sensors.socket_rows import ClosedSocket, SocketRow, Transport
    from rules.telemetry.event import Event, Process

MAX_CONNECTIONS: Final = 50_000  # open at a time, about 0.5 KB each; above: lost as ``table_full``
_NOT_YET: Final = frozenset({TcpState.SYN_SENT, TcpState.SYN_RECV})
_POLLS_UNTIL_GONE: Final = 2  # the kernel's notice may come a moment after the socket has left
_MAX_CONCLUDED: Final = 4_096  # ends concluded from polls, whose notice may still come

_Key: TypeAlias = int | Ends


class ConnectionTable:
    """Open connections of this host, from polls and from the kernel's notices of ends."""

    def __init__(
        self,
        listeners: ListenerTable,
        own: OwnConnections,
        lost: Counter[Loss],
        *,
        closers: dict[Ends, Process] | None = None,
        limit: int = MAX_CONNECTIONS,
    ) -> None:
        self._listeners = listeners
        self._own = own
        self._lost = lost
        self._closers = {} if closers is None else closers
        self._limit = limit
        self._open: dict[Transport, dict[_Key, Connection]] = {"tcp": {}, "udp": {}}
        self._lingering: set[Ends] = set()
        self._ends_were_told = False
        self._concluded: dict[_Key, int] = {}
        self._known: set[Transport] = set()
        self._refused: dict[Transport, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def update(self, seen: ConnectionsSeen) -> list[Event]:
        """Take in a poll; return what opened since the last one, and what must have closed."""
        is_first = seen.protocol not in self._known
        self._known.add(seen.protocol)
        lingering: list[SocketRow] = []
        opened, present = self._opened(seen, lingering, is_first=is_first)
        # Ends that were told until now linger too, and must not be told again.
        is_news = not is_first and not self._ends_were_told
        between = self._between_polls(lingering, seen, is_news=is_news)
        if seen.protocol == "tcp":
            self._ends_were_told = seen.ends_are_told
        return [*opened, *between, *self._gone(present, seen)]

    def _opened(
        self, seen: ConnectionsSeen, lingering: list[SocketRow], *, is_first: bool
    ) -> tuple[list[Event], set[_Key]]:
        table = self._open[seen.protocol]
        room = self._limit - len(self)
        present: set[_Key] = set()
        events: list[Event] = []
        refused = 0
        for row in seen.rows:
            if row.state == TcpState.TIME_WAIT and seen.protocol == "tcp":
                lingering.append(row)
                continue
            key = row.cookie or ends_of_row(row, seen.protocol)
            present.add(key)
            known = table.get(key)
            if known is not None:
                _learn_owner(known, row, seen)
            elif not self._is_reportable(row, seen):
                continue
            elif len(events) < room:
                connection = table[key] = self._new(row, seen, is_start_known=not is_first)
                events.append(opened_row(connection, seen.ts_us))
            else:
                refused += 1
        self._refuse(seen.protocol, refused)
        return events, present

    def _refuse(self, protocol: Transport, refused: int) -> None:
        """Count sockets without room: each poll shows them again, so only their growth counts."""
        growth = refused - self._refused.get(protocol, 0)
        self._lost["connection", "table_full"] += max(0, growth)
        self._refused[protocol] = refused

    def is_known(self, cookie: int) -> bool:
        """Tell whether a poll has shown this socket as a connection."""
        return cookie in self._open["tcp"] or cookie in self._concluded

    def close(self, closed: ClosedSocket, *, source: str, ts_us: int) -> list[Event]:
        """Take in that the kernel destroyed a socket; return its last event, or both of them."""
        is_own = self._own.settle(closed)
        connection = self._open["tcp"].pop(closed.cookie, None)
        if is_own or (connection is None and not closed.established):
            return []
        if self._concluded.pop(closed.cookie, None) is not None:
            return []  # two polls have told that already
        events: list[Event] = []
        if connection is None:
            connection = self._unseen(ends_of_closed(closed), source, ts_us)
            events.append(opened_row(connection, ts_us))
        self._learn_closer(connection)
        events.append(
            closed_row(
                connection,
                ts_us,
                bytes_sent=closed.bytes_sent,
                bytes_received=closed.bytes_received,
            )
        )
        return events

    def _learn_closer(self, connection: Connection) -> None:
        closer = self._closers.pop(connection.ends, None)
        if closer is not None:
            connection.process, connection.grade = closer, "exact"

    def announce(self, ts_us: int) -> list[Event]:
        """Return every open connection as opened, for somebody who has heard nothing yet."""
        return [
            opened_row(connection, ts_us)
            for table in self._open.values()
            for connection in table.values()
        ]

    def _is_reportable(self, row: SocketRow, seen: ConnectionsSeen) -> bool:
        if row.state in _NOT_YET and seen.protocol == "tcp":
            return False
        return not self._own.owns(row, seen.ts_us)

    def _new(self, row: SocketRow, seen: ConnectionsSeen, *, is_start_known: bool) -> Connection:
        listener = self._listeners.match(seen.protocol, row.local_address, row.local_port)
        return Connection(
            ends=ends_of_row(row, seen.protocol),
            source=seen.source,
            is_inbound=listener is not None,
            opened_us=seen.ts_us,
            is_start_known=is_start_known,
            process=seen.owners.get(owner_key(row)),
            listener=listener,
        )

    def _unseen(self, ends: Ends, source: str, ts_us: int) -> Connection:
        """Return a connection that lived between two polls: its start and process are unknown."""
        listener = self._listeners.match(ends.protocol, ends.local_address, ends.local_port)
        return Connection(
            ends=ends,
            source=source,
            is_inbound=listener is not None,
            opened_us=ts_us,
            is_start_known=False,
            process=None,
            listener=listener,
        )

    def _between_polls(
        self, lingering: list[SocketRow], seen: ConnectionsSeen, *, is_news: bool
    ) -> list[Event]:
        """Return connections that only their TIME_WAIT remains of, each once."""
        if seen.protocol != "tcp":
            return []
        before, self._lingering = self._lingering, set()
        events: list[Event] = []
        if not lingering:
            return events
        open_ends = {connection.ends for connection in self._open["tcp"].values()}
        for row in lingering:
            ends = ends_of_row(row, "tcp")
            self._lingering.add(ends)
            is_told = ends in before or ends in open_ends
            if is_news and not is_told and not self._own.owns(row, seen.ts_us):
                connection = self._unseen(ends, seen.source, seen.ts_us)
                events += [opened_row(connection, seen.ts_us), closed_row(connection, seen.ts_us)]
        return events

    def _gone(self, present: set[_Key], seen: ConnectionsSeen) -> list[Event]:
        table = self._open[seen.protocol]
        events: list[Event] = []
        for key in [key for key in table if key not in present]:
            table[key].missed_polls += 1
            if not seen.ends_are_told or table[key].missed_polls >= _POLLS_UNTIL_GONE:
                connection = table.pop(key)
                self._learn_closer(connection)
                events.append(closed_row(connection, seen.ts_us))
                self._concluded[key] = seen.ts_us
        while len(self._concluded) > _MAX_CONCLUDED:
            del self._concluded[next(iter(self._concluded))]
        return events


def _learn_owner(connection: Connection, row: SocketRow, seen: ConnectionsSeen) -> None:
    connection.missed_polls = 0
    if not is_known(connection.process):
        connection.process = seen.owners.get(owner_key(row), connection.process)
