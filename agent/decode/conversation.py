"""The content of one TCP connection: TLS at once or later on, or clear text, and what that says.

In: bytes of both directions, in order. Out: facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from agent.decode.facts import ContentSeen, HostCalled
from agent.decode.handshake import (
    SSL2_FIRST,
    Handshake,
    is_client_start,
    is_server_start,
    may_begin_hello,
)
from agent.decode.opening import Opening
from agent.decode.stream import STREAM_BYTES
from agent.decode.tls import HANDSHAKE
from agent.errors import DecodeError

if TYPE_CHECKING:
    from agent.decode.facts import Fact, Parties

ANSWER_TIMEOUT_US: Final = 5_000_000  # of a ClientHello


class Surroundings(Protocol):
    """What conversations need of the traffic that they are part of."""

    def emit(self, fact: Fact) -> None:
        """Take a fact."""
        ...

    def remind(self, due_us: int, conversation: Conversation) -> None:
        """Call ``time_out`` of a conversation at ``due_us``."""
        ...

    def name_of(self, address: str) -> str | None:
        """Return the name that a name server gave an address, if one did."""
        ...


class Conversation:
    """What both ends of one connection say, until nothing more is wanted.

    Attributes:
        parties: Client and server.
        app_protocol: What they speak, once it is known; TLS counts before what it hides.
        is_over: Nothing more is wanted.
    """

    __slots__ = (
        "_handshake",
        "_held",
        "_is_lost",
        "_is_opening",
        "_opening",
        "_surroundings",
        "app_protocol",
        "is_over",
        "parties",
    )

    limit_bytes: Final = STREAM_BYTES

    def __init__(self, parties: Parties, surroundings: Surroundings) -> None:
        self.parties = parties
        self.app_protocol: str | None = None
        self.is_over = False
        self._surroundings = surroundings
        self._handshake: Handshake | None = None
        self._opening: Opening | None = None
        self._is_opening = True
        self._held = [b"", b""]
        self._is_lost = [False, False]

    def feed(self, data: bytes, ts_us: int, *, from_client: bool) -> None:
        """Take the next bytes of one direction, as they were sent."""
        handshake = self._handshake
        if handshake is None:
            if not self._held[from_client] and HANDSHAKE != data[0] < SSL2_FIRST:
                self._feed_opening(data, ts_us, from_client=from_client)  # no hello begins so
                return
            joined = self._join(data, from_client=from_client)
            if not (is_client_start if from_client else is_server_start)(joined):
                self._feed_opening(data, ts_us, from_client=from_client)
                return
            data = joined
            handshake = self._begin(ts_us, from_client=from_client)
        if from_client:
            self._feed_client(handshake, data, ts_us)
        else:
            handshake.feed_server(data)
        self._settle(handshake, ts_us)

    def miss(self, ts_us: int, *, from_client: bool) -> None:
        """Note that bytes of one direction are missing, or more than are wanted."""
        self._is_lost[from_client] = True
        handshake = self._handshake
        if handshake is not None:
            if not from_client:
                handshake.miss()
            self._settle(handshake, ts_us)
        self.is_over = self.is_over or all(self._is_lost)

    def time_out(self, ts_us: int) -> None:
        """Note that the hello has waited long enough."""
        handshake = self._handshake
        if handshake is not None and not self.is_over and not handshake.is_answered:
            self._finish(handshake, ts_us)

    def end(self, ts_us: int) -> None:
        """Note that the connection has ended, or is watched no longer."""
        if self._handshake is not None and not self.is_over:
            self._finish(self._handshake, ts_us)
        self.is_over = True

    def _join(self, data: bytes, *, from_client: bool) -> bytes:
        """Put too few bytes to tell aside until more come, and before them when they do."""
        data = self._held[from_client] + data
        self._held[from_client] = data if may_begin_hello(data) else b""
        return data

    def _feed_opening(self, data: bytes, ts_us: int, *, from_client: bool) -> None:
        if not self._is_opening:
            return
        if self._opening is None:
            self._opening = Opening(self.parties.client_port)
        opening = self._opening
        opening.feed(data, from_client=from_client)
        self.app_protocol = opening.app_protocol
        if opening.is_over:
            self._opening, self._is_opening = None, False
            self.is_over = not opening.may_become_tls
            if opening.app_protocol == "http" and self.is_over:
                self._call(opening.host, ts_us, encrypted=False)

    def _begin(self, ts_us: int, *, from_client: bool) -> Handshake:
        """Begin a handshake, with what the other end has said of it already."""
        handshake = self._handshake = Handshake()
        self._opening, self._is_opening = None, False
        self.app_protocol = "tls"
        held, self._held = self._held, [b"", b""]
        if from_client:
            handshake.feed_server(held[False])
        elif held[True]:
            self._feed_client(handshake, held[True], ts_us)
        return handshake

    def _feed_client(self, handshake: Handshake, data: bytes, ts_us: int) -> None:
        was_asked = handshake.is_asked
        try:
            handshake.feed_client(data)
        except DecodeError:
            if not handshake.is_answered:  # it only looked like a hello
                self._handshake = None
                self.app_protocol = None
            return
        if handshake.is_asked and not was_asked:
            self._surroundings.remind(ts_us + ANSWER_TIMEOUT_US, self)
            name = handshake.offer.server_name if handshake.offer else None
            self._call(name, ts_us, encrypted=True)

    def _call(self, host: str | None, ts_us: int, *, encrypted: bool) -> None:
        """Tell which host the client calls: as it says, else by what name servers said."""
        host = host or self._surroundings.name_of(self.parties.server_address)
        if host is not None:
            self._surroundings.emit(HostCalled(ts_us, self.parties, host, encrypted=encrypted))

    def _settle(self, handshake: Handshake, ts_us: int) -> None:
        """Tell of the handshake if nothing more can be learnt.

        An answer may be captured before its hello: then the hello still comes.
        """
        if handshake.is_over and (handshake.is_asked or self._is_lost[True]):
            self._finish(handshake, ts_us)

    def _finish(self, handshake: Handshake, ts_us: int) -> None:
        self.is_over = True
        if handshake.is_asked or handshake.is_answered:
            columns = handshake.columns()
            self._surroundings.emit(ContentSeen("tls_session", ts_us, self.parties, columns))
