"""The table of flows: finds the flow of each packet, opens and closes flows, within a bound.

In: packets in the order of their capture. Out: to each flow's content the bytes of both directions
in order; and what is known of each flow once it has ended.
Source: RFC 9293.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agent.decode.facts import ProtocolSeen
from agent.decode.flow import TLS, Content, Flow, Start, Way
from agent.decode.packet import ACK, FIN, RST, SYN, TCP, Packet, reverse
from agent.decode.stream import HALF, SEQUENCE_MASK, Stream

if TYPE_CHECKING:
    from agent.decode.facts import ConnectionSeen, Parties

MAX_FLOWS: Final = 65_536
UDP_IDLE_US: Final = 60_000_000  # a UDP flow without packets for so long has ended
CLOSED_KEEP_US: Final = 60_000_000  # late packets of a closed connection are no new one
# What unfinished handshakes and segments that came too early may hold, all flows together.
HELD_BYTES_EACH: Final = 2_048  # of each flow that there may be: 16 MB of a host
HELD_BYTES_MIN: Final = 1 << 20
ATTEMPT_US: Final = 130_000_000  # an attempt whose SYNs are not answered has been given up
LATE_US: Final = 5_000_000  # data that both FINs have overtaken comes until then, or never
_BUSY_US: Final = 5_000_000  # flows that had a packet so lately are evicted last
_CHANCES: Final = 16
_SEQUENCE_BITS: Final = 33
_SEQUENCE: Final = (1 << _SEQUENCE_BITS) - 1
_SWEEP_US: Final = 10_000_000
_CONTROL: Final = FIN | RST


class FlowTable:
    """All flows of a capture.

    Attributes:
        evicted: Flows that had to go while they were open, to make room.
        gaps: Directions whose wanted bytes were not all captured.
    """

    def __init__(
        self,
        begin: Callable[[Parties], Content | None],
        emit: Callable[[ConnectionSeen | ProtocolSeen], None],
        *,
        limit: int = MAX_FLOWS,
        is_live: bool = False,
    ) -> None:
        """Start empty.

        Args:
            begin: Returns what wants the bytes of a new flow, None where nothing does.
            emit: Takes each flow that has ended, or is watched no longer.
            limit: Most flows at a time.
            is_live: Whether ``emit`` instead takes what is spoken, once it is certain: others tell
                of connections then.
        """
        self.evicted = 0
        self.gaps = 0
        self._begin = begin
        self._emit = emit
        self._limit = limit
        self._is_live = is_live
        # Ordered where the oldest may go again and again: a dict would search for it each time.
        self._flows: OrderedDict[Flow, None] = OrderedDict()  # the oldest first, or it was busy
        self._tcp: dict[bytes, Flow] = {}  # by the ends of both directions
        self._udp: dict[bytes, Flow] = {}
        # SYNs of connections of which nothing else was seen: attempts so far, and no flows.
        self._starts: OrderedDict[bytes, Start] = OrderedDict()
        self._holding: dict[Flow, int] = {}  # and how many bytes at most, the oldest first
        self._held_bytes = 0
        self._held_max = max(limit * HELD_BYTES_EACH, HELD_BYTES_MIN)
        self._ending: dict[Flow, int] = {}  # FINs have overtaken data: since when it is awaited
        # Ends of a closed connection's client: when, shifted by 33 bits, plus one more than the
        # number of its server's SYN. Those of before stand in another one, which goes as a whole.
        self._closed: dict[bytes, int] = {}
        self._closed_before: dict[bytes, int] = {}
        self._closed_since_us = 0
        self._sweep_us = 0

    def __len__(self) -> int:
        return len(self._flows)

    def add(self, packet: Packet, ts_us: int) -> None:
        """Take the next packet."""
        if ts_us >= self._sweep_us:
            self._sweep(ts_us)
        protocol, ends, _, _, _, size, sequence, flags = packet
        if protocol != TCP:
            self._add_datagram(packet, ts_us)
            return
        flow = self._tcp.get(ends)
        if flags & SYN:
            flow = self._note_start(flow, packet, ts_us)
            if not size:
                return
            sequence = (sequence + 1) & SEQUENCE_MASK
        if flow is None:
            flow = self._open_connection(packet, ts_us)
            if flow is None:
                return
        flow.last_us = ts_us
        if size:
            way = flow.client if ends == flow.ends else flow.server
            self._take_payload(flow, way, packet, sequence, ts_us)
        if (flags & _CONTROL or flow.is_ending) and self._tcp.get(ends) is flow:
            self._take_control(flow, packet, ts_us)

    def end(self, ts_us: int) -> None:
        """Tell of all flows that are left; they stay open, but for those that were ending."""
        for flow in list(self._ending):
            self._close(flow, flow.last_us)
        for flow in list(self._flows):
            self._remove(flow, ts_us)

    def _take_control(self, flow: Flow, packet: Packet, ts_us: int) -> None:
        """End a flow by RST, or by both FINs once the data before them has come."""
        _, ends, _, _, _, size, sequence, flags = packet
        if flags & FIN:
            way = flow.way_of(ends)
            way.end_sequence = (sequence + size) & SEQUENCE_MASK
            flow.is_ending = flow.client.end_sequence >= 0 <= flow.server.end_sequence
        if flags & RST:
            self._close(flow, ts_us)
        elif flow.is_ending:
            if self._awaits(flow, flow.client) or self._awaits(flow, flow.server):
                self._ending.setdefault(flow, ts_us)
            else:
                self._close(flow, ts_us)

    def _awaits(self, flow: Flow, way: Way) -> bool:
        """Tell whether bytes lack that will come: live, the filter keeps back what is not read."""
        return way.lacks_bytes and (not self._is_live or flow.wants(way))

    def _note_start(self, flow: Flow | None, packet: Packet, ts_us: int) -> Flow | None:
        """Keep a SYN until more follows; return the flow if it is one of its own, sent again."""
        _, ends, _, _, _, _, sequence, flags = packet
        if flow is not None:
            first = flow.way_of(ends).first_sequence
            if first == sequence or (first < 0 and flags & ACK):
                return flow
            self._close(flow, flow.last_us)  # unseen
        starts = self._starts
        known = starts.get(ends)
        if known is not None:
            if known[0] == sequence:
                return None
            del starts[ends]
            starts.pop(reverse(ends), None)  # of an earlier attempt
        elif flags & ACK and self._is_late_answer(packet, ts_us):
            return None
        elif len(starts) >= 2 * self._limit:
            self.evicted += 1
            starts.popitem(last=False)
        # Calling Start itself would take twice as long.
        starts[ends] = tuple.__new__(Start, (sequence, ts_us, flags & ACK))
        return None

    def _is_late_answer(self, packet: Packet, ts_us: int) -> bool:
        """Tell whether a server's SYN is of a connection that has ended.

        Another number says that it answers a SYN which is captured after it.
        """
        client = reverse(packet.ends)
        closed = None if client in self._starts else self._find_closed(client, ts_us)
        return closed is not None and closed in {packet.sequence, -1}

    def _find_closed(self, client: bytes, ts_us: int) -> int | None:
        """Return the number of the server's SYN, -1 if it was not seen; None if none was closed."""
        closed = self._closed.get(client) or self._closed_before.get(client)
        if closed is None or ts_us > (closed >> _SEQUENCE_BITS) + CLOSED_KEEP_US:
            return None
        return (closed & _SEQUENCE) - 1

    def _take_payload(
        self, flow: Flow, way: Way, packet: Packet, sequence: int, ts_us: int
    ) -> None:
        if flow.is_silent:
            flow.is_silent = False
            flow.content = self._begin(flow.parties)
        if way.next_sequence < 0:
            way.next_sequence = sequence
        content = flow.content
        if content is not None and not way.payload_bytes:
            way.stream = Stream(way.next_sequence, limit_bytes=content.limit_bytes)
        size = packet.payload_bytes
        ahead = (sequence + size - way.next_sequence) & SEQUENCE_MASK
        if 0 < ahead < HALF:
            way.payload_bytes += ahead
            way.next_sequence = (way.next_sequence + ahead) & SEQUENCE_MASK
        stream = way.stream
        if stream is None or content is None:
            return
        for piece in stream.feed(sequence, packet.payload, size_bytes=size):
            content.feed(piece, ts_us, from_client=way.from_client)
        if stream.is_over and not content.is_over:
            self.gaps += stream.has_gap
            content.miss(ts_us, from_client=way.from_client)
            way.stream = None
        if content.app_protocol == TLS or stream.has_pending:
            self._hold(flow, size, ts_us)
        if content.is_over or content.app_protocol != flow.app_protocol:
            self._settle(flow, content, ts_us)

    def _hold(self, flow: Flow, size_bytes: int, ts_us: int) -> None:
        """Note bytes that wait for more; what has waited longest goes if they are too many."""
        holding = self._holding
        holding[flow] = holding.get(flow, 0) + size_bytes
        self._held_bytes += size_bytes
        while self._held_bytes > self._held_max:
            self.evicted += 1
            self._remove(next(iter(holding)), ts_us)

    def _settle(self, flow: Flow, content: Content, ts_us: int) -> None:
        """Tell what is spoken, if that is news, and drop what has nothing more to say."""
        name = content.app_protocol
        if name != flow.app_protocol:
            flow.app_protocol = name
            if self._is_live and name is not None:
                self._emit(ProtocolSeen(ts_us, flow.parties, name))
        if content.is_over:
            flow.drop_content()
            self._held_bytes -= self._holding.pop(flow, 0)

    def _add_datagram(self, packet: Packet, ts_us: int) -> None:
        flow = self._udp.get(packet.ends)
        if flow is None or flow.last_us + UDP_IDLE_US < ts_us:
            if flow is not None:
                self._close(flow, flow.last_us)
            flow = self._keep(Flow(packet, ts_us, reverse(packet.ends)), ts_us)
            flow.content = self._begin(flow.parties)
        flow.last_us = ts_us
        way = flow.client if packet.ends == flow.ends else flow.server
        way.payload_bytes += packet.payload_bytes
        content = flow.content
        if content is not None:
            content.feed(packet.payload, ts_us, from_client=way.from_client)
            self._settle(flow, content, ts_us)

    def _open_connection(self, packet: Packet, ts_us: int) -> Flow | None:
        """Begin a flow with a packet that is no mere SYN; None where nothing begins so."""
        ends, starts = packet.ends, self._starts
        back = reverse(ends)
        here, there = starts.pop(ends, None), starts.pop(back, None)
        if packet.flags & RST:
            return None  # an attempt has failed
        if here is there is None and any(
            self._find_closed(client, ts_us) is not None for client in (ends, back)
        ):
            return None  # late
        return self._keep(Flow(packet, ts_us, back, here=here, there=there), ts_us)

    def _keep(self, flow: Flow, ts_us: int) -> Flow:
        if len(self._flows) >= self._limit:
            self._evict(ts_us)
        flows = self._tcp if flow.protocol == TCP else self._udp
        flows[flow.ends] = flows[flow.back] = flow
        self._flows[flow] = None
        return flow

    def _close(self, flow: Flow, ts_us: int) -> None:
        """End a flow; of a connection only its ends are remembered, for late packets."""
        flow.closed_us = ts_us
        self._remove(flow, ts_us)
        if flow.protocol == TCP:
            if len(self._closed) >= self._limit // 2 + 1:
                self._forget_closed(ts_us)
            self._closed[flow.ends] = ts_us << _SEQUENCE_BITS | flow.server.first_sequence + 1

    def _forget_closed(self, ts_us: int) -> None:
        self._closed_before, self._closed = self._closed, {}
        self._closed_since_us = ts_us

    def _remove(self, flow: Flow, ts_us: int) -> None:
        """Tell of a flow and forget it."""
        if flow.content is not None:
            flow.end(ts_us)
        self._held_bytes -= self._holding.pop(flow, 0)
        if not self._is_live:
            self._emit(flow.seen())
        flows = self._tcp if flow.protocol == TCP else self._udp
        del self._flows[flow]
        self._ending.pop(flow, None)
        flows.pop(flow.ends, None)
        flows.pop(flow.back, None)

    def _evict(self, ts_us: int) -> None:
        """Make room: the oldest flow goes, unless it is busy and others are not."""
        for _ in range(_CHANCES):
            flow = next(iter(self._flows))
            if flow.last_us + _BUSY_US <= ts_us:
                break
            self._flows.move_to_end(flow)
        self.evicted += 1
        self._remove(flow, ts_us)

    def _sweep(self, ts_us: int) -> None:
        """End idle UDP flows; forget closed connections, and attempts that led to nothing."""
        self._sweep_us = ts_us + _SWEEP_US
        for ends, flow in list(self._udp.items()):
            if ends == flow.ends and flow.last_us + UDP_IDLE_US < ts_us:
                self._close(flow, flow.last_us)
        ending = self._ending
        while ending and next(iter(ending.values())) + LATE_US < ts_us:
            flow = next(iter(ending))
            self._close(flow, flow.last_us)
        if self._closed_since_us + CLOSED_KEEP_US < ts_us:
            self._forget_closed(ts_us)
        starts = self._starts
        while starts and next(iter(starts.values())).ts_us + ATTEMPT_US < ts_us:
            starts.popitem(last=False)
