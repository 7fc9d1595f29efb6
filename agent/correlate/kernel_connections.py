"""Connections that the kernel tells: who opened each, when it was up, who closed it and when.

In: changes of sockets, in the order in which they happened; polls and notices of ends, for what
the kernel does not tell with a change. Out: two events for each local side, opened and closed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from agent.correlate.connection_rows import (
    Connection,
    Ends,
    closed_row,
    ends_of_closed,
    ends_of_row,
    opened_row,
)
from agent.correlate.connections import MAX_CONNECTIONS
from agent.correlate.endings import Ending, Endings
from agent.correlate.kernel_listeners import KernelListeners
from agent.correlate.listeners import is_known
from agent.sensors.observations import SocketChange, owner_key
from agent.sensors.socket_rows import TcpState

if TYPE_CHECKING:
    from collections import Counter

    from agent.correlate.listeners import ListenerTable
    from agent.sensors.observations import ConnectionsSeen, KernelChanges, Listener
    from agent.sensors.own_connections import OwnConnections
    from agent.sensors.sensor import Loss
    from agent.sensors.socket_rows import ClosedSocket, SocketRow
    from rules.telemetry.event import Event, Process

GRACE_US: Final = 750_000  # an end waits so long for the notice that brings its bytes
LONGEST_GRACE_US: Final = 5_000_000  # and so long while notices pile up
MAX_OPENING: Final = 8_192  # attempts under way; the oldest are forgotten, and their process
MAX_CLOSERS: Final = 8_192  # of sockets that were opened before
MAX_TWINS: Final = 64  # open connections between the same ends; one more, and the oldest has ended
_POLLS_UNTIL_GONE: Final = 2
# Plain numbers: a member of an enumeration takes longer to look up than all the rest.
_SYN_SENT: Final = int(TcpState.SYN_SENT)
_SYN_RECV: Final = int(TcpState.SYN_RECV)
_ESTABLISHED: Final = int(TcpState.ESTABLISHED)
_CLOSE: Final = int(TcpState.CLOSE)
_LISTEN: Final = int(TcpState.LISTEN)


class KernelConnections:
    """Connections of every network namespace, told by the kernel.

    The kernel names a socket by its address, which says nothing to anybody else; polls and notices
    of ends, which know this network namespace alone, meet it by the ends of the connection.

    Attributes:
        closers: Who closed sockets that were opened before, for whoever knows them.
        notices_wait: Whether notices of ends come faster than they are read.
    """

    def __init__(
        self,
        listeners: ListenerTable,
        own: OwnConnections,
        lost: Counter[Loss],
        *,
        limit: int = MAX_CONNECTIONS,
    ) -> None:
        self.closers: OrderedDict[Ends, Process] = OrderedDict()
        self.notices_wait = False
        self._listeners = listeners
        self._listening = KernelListeners()
        self._own = own
        self._lost = lost
        self._limit = limit
        self._opening: OrderedDict[int, SocketChange] = OrderedDict()
        self._open: dict[int, Connection] = {}
        self._sockets: dict[Ends, int] = {}  # the latest between these ends
        # Others between the same ends, the oldest first: of other network namespaces, or gone.
        self._older: dict[Ends, list[int]] = {}
        self._endings = Endings()
        self._ended: set[Ends] = set()  # in the latest changes: the poll before may show them
        self._polled: set[int] = set()
        self._is_live = False
        self._ends_are_told = False

    def __len__(self) -> int:
        return len(self._open)

    def update(self, told: KernelChanges) -> list[Event]:
        """Take in what the kernel told; return what opened, and the ends that waited enough."""
        events: list[Event] = []
        if not told.goes_on:
            self._ended.clear()
        if told.is_first:
            self._begin_anew(told.ts_us, events)
        if not told.goes_on:
            self._tell_late(told.ts_us, events)
        for change in told.changes:
            if type(change) is not SocketChange:
                continue
            state = change.new_state
            if state == _ESTABLISHED:
                self._establish(change, told.source, events)
            elif state == _SYN_SENT:
                self._attempt(change, events)
            elif state == _CLOSE:
                self._close(change, events)
            elif state == _LISTEN:
                self._listening.begin(change)
            else:
                self._learn_closer(change, events)
        return events

    def reconcile(self, seen: ConnectionsSeen) -> tuple[ConnectionsSeen, list[Event]]:
        """Return what of a poll the kernel has not told, and ends that it failed to tell.

        The kernel was heard after the poll was made, so what it ended meanwhile is no news either.
        """
        if seen.protocol != "tcp":
            return seen, []
        self._ends_are_told = seen.ends_are_told
        if not self._is_live:
            return seen, []
        rows: list[SocketRow] = []
        present: set[int] = set()
        for row in seen.rows:
            ends = ends_of_row(row, "tcp")
            socket = self._sockets.get(ends)
            if socket is not None:
                present.add(socket)
                _learn_owner(self._open[socket], row, seen)
            elif row.state != TcpState.TIME_WAIT and ends not in self._ended:
                rows.append(row)
        return seen._replace(rows=rows), self._miss(present, seen.ts_us)

    def settle(self, closed: ClosedSocket, *, ts_us: int) -> list[Event] | None:
        """Take in a notice of an end.

        Returns:
            Its row, nothing if that was told before, None if the kernel never told of the socket.
        """
        ends = ends_of_closed(closed)
        if ends.remote_port is None:
            return self._settle_forgotten(closed)
        if not closed.established:
            return None  # another attempt between the same ends
        ending = self._endings.take(ends)
        if ending is not None:
            return [_with_bytes(ending.connection, ending.closed_us, closed)]
        if self._endings.is_awaited(ends):
            return []
        socket = next(iter(self._older.get(ends, ())), self._sockets.get(ends))
        if socket is None:
            return None
        # The kernel's word of this end was lost: the notice is the next best.
        return [_with_bytes(self._forget(socket), ts_us, closed)]

    def announce(self, ts_us: int) -> list[Event]:
        """Return every open connection as opened, for somebody who has heard nothing yet."""
        return [opened_row(connection, ts_us) for connection in self._open.values()]

    def flush(self) -> list[Event]:
        """Return the ends that still wait for their notice, for collection ends."""
        events: list[Event] = []
        for ending in self._endings.take_all():
            self._tell(ending, events)
        return events

    def _begin_anew(self, ts_us: int, events: list[Event]) -> None:
        """End what was open when the kernel was heard last: its end may have been missed."""
        self._is_live = True
        self._opening.clear()
        for socket in list(self._open):
            self._conclude(socket, ts_us, events)

    def _attempt(self, change: SocketChange, events: list[Event]) -> None:
        known = self._open.get(change.socket)
        if known is not None and known.opened_us >= change.ts_us:
            _learn_exact(known, change)  # told late, by another CPU
            return
        if known is not None:
            self._conclude(change.socket, change.ts_us, events)
        self._opening[change.socket] = change
        if len(self._opening) > MAX_OPENING:
            self._opening.popitem(last=False)

    def _establish(self, change: SocketChange, source: str, events: list[Event]) -> None:
        ts_us, socket, old_state, _, address, port, peer, peer_port, _, _ = change
        if socket in self._open:
            self._conclude(socket, ts_us, events)
        is_inbound = old_state == _SYN_RECV and socket not in self._opening
        attempt = self._opening.pop(socket, None)
        if len(self._own) and self._own.owns_ends((address, port), (peer, peer_port), ts_us):
            return
        if len(self._open) >= self._limit:
            self._lost["connection", "table_full"] += 1
            return
        connection = Connection(
            ends=Ends("tcp", address, port, peer, peer_port),
            source=source,
            is_inbound=is_inbound,
            opened_us=ts_us,
            is_start_known=True,
            process=None,
            listener=self._find_listener(address, port) if is_inbound else None,
        )
        if attempt is not None and _may_become(attempt, change):
            _learn_exact(connection, attempt)
        self._open[socket] = connection
        other = self._sockets.get(connection.ends)
        if other is not None:
            older = self._older.setdefault(connection.ends, [])
            older.append(other)
            if len(older) >= MAX_TWINS:
                self._conclude(older[0], ts_us, events)
        self._sockets[connection.ends] = socket
        events.append(opened_row(connection, ts_us))

    def _learn_closer(self, change: SocketChange, events: list[Event]) -> None:
        connection = self._find(change, events)
        if connection is not None:
            _learn_exact(connection, change)
        elif change.process is not None:
            self.closers[Ends("tcp", *change[4:8])] = change.process
            if len(self.closers) > MAX_CLOSERS:
                self.closers.popitem(last=False)

    def _find(self, change: SocketChange, events: list[Event]) -> Connection | None:
        """Return the connection of a socket; one that the socket was before has ended unheard."""
        connection = self._open.get(change.socket)
        if connection is None or connection.ends[1:] == change[4:8]:
            return connection
        self._conclude(change.socket, change.ts_us, events)
        return None

    def _close(self, change: SocketChange, events: list[Event]) -> None:
        socket = change.socket
        if change.old_state == _LISTEN:
            self._listening.end(socket)
            return
        self._opening.pop(socket, None)  # an attempt that failed is no connection
        if change.process is not None:
            self._learn_closer(change, events)
        if self._find(change, events) is None:
            return
        connection = self._forget(socket)
        if connection.is_inbound and connection.listener is None:
            connection.listener = self._find_listener(*connection.ends[1:3])
        ending = Ending(change.ts_us, connection, is_abort=change.process is not None)
        if connection.is_elsewhere or not self._ends_are_told:
            self._tell(ending, events)
        else:
            oldest = self._endings.wait(ending)
            if oldest is not None:
                self._tell(oldest, events)

    def _find_listener(self, address: str, port: int) -> Listener | None:
        """Return the listener of this namespace, else one that the kernel told of."""
        found = self._listeners.match("tcp", address, port)
        if found is not None and is_known(found.process):
            return found
        return self._listening.match(address, port) or found

    def _tell_late(self, ts_us: int, events: list[Event]) -> None:
        """Tell ends whose notice does not come, as it may of other network namespaces.

        Those of the changes that are being told have not waited: their notices come after them.
        """
        before_us = ts_us - (LONGEST_GRACE_US if self.notices_wait else GRACE_US)
        for ending in self._endings.take_late(before_us):
            self._tell(ending, events)

    def _tell(self, ending: Ending, events: list[Event]) -> None:
        events.append(closed_row(ending.connection, ending.closed_us))
        self._endings.remember(ending)

    def _forget(self, socket: int) -> Connection:
        connection = self._open.pop(socket)
        ends = connection.ends
        self._ended.add(ends)
        older = self._older.get(ends)
        if older is None:
            del self._sockets[ends]
            return connection
        if self._sockets[ends] == socket:
            self._sockets[ends] = older.pop()
        else:
            older.remove(socket)
        if not older:
            del self._older[ends]
        return connection

    def _conclude(self, socket: int, ts_us: int, events: list[Event]) -> None:
        """End a connection whose end was lost: nobody knows how long it lasted."""
        connection = self._forget(socket)
        connection.is_start_known = False
        self._tell(Ending(ts_us, connection, is_abort=False), events)

    def _miss(self, present: set[int], ts_us: int) -> list[Event]:
        """End connections that polls used to show and show no more."""
        events: list[Event] = []
        for socket in self._polled - present:
            connection = self._open.get(socket)
            if connection is None:
                continue
            connection.missed_polls += 1
            if connection.missed_polls >= _POLLS_UNTIL_GONE:
                self._conclude(socket, ts_us, events)
        self._polled = (self._polled | present) & self._open.keys()
        return events

    def _settle_forgotten(self, closed: ClosedSocket) -> list[Event] | None:
        """Take in a notice without the peer, of a connection that this host broke off."""
        ending = self._endings.take_aborted(closed.local_port)
        if ending is None:
            return [] if self._endings.is_abort_awaited(closed.local_port) else None
        return [closed_row(ending.connection, ending.closed_us)]


def _may_become(attempt: SocketChange, change: SocketChange) -> bool:
    """Tell whether a socket was established by an attempt, and not by a later one, unheard."""
    is_same_port = attempt.local_port in {0, change.local_port}  # none may be chosen yet
    return is_same_port and attempt[6:8] == change[6:8]


def _learn_exact(connection: Connection, change: SocketChange) -> None:
    """Take in who acted, unless that was known exactly before."""
    process = change.process
    if process is not None and connection.grade != "exact" and is_known(process):
        connection.process, connection.grade = process, "exact"
    connection.is_elsewhere |= change.is_elsewhere


def _learn_owner(connection: Connection, row: SocketRow, seen: ConnectionsSeen) -> None:
    connection.missed_polls = 0
    if not is_known(connection.process):
        connection.process = seen.owners.get(owner_key(row), connection.process)


def _with_bytes(connection: Connection, ts_us: int, closed: ClosedSocket) -> Event:
    return closed_row(
        connection,
        ts_us,
        bytes_sent=closed.bytes_sent,
        bytes_received=closed.bytes_received,
    )
