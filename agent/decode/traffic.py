"""Traffic: everything that the decoders make of a sequence of packets.

In: frames with their time, of one capture. Out: facts, in the order in which they became certain;
and counts of what could not be decoded.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from agent.decode.contents import DnsDatagrams, DnsStream, FirstDatagrams, ImdsContent
from agent.decode.conversation import Conversation
from agent.decode.dns import DNS_PORT
from agent.decode.flow_table import MAX_FLOWS, FlowTable
from agent.decode.http import IMDS_ADDRESSES, IMDS_PORT
from agent.decode.packet import Link, Packet, Skipped, read_packet

if TYPE_CHECKING:
    from agent.decode.dns import DnsMessage
    from agent.decode.facts import Fact, Parties
    from agent.decode.flow import Content

EVICTED: Final = "evicted"
GAP: Final = "gap"
MAX_NAMES: Final = 8_192  # addresses whose name is remembered; the oldest are forgotten


class Traffic:
    """The traffic of one capture, or of one network interface.

    Attributes:
        packets: Frames that were TCP or UDP.
        skipped: Frames that were not, by reason.
    """

    def __init__(self, *, max_flows: int = MAX_FLOWS, is_live: bool = False) -> None:
        """Start empty.

        Args:
            max_flows: Most flows at a time.
            is_live: Whether protocols are told while connections last, and connections are not.
        """
        self.packets = 0
        self.skipped: Counter[Skipped] = Counter()
        self._facts: list[Fact] = []
        self._flows = FlowTable(self._begin, self.emit, limit=max_flows, is_live=is_live)
        self._names: dict[str, str] = {}
        self._due: deque[tuple[int, Conversation]] = deque()

    def add(self, frame: bytes, link: Link | None, ts_us: int) -> None:
        """Take the next frame.

        Args:
            frame: All that was captured of it.
            link: How it begins; None where that is not known.
            ts_us: When it was captured.
        """
        packet = Skipped.LINK if link is None else read_packet(frame, link)
        if not isinstance(packet, Packet):
            self.skipped[packet] += 1
            return
        self.packets += 1
        if self._due and self._due[0][0] <= ts_us:
            self.pass_time(ts_us)
        self._flows.add(packet, ts_us)

    def pass_time(self, now_us: int) -> None:
        """Note what time it is, though no packet came."""
        while self._due and self._due[0][0] <= now_us:
            due_us, conversation = self._due.popleft()
            conversation.time_out(due_us)

    def drain(self) -> list[Fact]:
        """Return the facts since the last call."""
        facts = self._facts[:]
        self._facts.clear()
        return facts

    def end(self, ts_us: int) -> None:
        """Note that no packets follow; flows that have not ended stay open."""
        self.pass_time(ts_us)
        self._flows.end(ts_us)

    @property
    def lost(self) -> Counter[str]:
        """Return how much is missing from the facts, by cause."""
        lost = Counter(
            {
                str(reason): count
                for reason, count in self.skipped.items()
                if reason is not Skipped.OTHER
            }
        )
        lost[EVICTED] = self._flows.evicted
        lost[GAP] = self._flows.gaps
        return +lost

    def emit(self, fact: Fact) -> None:
        """Take a fact, for ``drain``."""
        self._facts.append(fact)

    def remind(self, due_us: int, conversation: Conversation) -> None:
        """Call ``time_out`` of a conversation once that time has come."""
        self._due.append((due_us, conversation))

    def name_of(self, address: str) -> str | None:
        """Return the name that a name server gave an address last, if one did."""
        return self._names.get(address)

    def _begin(self, parties: Parties) -> Content | None:
        if parties.protocol == "udp":
            if parties.server_port == DNS_PORT:
                return DnsDatagrams(parties, self.emit, self._learn)
            return FirstDatagrams(parties, self.emit)
        if parties.server_port == DNS_PORT:
            return DnsStream(parties, self.emit, self._learn)
        if parties.server_port == IMDS_PORT and parties.server_address in IMDS_ADDRESSES:
            return ImdsContent(parties, self.emit)
        return Conversation(parties, self)

    def _learn(self, response: DnsMessage) -> None:
        for answer in response.answers:
            if answer.address is not None:
                self._names.pop(answer.address, None)
                self._names[answer.address] = response.name
        while len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]
