"""Connections: when each one opened and closed, who opened it, and whose it is.

In: polls of sockets with a peer, and sockets that the kernel destroyed. Out: two events for each
local side of a connection, opened and closed; the closed one repeats every column with the best
that is known by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from agent.correlate.listeners import is_known
from agent.sensors.observations import owner_key
from agent.sensors.socket_rows import TcpState
from rules.telemetry.event import Event

if TYPE_CHECKING:
    from collections import Counter

    from agent.correlate.listeners import ListenerTable
    from agent.sensors.observations import ConnectionsSeen, Listener
    from agent.sensors.own_connections import OwnConnections
    from agent.sensors.sensor import Loss
    from agent.sensors.socket_rows import ClosedSocket, SocketRow, Transport
    from rules.telemetry.event import Process

MAX_CONNECTIONS: Final = 50_000  # open at a time, about 0.5 KB each; above: lost as ``table_full``
_NOT_YET: Final = frozenset({TcpState.SYN_SENT, TcpState.SYN_RECV})
_POLLS_UNTIL_GONE: Final = 2  # the kernel's notice may come a moment after the socket has left
_MAX_CONCLUDED: Final = 4_096  # ends concluded from polls, whose notice may still come

_Key: TypeAlias = "int | _Ends"


class _Ends(NamedTuple):
    protocol: Transport
    local_address: str
    local_port: int
    remote_address: str | None
    remote_port: int | None


@dataclass(slots=True)
class _Connection:
    ends: _Ends
    source: str
    is_inbound: bool
    opened_us: int
    is_start_known: bool
    process: Process | None
    listener: Listener | None
    missed_polls: int = 0


class ConnectionTable:
    """Open connections of this host, from polls and from the kernel's notices of ends."""

    def __init__(
        self,
        listeners: ListenerTable,
        own: OwnConnections,
        lost: Counter[Loss],
        *,
        limit: int = MAX_CONNECTIONS,
    ) -> None:
        self._listeners = listeners
        self._own = own
        self._lost = lost
        self._limit = limit
        self._open: dict[Transport, dict[_Key, _Connection]] = {"tcp": {}, "udp": {}}
        self._lingering: set[_Ends] = set()
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
            key = row.cookie or _ends_of(row, seen.protocol)
            present.add(key)
            known = table.get(key)
            if known is not None:
                _learn_owner(known, row, seen)
            elif not self._is_reportable(row, seen):
                continue
            elif len(events) < room:
                connection = table[key] = self._new(row, seen, is_start_known=not is_first)
                events.append(_opened(connection, seen.ts_us))
            else:
                refused += 1
        self._refuse(seen.protocol, refused)
        return events, present

    def _refuse(self, protocol: Transport, refused: int) -> None:
        """Count sockets without room: each poll shows them again, so only their growth counts."""
        growth = refused - self._refused.get(protocol, 0)
        self._lost["connection", "table_full"] += max(0, growth)
        self._refused[protocol] = refused

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
            ends = _Ends("tcp", closed.local_address, closed.local_port, *_remote_end(closed))
            connection = self._unseen(ends, source, ts_us)
            events.append(_opened(connection, ts_us))
        events.append(
            _closed(
                connection,
                ts_us,
                bytes_sent=closed.bytes_sent,
                bytes_received=closed.bytes_received,
            )
        )
        return events

    def announce(self, ts_us: int) -> list[Event]:
        """Return every open connection as opened, for somebody who has heard nothing yet."""
        return [
            _opened(connection, ts_us)
            for table in self._open.values()
            for connection in table.values()
        ]

    def _is_reportable(self, row: SocketRow, seen: ConnectionsSeen) -> bool:
        if row.state in _NOT_YET and seen.protocol == "tcp":
            return False
        return not self._own.owns(row, seen.ts_us)

    def _new(self, row: SocketRow, seen: ConnectionsSeen, *, is_start_known: bool) -> _Connection:
        listener = self._listeners.match(seen.protocol, row.local_address, row.local_port)
        return _Connection(
            ends=_ends_of(row, seen.protocol),
            source=seen.source,
            is_inbound=listener is not None,
            opened_us=seen.ts_us,
            is_start_known=is_start_known,
            process=seen.owners.get(owner_key(row)),
            listener=listener,
        )

    def _unseen(self, ends: _Ends, source: str, ts_us: int) -> _Connection:
        """Return a connection that lived between two polls: its start and process are unknown."""
        listener = self._listeners.match(ends.protocol, ends.local_address, ends.local_port)
        return _Connection(
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
            ends = _ends_of(row, "tcp")
            self._lingering.add(ends)
            is_told = ends in before or ends in open_ends
            if is_news and not is_told and not self._own.owns(row, seen.ts_us):
                connection = self._unseen(ends, seen.source, seen.ts_us)
                events += [_opened(connection, seen.ts_us), _closed(connection, seen.ts_us)]
        return events

    def _gone(self, present: set[_Key], seen: ConnectionsSeen) -> list[Event]:
        table = self._open[seen.protocol]
        events: list[Event] = []
        for key in [key for key in table if key not in present]:
            table[key].missed_polls += 1
            if not seen.ends_are_told or table[key].missed_polls >= _POLLS_UNTIL_GONE:
                events.append(_closed(table.pop(key), seen.ts_us))
                self._concluded[key] = seen.ts_us
        while len(self._concluded) > _MAX_CONCLUDED:
            del self._concluded[next(iter(self._concluded))]
        return events


def _ends_of(row: SocketRow, protocol: Transport) -> _Ends:
    return _Ends(protocol, row.local_address, row.local_port, row.remote_address, row.remote_port)


def _remote_end(closed: ClosedSocket) -> tuple[str | None, int | None]:
    """Return the peer; nothing where this host aborted the connection and the kernel forgot it."""
    if closed.remote_port == 0:
        return None, None
    return closed.remote_address, closed.remote_port


def _learn_owner(connection: _Connection, row: SocketRow, seen: ConnectionsSeen) -> None:
    connection.missed_polls = 0
    if not is_known(connection.process):
        connection.process = seen.owners.get(owner_key(row), connection.process)


def _attribute(connection: _Connection) -> tuple[str, Process | None]:
    """Return grade and process: the socket's holder, else the listener's, else the user at most."""
    if is_known(connection.process):
        return "polled", connection.process
    listening = connection.listener.process if connection.listener is not None else None
    if is_known(listening):
        return "listener", listening
    return "unknown", connection.process or listening


def _opened(connection: _Connection, ts_us: int) -> Event:
    return _event(connection, ts_us, {"state": "opened"})


def _closed(
    connection: _Connection,
    ts_us: int,
    *,
    bytes_sent: int | None = None,
    bytes_received: int | None = None,
) -> Event:
    end: dict[str, Any] = {"state": "closed"}
    if connection.is_start_known:
        end["duration_us"] = max(0, ts_us - connection.opened_us)
    if bytes_sent is not None:
        end["bytes_sent"] = bytes_sent
    if bytes_received is not None:
        end["bytes_received"] = bytes_received
    return _event(connection, ts_us, end)


def _event(connection: _Connection, ts_us: int, end: dict[str, Any]) -> Event:
    protocol, local_address, local_port, remote_address, remote_port = connection.ends
    attribution, process = _attribute(connection)
    values: dict[str, Any] = {
        "direction": "inbound" if connection.is_inbound else "outbound",
        "protocol": protocol,
        "local_address": local_address,
        "local_port": local_port,
        "attribution": attribution,
        "source": connection.source,
        **end,
    }
    if remote_port is not None:
        values["remote_address"] = remote_address
        values["remote_port"] = remote_port
    return Event("connection", ts_us, process, values)
