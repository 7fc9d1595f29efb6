"""One flow: a TCP connection or UDP flow, as its packets show it.

In: its first packet, then what the flow table notes. Out: who is the client, what has been sent.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from agent.decode.dns import DNS_PORT
from agent.decode.facts import ConnectionSeen, Parties
from agent.decode.handshake import is_server_start
from agent.decode.packet import TCP, Packet, read_ends
from agent.decode.stream import HALF, SEQUENCE_MASK, Stream

TLS: Final = "tls"  # of contents: a handshake that goes on
_DNS = DNS_PORT.to_bytes(2, "big")


class Content(Protocol):
    """What wants the bytes of a flow."""

    @property
    def app_protocol(self) -> str | None:
        """Return what is spoken, once it is known."""
        ...

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more is wanted."""
        ...

    @property
    def limit_bytes(self) -> int | None:
        """Return how much of each direction is wanted; None for all."""
        ...

    def feed(self, data: bytes, ts_us: int, *, from_client: bool) -> None:
        """Take the next bytes of one direction, as they were sent."""
        ...

    def miss(self, ts_us: int, *, from_client: bool) -> None:
        """Note that nothing more comes of one direction: the limit is reached, or bytes lack."""
        ...

    def end(self, ts_us: int) -> None:
        """Note that the flow has ended, or is watched no longer."""
        ...


class Way:
    """One direction of a flow.

    Attributes:
        from_client: Whether it is the client's.
        first_sequence: Number of its SYN; -1 where that was not seen.
        next_sequence: Number of the byte behind the last one that was seen; -1 where none is known.
        end_sequence: Number behind its last byte, as its FIN says; -1 before that.
        payload_bytes: What was sent, each byte once.
        stream: Puts its bytes in order, while they are wanted.
    """

    __slots__ = (
        "end_sequence",
        "first_sequence",
        "from_client",
        "next_sequence",
        "payload_bytes",
        "stream",
    )

    def __init__(self, start: Start | None, *, from_client: bool) -> None:
        self.from_client = from_client
        if start is None:
            self.first_sequence = self.next_sequence = -1
        else:
            self.first_sequence = first = start[0]
            self.next_sequence = (first + 1) & SEQUENCE_MASK
        self.end_sequence = -1
        self.payload_bytes = 0
        self.stream: Stream | None = None

    @property
    def lacks_bytes(self) -> bool:
        """Whether bytes before its FIN were not seen, as far as its numbers tell."""
        behind = (self.end_sequence - self.next_sequence) & SEQUENCE_MASK
        return self.next_sequence >= 0 and 0 < behind < HALF


class Start(NamedTuple):
    """The SYN of one direction."""

    sequence: int
    ts_us: int
    is_answer: int
    """Not 0 if it is the server's."""


class Flow:
    """One TCP connection or UDP flow, from the first packet on that is more than an attempt.

    Attributes:
        ends: Those of the client's packets.
        back: Those of the server's.
        has_start: Its first packet was seen.
        is_silent: No payload was sent yet.
        is_ending: Both directions have sent their FIN.
        content: What wants its bytes; None before there are any, and once nothing does.
        app_protocol: What is spoken, as far as it is known.
    """

    __slots__ = (
        "app_protocol",
        "back",
        "client",
        "closed_us",
        "content",
        "ends",
        "has_start",
        "is_ending",
        "is_silent",
        "last_us",
        "opened_us",
        "parties",
        "protocol",
        "server",
    )

    def __init__(
        self,
        packet: Packet,
        ts_us: int,
        back: bytes,
        *,
        here: Start | None = None,
        there: Start | None = None,
    ) -> None:
        """Begin with a packet.

        Args:
            packet: The first one that was seen, but for SYNs.
            ts_us: When.
            back: Ends of the other direction.
            here: The SYN of the packet's direction, if it was seen.
            there: The SYN of the other direction.
        """
        protocol, ends = packet[0], packet[1]
        is_tcp = protocol == TCP
        first = here or there
        self.protocol = protocol
        self.opened_us = ts_us if first is None else min(first[1], (there or first)[1])
        self.last_us = ts_us
        self.closed_us: int | None = None
        self.has_start = first is not None or not is_tcp
        if _is_from_client(packet, here, there):
            self.ends, self.back = ends, back
        else:
            self.ends, self.back = back, ends
            here, there = there, here
        self.client = Way(here, from_client=True)
        self.server = Way(there, from_client=False)
        # Calling Parties itself would take twice as long.
        parties = ("tcp" if is_tcp else "udp", *read_ends(self.ends))
        self.parties: Parties = tuple.__new__(Parties, parties)
        self.app_protocol: str | None = None
        self.is_silent = True
        self.is_ending = False
        self.content: Content | None = None

    def way_of(self, ends: bytes) -> Way:
        """Return the direction of a packet."""
        return self.client if ends == self.ends else self.server

    def wants(self, way: Way) -> bool:
        """Return whether bytes of a direction that come now may still be read."""
        if self.content is None:
            return self.is_silent
        return way.stream is not None or not way.payload_bytes

    def end(self, ts_us: int) -> None:
        """Note that it has ended, or is watched no longer."""
        if self.content is not None:
            self.content.end(ts_us)
            self.app_protocol = self.content.app_protocol
            self.drop_content()

    def drop_content(self) -> None:
        """Hand out bytes no longer."""
        self.content = self.client.stream = self.server.stream = None

    def seen(self) -> ConnectionSeen:
        """Return what is known of it now."""
        return ConnectionSeen(
            parties=self.parties,
            opened_us=self.opened_us,
            closed_us=self.closed_us,
            has_start=self.has_start,
            client_bytes=self.client.payload_bytes,
            server_bytes=self.server.payload_bytes,
            app_protocol=self.app_protocol,
        )


def _is_from_client(packet: Packet, here: Start | None, there: Start | None) -> bool:
    """Tell whether a packet is the client's, as SYNs say.

    Where none was seen, only a ServerHello, or the port of a name server, tells that the client is
    not whoever sends the first packet.
    """
    if here is not None:
        return not here.is_answer
    if there is not None:
        return bool(there.is_answer)
    if packet.protocol != TCP:
        return packet.ends[-4:-2] != _DNS or packet.ends[-2:] == _DNS
    return packet.end == packet.begin or not is_server_start(packet.payload)
