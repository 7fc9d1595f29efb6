"""Correlation: raw facts of all sensors become events, each with a process and how it is known.

In: observations, in the order they were made. Out: events. It reads no clock, no file and no
socket, so the same observations always give the same events.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from agent.correlate.connections import MAX_CONNECTIONS, ConnectionTable
from agent.correlate.kernel_connections import KernelConnections
from agent.correlate.listeners import MAX_LISTENERS, ListenerTable, is_known
from agent.correlate.traffic import TrafficJoin
from agent.sensors.observations import (
    ConnectionsSeen,
    FactsRead,
    KernelChanges,
    Listener,
    ListenersSeen,
    Observation,
    ProcessChange,
    SocketsClosed,
    TlsAnswered,
    TrafficSeen,
)
from agent.sensors.own_connections import OwnConnections
from rules.telemetry.event import Event

if TYPE_CHECKING:
    from agent.sensors.sensor import Loss
    from agent.sensors.socket_rows import ClosedSocket


_Told: TypeAlias = (
    ListenersSeen | ConnectionsSeen | SocketsClosed | KernelChanges | TlsAnswered | FactsRead
)


class Correlator:
    """The state between observations: open connections and listeners, within bounds.

    Attributes:
        lost: Events that had no room, by kind and cause; only ever counts up.
    """

    def __init__(
        self,
        own: OwnConnections | None = None,
        *,
        max_connections: int = MAX_CONNECTIONS,
        max_listeners: int = MAX_LISTENERS,
    ) -> None:
        self.lost: Counter[Loss] = Counter()
        self._listeners = ListenerTable(self.lost, limit=max_listeners)
        own = OwnConnections() if own is None else own  # an empty one is false
        self._kernel = KernelConnections(self._listeners, own, self.lost, limit=max_connections)
        self._traffic = TrafficJoin(own)
        self._connections = ConnectionTable(
            self._listeners, own, self.lost, closers=self._kernel.closers, limit=max_connections
        )

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Return what waits for peers now."""
        return self._listeners.current()

    def add(self, observation: Observation) -> list[Event]:
        """Return the events that an observation makes."""
        if isinstance(observation, TrafficSeen):
            return self._traffic.add(observation)
        return self._traffic.follow(self._make(observation), observation.ts_us)

    def flush(self) -> list[Event]:
        """Return the events that wait for others, for collection ends."""
        ends = self._kernel.flush()
        ts_us = max((event.ts_us for event in ends), default=0)
        return self._traffic.follow(ends, ts_us) + self._traffic.flush()

    def announce(self, ts_us: int) -> list[Event]:
        """Return what is there now, for a run that begins while collection goes on."""
        return (
            self._listeners.announce(ts_us)
            + self._kernel.announce(ts_us)
            + self._connections.announce(ts_us)
        )

    def _make(self, observation: _Told) -> list[Event]:
        match observation:
            case ListenersSeen():
                return self._listeners.update(observation)
            case ConnectionsSeen():
                rest, events = self._kernel.reconcile(observation)
                return events + self._connections.update(rest)
            case KernelChanges():
                return self._kernel.update(observation) + _programs(observation)
            case SocketsClosed():
                return self._close(observation)
            case TlsAnswered():
                return [_tls_session(observation)]
            case FactsRead():
                return _facts(observation)

    def _close(self, observation: SocketsClosed) -> list[Event]:
        ts_us = observation.ts_us
        self._remember_short_listeners(observation)
        self._kernel.notices_wait = not observation.is_all
        events: list[Event] = []
        for closed in observation.sockets:
            if self._listeners.is_known(closed.cookie):
                events += self._listeners.close(closed.cookie, ts_us)
                continue
            told = None
            if not self._connections.is_known(closed.cookie):
                told = self._kernel.settle(closed, ts_us=ts_us)
            if told is not None:
                events += told
            else:
                events += self._connections.close(closed, source=observation.source, ts_us=ts_us)
        return events

    def _remember_short_listeners(self, observation: SocketsClosed) -> None:
        """Recognise listeners that came and went between two polls, by what they let in.

        A socket without a peer went away, and others had the same local port and a peer: that is
        how a server ends. It matters for their direction only.
        """
        if all(map(_has_peer, observation.sockets)):
            return
        used = {closed.local_port for closed in observation.sockets if _has_peer(closed)}
        for closed in observation.sockets:
            is_candidate = not _has_peer(closed) and closed.local_port in used
            if is_candidate and not self._listeners.is_known(closed.cookie):
                listener = Listener("tcp", closed.local_address, closed.local_port)
                self._listeners.remember(listener, observation.ts_us)


def _programs(told: KernelChanges) -> list[Event]:
    return [
        Event("process", each.ts_us, each.process, {"state": each.state, "source": told.source})
        for each in told.changes
        if type(each) is ProcessChange
    ]


def _has_peer(closed: ClosedSocket) -> bool:
    return closed.established or closed.remote_port != 0


def _facts(read: FactsRead) -> list[Event]:
    return [
        Event(fact.kind, read.ts_us, fact.process, {**fact.values, "source": read.source})
        for fact in read.facts
    ]


def _tls_session(answer: TlsAnswered) -> Event:
    values = {
        "direction": "inbound",
        "local_address": answer.local_address,
        "local_port": answer.local_port,
        **answer.values,
        "attribution": "listener" if is_known(answer.process) else "unknown",
        "source": answer.source,
    }
    return Event("tls_session", answer.ts_us, answer.process, values)
