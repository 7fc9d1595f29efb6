"""Traffic joined with connections: facts of packets get their process, connections their protocol.

In: facts about packets, and the rows of connections as they are made. Out: rows of both. A fact
waits a little for its connection, and a connection's end for the packets before it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.correlate.listeners import is_known
from agent.correlate.recent_connections import Ends, RecentConnections
from agent.correlate.sides import Direction, Sides, events_of
from agent.decode.facts import ConnectionSeen, Parties, ProtocolSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.correlate.recent_connections import Owner
    from agent.decode.facts import Fact
    from agent.sensors.observations import TrafficSeen
    from agent.sensors.own_connections import OwnConnections
    from rules.telemetry.event import Event

WAIT_US: Final = 2_000_000  # of a fact for its connection; short ones are told when they end
HOLD_US: Final = 3_000_000  # of an end for packets, should the packet sensor fall silent
MAX_HELD: Final = 8_192  # ends that wait; beyond it the oldest go without a protocol
MAX_WAITING: Final = 8_192  # facts that wait; beyond it the oldest go without a process
MAX_PROTOCOLS: Final = 8_192  # connections whose protocol is remembered


class _Waiting(NamedTuple):
    ts_us: int
    events: list[Event]


class TrafficJoin:
    """Joins what packets show with what is known of connections."""

    def __init__(self, own: OwnConnections) -> None:
        self._own = own
        self._is_live = False
        self._sides = Sides()
        self._local: object = None
        self._recent = RecentConnections()
        self._waiting: dict[Ends, deque[_Waiting]] = {}
        self._deadlines: deque[tuple[int, Ends]] = deque()
        self._held: deque[tuple[Event, Ends | None]] = deque()
        self._protocols: OrderedDict[Ends, str] = OrderedDict()  # by client, then server

    def add(self, seen: TrafficSeen) -> list[Event]:
        """Take facts; return the rows whose process is known now, or was waited for enough."""
        self._is_live = True
        if seen.local is not self._local:
            self._local, self._sides = seen.local, Sides(seen.local)
        events: list[Event] = []
        for fact in seen.facts:
            events += self._take(fact, seen.source)
        events += self._release(seen.ts_us)
        events += self._give_up(seen.ts_us - WAIT_US)
        self._recent.forget(seen.ts_us)
        return events

    def follow(self, events: list[Event], ts_us: int) -> list[Event]:
        """Take rows as they are made; return them but for ends that wait for packets.

        Args:
            events: Of any kind.
            ts_us: When they were made.
        """
        if not self._is_live:
            return events
        passed = list(self._release(ts_us - HOLD_US))
        for event in events:
            if event.kind != "connection":
                passed.append(event)
                continue
            ends = self._recent.note(event)
            if event.values["state"] == "closed":
                self._held.append((event, ends))
            else:
                passed.append(event)
            if self._waiting and ends in self._waiting and is_known(event.process):
                passed += self._settle(ends)
        while len(self._held) > MAX_HELD:
            passed.append(self._with_protocol(*self._held.popleft()))
        return passed

    def flush(self) -> list[Event]:
        """Return everything that waits, for collection ends."""
        held = [self._with_protocol(event, ends) for event, ends in self._held]
        self._held.clear()
        return [*held, *self._give_up(None)]

    def _take(self, fact: Fact, source: str) -> list[Event]:
        """Take one fact; return its rows if its connection is known."""
        parties = fact.parties
        if isinstance(fact, ConnectionSeen):
            return []
        if isinstance(fact, ProtocolSeen):
            self._learn(fact)
            return []
        if self._own.made(parties[1:3], parties[3:5], fact.ts_us):
            return []
        told: list[Event] = []
        for direction in self._sides.of(parties):
            events = events_of(fact, direction, source=source)
            ends = _ends(parties, direction)
            owner = self._recent.find(ends, fact.ts_us) if events else None
            if owner is not None and owner.is_known:
                told += _owned(events, owner)
            elif events:
                self._waiting.setdefault(ends, deque()).append(_Waiting(fact.ts_us, events))
                self._deadlines.append((fact.ts_us, ends))
        return told

    def _learn(self, fact: ProtocolSeen) -> None:
        self._protocols.pop(fact.parties, None)
        self._protocols[fact.parties] = fact.app_protocol
        if len(self._protocols) > MAX_PROTOCOLS:
            self._protocols.popitem(last=False)

    def _settle(self, ends: Ends | None) -> Iterator[Event]:
        """Yield the rows that waited for a connection between these ends, if it is known now."""
        if ends is None or ends not in self._waiting:
            return
        still: deque[_Waiting] = deque()
        for each in self._waiting.pop(ends):
            owner = self._recent.find(ends, each.ts_us)
            if owner is not None and owner.is_known:
                yield from _owned(each.events, owner)
            else:
                still.append(each)
        if still:
            self._waiting[ends] = still

    def _give_up(self, before_us: int | None) -> Iterator[Event]:
        """Yield the rows that have waited since before a moment, or all, or are too many."""
        deadlines = self._deadlines
        while deadlines and (
            before_us is None or deadlines[0][0] <= before_us or len(deadlines) > MAX_WAITING
        ):
            ts_us, ends = deadlines.popleft()
            waiting = self._waiting.get(ends, deque())
            while waiting and waiting[0].ts_us <= ts_us:
                each = waiting.popleft()
                owner = self._recent.find(ends, each.ts_us)
                process = None if owner is None else owner.process  # its user may be known
                yield from (event._replace(process=process) for event in each.events)
            if not waiting:
                self._waiting.pop(ends, None)

    def _release(self, until_us: int) -> Iterator[Event]:
        """Yield ends before a moment: all packets before it have been told."""
        held = self._held
        while held and held[0][0].ts_us <= until_us:
            yield self._with_protocol(*held.popleft())

    def _with_protocol(self, event: Event, ends: Ends | None) -> Event:
        protocols = self._protocols
        if ends is None or not protocols or "app_protocol" in event.values:
            return event
        protocol, address, port, peer, peer_port = ends
        name = protocols.get(ends) or protocols.get((protocol, peer, peer_port, address, port))
        if name is not None:
            event.values["app_protocol"] = name
        return event


def _owned(events: Iterable[Event], owner: Owner) -> Iterator[Event]:
    for event in events:
        values = {**event.values, "attribution": owner.attribution}
        yield event._replace(process=owner.process, values=values)


def _ends(parties: Parties, direction: Direction) -> Ends:
    protocol, client, client_port, server, server_port = parties
    if direction == "outbound":
        return (protocol, client, client_port, server, server_port)
    return (protocol, server, server_port, client, client_port)
