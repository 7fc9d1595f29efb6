"""Publish: batches from the spool to the broker, until the analyzer says that it has them.

In: the spool; acks and control messages from the broker. Out: telemetry in order with QoS 1, and a
retained heartbeat. A session that breaks is opened anew after a wait with full jitter, and then
everything that is not acknowledged goes out again, in order: duplicates are allowed, losses not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from agent.acks import AckMessage, InFlight, parse_acks
from agent.config import Settings
from agent.control import Control
from agent.errors import AckError, SinkError, SpoolError
from agent.sinks import Message, Session, Sink
from agent.spool import Spool, Spooled
from rules.telemetry import topics
from rules.telemetry.clock import Clock
from rules.telemetry.records import Position

READ_AHEAD: Final = 8  # batches taken from the spool at once
FIRST_PAUSE_S: Final = 0.5  # ceiling of the first wait; it doubles from attempt to attempt
LEAST_PAUSE_S: Final = (
    0.1  # what the MQTT client still has to do for the old socket is done by then
)
SOUND_S: Final = 5.0  # a session that lived so long starts the waits anew
SPOOL_RETRY_S: Final = 1.0
FIRST_ASK_S: Final = 1.0  # after connecting, until control is asked for once more
MAX_TOLD: Final = 100  # different troubles that are logged; after that they are only counted

_LOG = logging.getLogger(__name__)

State = Literal["online", "offline"]


@dataclass(slots=True)
class LinkStats:
    """How it goes with the broker and the analyzer, since the agent started."""

    is_connected: bool = False
    sessions: int = 0
    sent: int = 0
    """Batches, each time they went out."""
    silences: int = 0
    """Times that everything was sent again because no ack came."""
    rejected: int = 0
    refused_acks: int = 0
    """Messages on the ack topic that were no acks."""
    last_ack_us: int | None = None
    problem: str = ""
    """Why there is no session; empty while there is one."""


def pause_s(attempt: int, *, ceiling_s: float, rng: Random) -> float:
    """Return how long to wait before an attempt: anything up to a bound that doubles each time."""
    bound = min(ceiling_s, FIRST_PAUSE_S * 2 ** min(attempt, 32))
    return rng.uniform(min(LEAST_PAUSE_S, bound), bound)


class Publisher:
    """Keeps a session with the broker and moves the spool through it."""

    def __init__(
        self,
        *,
        sink: Sink,
        spool: Spool,
        agent_id: str,
        settings: Settings,
        control: Control,
        on_control: Callable[[], None],
        on_link: Callable[[], None],
        status: Callable[[State], Awaitable[bytes]],
        clock: Clock,
        rng: Random,
    ) -> None:
        """Connect the parts.

        Args:
            sink: The broker.
            spool: Where batches wait.
            agent_id: Whose topics these are.
            settings: Times and limits.
            control: Takes what comes on the control topic.
            on_control: Told when it changed.
            on_link: Told when a session begins or ends.
            status: Returns the heartbeat's payload.
            clock: For timeouts and the time of the last ack.
            rng: For the jitter of waits.
        """
        self.stats = LinkStats()
        self._sink = sink
        self._spool = spool
        self._settings = settings
        self._control = control
        self._on_control = on_control
        self._on_link = on_link
        self._status = status
        self._clock = clock
        self._rng = rng
        self._telemetry_topic = topics.telemetry_topic(agent_id)
        self._ack_topic = topics.ack_topic(agent_id)
        self._control_topic = topics.control_topic(agent_id)
        self._status_topic = topics.status_topic(agent_id)
        self._in_flight = InFlight(limit=settings.in_flight, timeout_s=settings.ack_timeout_s)
        self._position: Position | None = None  # of the last batch that was sent
        self._has_newer_control = False  # than the retained one, since that was asked for
        self._sending_bytes = 0  # of the batch that is on its way to the broker
        self._work = asyncio.Event()
        self._status_changed = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._stopping = asyncio.Event()
        self._told: set[tuple[str, str]] = set()

    def wake(self) -> None:
        """Say that the spool holds something new."""
        self._is_empty.clear()
        self._work.set()

    def announce(self) -> None:
        """Say that the status has changed, so that the heartbeat goes out at once."""
        self._status_changed.set()

    async def run(self) -> None:
        """Hold a session open, whatever happens to the broker, until ``stop``."""
        attempt = 0
        while not self._stopping.is_set():
            began_s = self._clock.monotonic_s()
            try:
                await self._hold_session()
            except* SinkError as group:
                self._note_loss(group)
            if self._clock.monotonic_s() - began_s >= SOUND_S:
                attempt = 0
            ceiling_s = self._settings.reconnect_max_s
            pause = pause_s(attempt, ceiling_s=ceiling_s, rng=self._rng)
            await _wait(self._stopping, timeout_s=pause)
            attempt += 1

    async def drain(self) -> None:
        """Return when the analyzer has everything; at once where no broker is connected."""
        self.wake()
        if self.stats.is_connected:
            await self._is_empty.wait()

    def stop(self) -> None:
        """Say goodbye to the broker and let ``run`` return."""
        self._stopping.set()

    async def _hold_session(self) -> None:
        will = Message(self._status_topic, await self._status("offline"))
        wanted = (self._ack_topic, self._control_topic)
        async with self._sink.open(topics=wanted, will=will) as session:
            self._begin()
            try:
                await self._serve(session)
            finally:
                self.stats.is_connected = False
                self._on_link()

    def _begin(self) -> None:
        self._position = None  # whatever the last session sent may be lost: all of it once more
        self._sending_bytes = 0
        self._has_newer_control = False
        self._in_flight.clear()
        self.stats.is_connected = True
        self.stats.sessions += 1
        self.stats.problem = ""
        self._on_link()
        _LOG.info("link.up", extra={"broker": self._settings.broker_url})

    async def _serve(self, session: Session) -> None:
        # The reader is what notices a dead broker; its error cancels whoever is publishing.
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._read(session), name="agent.read"),
                group.create_task(self._send(session), name="agent.send"),
                group.create_task(self._beat(session), name="agent.heartbeat"),
                group.create_task(self._ask(session), name="agent.ask"),
            ]
            await self._stopping.wait()
            await session.publish(self._status_topic, await self._status("offline"), retain=True)
            for task in tasks:
                task.cancel()

    async def _read(self, session: Session) -> None:
        async with contextlib.aclosing(session.messages()) as messages:
            async for message in messages:
                if message.topic == self._ack_topic:
                    await self._take_acks(message.payload)
                elif message.topic == self._control_topic:
                    self._take_control(message)

    def _take_control(self, message: Message) -> None:
        if message.is_retained and self._has_newer_control:
            return  # nats-server sometimes hands out the old one after the new one
        self._has_newer_control = not message.is_retained
        if self._control.update(message.payload):
            self._on_control()

    async def _take_acks(self, payload: bytes) -> None:
        try:
            message = parse_acks(payload)
        except AckError as error:
            self.stats.refused_acks += 1
            self._tell_once("ack.refused", str(error))
            return
        await asyncio.to_thread(self._free, message)
        now_s = self._clock.monotonic_s()
        self.stats.last_ack_us = self._clock.now_us()
        self.stats.rejected += len(message.rejected)
        for rejected in message.rejected:
            self._tell_once("batch.rejected", rejected.reason)
        self._in_flight.settle(message, now_s=now_s)
        self._work.set()

    def _free(self, message: AckMessage) -> None:
        for boot_id, stream, sequence, _ in message.rejected:
            self._spool.reject(boot_id, stream, sequence)
        self._spool.free(message.acked)

    async def _send(self, session: Session) -> None:
        while True:
            self._work.clear()
            self._hear_silence()
            found = await self._next()
            for position, entry in found:
                batch = (entry.boot_id, entry.stream, entry.sequence)
                self._in_flight.send(batch, now_s=self._clock.monotonic_s())
                self._sending_bytes = len(entry.payload)
                await session.publish(self._telemetry_topic, entry.payload)
                self._sending_bytes = 0
                self._position = position
                self.stats.sent += 1
            if not found:
                await self._wait_for_work()

    async def _next(self) -> list[Spooled]:
        room = min(self._in_flight.room, READ_AHEAD)
        if room <= 0:
            return []
        try:
            found = await asyncio.to_thread(self._spool.pending, after=self._position, limit=room)
        except SpoolError as error:
            self._tell_once("spool.unreadable", str(error))
            await asyncio.sleep(SPOOL_RETRY_S)
            self._work.set()
            return []
        if not found and not len(self._in_flight) and not self._work.is_set():
            self._is_empty.set()
        return found

    def _hear_silence(self) -> None:
        remaining_s = self._in_flight.remaining_s(self._clock.monotonic_s())
        if remaining_s is not None and remaining_s <= 0:
            _LOG.warning("ack.silence", extra={"batches": len(self._in_flight)})
            self.stats.silences += 1
            self._in_flight.give_up()
            self._position = None

    async def _wait_for_work(self) -> None:
        now_s = self._clock.monotonic_s()
        await _wait(self._work, timeout_s=self._in_flight.remaining_s(now_s))

    async def _beat(self, session: Session) -> None:
        while True:
            self._status_changed.clear()
            await session.publish(self._status_topic, await self._status("online"), retain=True)
            await _wait(self._status_changed, timeout_s=self._settings.heartbeat_interval_s)

    async def _ask(self, session: Session) -> None:
        # What is said while a broker takes up a subscription can be lost: nats-server, 7 in 900.
        wait_s = FIRST_ASK_S
        while True:
            await asyncio.sleep(wait_s)
            self._has_newer_control = False
            await session.ask(self._control_topic)
            wait_s = self._settings.heartbeat_interval_s

    def _note_loss(self, group: BaseExceptionGroup[SinkError]) -> None:
        problem = str(_first(group))
        if self._sending_bytes:
            # A broker that is sent more than it allows just hangs up, again and again.
            problem += f", while it was sent a batch of {self._sending_bytes} bytes"
        if problem != self.stats.problem:
            _LOG.warning("link.down", extra={"why": problem})
            self.stats.problem = problem
            self._on_link()

    def _tell_once(self, event: str, why: str) -> None:
        if (event, why) not in self._told and len(self._told) < MAX_TOLD:
            self._told.add((event, why))
            _LOG.warning(event, extra={"why": why})


async def _wait(event: asyncio.Event, *, timeout_s: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


def _first(group: BaseExceptionGroup[SinkError]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
