"""The content of flows whose protocol is known by their port: DNS, and the metadata service.

In: bytes of both directions, in order; of UDP one datagram at a time. Out: facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.decode.dns import read_dns
from agent.decode.facts import ContentSeen
from agent.decode.http import RequestReader, imds_columns
from agent.decode.protocols import recognise_datagram
from agent.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.decode.dns import DnsMessage
    from agent.decode.facts import Fact, Parties

_LENGTH_BYTES: Final = 2
_DATAGRAMS_MAX: Final = 8  # of a flow that are looked at
_SAME_US: Final = 1_000_000  # between two sights of one datagram
_STREAM_BYTES: Final = 1_000_000  # of DNS answers over TCP, so that zone transfers end


class _Content:
    """What the contents here share.

    Attributes:
        app_protocol: What is spoken, once it is known.
        is_over: Nothing more is wanted.
    """

    __slots__ = ("_emit", "_parties", "app_protocol", "is_over")

    def __init__(self, parties: Parties, emit: Callable[[Fact], None]) -> None:
        self.app_protocol: str | None = None
        self.is_over = False
        self._parties = parties
        self._emit = emit

    def miss(self, ts_us: int, *, from_client: bool) -> None:
        """Note that nothing more comes of one direction."""
        del ts_us, from_client

    def end(self, ts_us: int) -> None:
        """Note that the flow has ended."""
        del ts_us


class ImdsContent(_Content):
    """Requests to the instance metadata service, on one connection."""

    __slots__ = ("_requests",)

    limit_bytes: Final = None

    def __init__(self, parties: Parties, emit: Callable[[Fact], None]) -> None:
        super().__init__(parties, emit)
        self._requests = RequestReader()

    def feed(self, data: bytes, ts_us: int, *, from_client: bool) -> None:
        """Take the next bytes; the service's answers are passed over."""
        if not from_client:
            return
        try:
            requests = self._requests.feed(data)
        except DecodeError:
            self.is_over = True
            return
        for request in requests:
            self.app_protocol = "http"
            columns = imds_columns(request)
            self._emit(ContentSeen("imds_request", ts_us, self._parties, columns))

    def miss(self, ts_us: int, *, from_client: bool) -> None:
        """Stop if requests are missing."""
        del ts_us
        self.is_over = self.is_over or from_client


class _DnsContent(_Content):
    """DNS answers; each record is a fact."""

    __slots__ = ("_learn",)

    def __init__(
        self,
        parties: Parties,
        emit: Callable[[Fact], None],
        learn: Callable[[DnsMessage], None],
    ) -> None:
        """Begin.

        Args:
            parties: Who asks, and the name server.
            emit: Takes facts.
            learn: Takes each response.
        """
        super().__init__(parties, emit)
        self._learn = learn

    def _take(self, message: bytes, ts_us: int) -> None:
        try:
            read = read_dns(message)
        except DecodeError:
            return
        self.app_protocol = "dns"
        if not read.is_response:
            return
        self._learn(read)
        for answer in read.answers:
            values = {"name": read.name, "type": answer.type, "ttl_s": answer.ttl_s}
            if answer.address is not None:
                values["address"] = answer.address
            self._emit(ContentSeen("dns_answer", ts_us, self._parties, values))


class DnsDatagrams(_DnsContent):
    """DNS over UDP. A datagram that passes several interfaces of this host counts once."""

    __slots__ = ("_latest", "_latest_us")

    limit_bytes: Final = None

    def __init__(
        self,
        parties: Parties,
        emit: Callable[[Fact], None],
        learn: Callable[[DnsMessage], None],
    ) -> None:
        super().__init__(parties, emit, learn)
        self._latest = b""
        self._latest_us = 0

    def feed(self, data: bytes, ts_us: int, *, from_client: bool) -> None:
        """Take the next datagram."""
        del from_client
        if data == self._latest and ts_us - self._latest_us < _SAME_US:
            return
        self._latest, self._latest_us = data, ts_us
        self._take(data, ts_us)


class DnsStream(_DnsContent):
    """DNS over TCP: each message has its length in front."""

    __slots__ = ("_received",)

    limit_bytes: Final = _STREAM_BYTES

    def __init__(
        self,
        parties: Parties,
        emit: Callable[[Fact], None],
        learn: Callable[[DnsMessage], None],
    ) -> None:
        super().__init__(parties, emit, learn)
        self._received = bytearray()

    def feed(self, data: bytes, ts_us: int, *, from_client: bool) -> None:
        """Take the next bytes; questions are passed over."""
        if from_client:
            return
        received = self._received
        received += data
        while len(received) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(received[:_LENGTH_BYTES], "big")
            if len(received) < end:
                return
            self._take(bytes(received[_LENGTH_BYTES:end]), ts_us)
            del received[:end]


class FirstDatagrams(_Content):
    """The first datagrams of any other UDP flow, for its protocol."""

    __slots__ = ("_seen",)

    limit_bytes: Final = None

    def __init__(self, parties: Parties, emit: Callable[[Fact], None]) -> None:
        super().__init__(parties, emit)
        self._seen = 0

    def feed(self, data: bytes, ts_us: int, *, from_client: bool) -> None:
        """Take the next datagram."""
        del ts_us, from_client
        self._seen += 1
        self.app_protocol = recognise_datagram(data)
        self.is_over = self.app_protocol is not None or self._seen == _DATAGRAMS_MAX
