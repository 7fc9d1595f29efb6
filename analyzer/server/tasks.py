"""The server: one TaskGroup that runs the broker link, ingest and the run clock.

In: a store, a data folder, a broker's address. Out: runs that go through their states, agents that
know what is wanted of them, and results in the store. It holds nothing that its log and store do
not: killed at any moment, it goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec

from analyzer.arns import Arns
from analyzer.assessments import Assessments
from analyzer.data_folder import DataFolder
from analyzer.errors import AnalyzerError
from analyzer.ingest.accept import Acceptor
from analyzer.ingest.mqtt import BrokerAddress, Message, MqttLink
from analyzer.ingest.receive import Receiver
from analyzer.runs.clock import RunClock
from analyzer.runs.heartbeat import Offsets, agent_of, parse_status
from analyzer.server.pace import Pace
from rules.telemetry import topics

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path
    from random import Random

    from analyzer.assessments import Limits
    from analyzer.ingest.receive import Stored
    from analyzer.model import Agent
    from analyzer.store import Store
    from rules.loader import Package
    from rules.telemetry import Clock

_LOG = logging.getLogger(__name__)
_MAX_LOGGED = 1_000  # different problems that are told apart; a flood of them is not logged
_CLIENT_ID = "proctor-analyzer"  # its session at the broker keeps what comes while it is away


class Server:
    """Everything that the analyzer does between the broker and the store."""

    def __init__(
        self,
        *,
        store: Store,
        data: Path,
        broker: BrokerAddress,
        packages: list[Package],
        clock: Clock,
        rng: Random,
        arns: Arns | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Connect the parts; nothing happens before ``run``."""
        self._store = store
        self._clock = clock
        self._agents: dict[str, Agent] = {}
        self._offsets = Offsets()
        self._control: dict[str, bytes] = {}
        self._logged: set[str] = set()
        self._pace = Pace()
        filters = (topics.TELEMETRY_FILTER, topics.STATUS_FILTER)
        self.link = MqttLink(broker, client_id=_CLIENT_ID, filters=filters, rng=rng)
        acceptor = Acceptor()
        self.run_clock = RunClock(
            store=store,
            folder=DataFolder(data).runs,
            packages=packages,
            acceptor=acceptor,
            clock=clock,
            arns=arns,
            limits=limits,
        )
        self._assessments = Assessments(
            store, arns=arns or Arns(), packages=packages, clock=clock, limits=limits
        )
        self.receiver = Receiver(
            acceptor=acceptor,
            clock=clock,
            windows=self.run_clock.windows,
            log_of=self.run_clock.log_of,
            on_stored=self._take,
            acknowledge=self._acknowledge,
        )

    async def run(self) -> None:
        """Serve until cancelled."""
        for agent in await self._store.agents():
            self._agents[agent.agent_id] = agent
        await self.run_clock.resume()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.receiver.run(), name="server.ingest")
            group.create_task(self._keep_time(), name="server.run_clock")
            group.create_task(self.link.run(self._handle), name="server.link")

    def _take(self, stored: Stored) -> None:
        self.run_clock.on_stored(stored)
        self._pace.hurry()

    async def _keep_time(self) -> None:
        while True:
            begin_s = self._clock.monotonic_s()
            await self._try("run clock", self.run_clock.tick(self._agents))
            self._send_control()
            await self._try("previews", self._assessments.make_previews())
            await self._pace.rest(worked_s=self._clock.monotonic_s() - begin_s)

    async def _try(self, subject: str, work: Awaitable[None]) -> None:
        """Do work; where the disk or the database refuses for now, the next tick tries again."""
        try:
            await work
        except AnalyzerError as error:
            self._log_once("server.tick_failed", subject, error)

    async def _handle(self, message: Message) -> None:
        agent_id = topics.parse_status(message.topic)
        if agent_id is None:
            await self.receiver.handle(message.topic, message.payload)
            return
        try:
            await self._heartbeat(agent_id, message)
        except AnalyzerError as error:
            self._log_once("server.status_refused", agent_id, error)

    async def _heartbeat(self, agent_id: str, message: Message) -> None:
        status = parse_status(agent_id, message.payload)
        known = self._agents.get(agent_id)
        now_us = self._clock.now_us()
        if message.is_retained:  # an old word: it shows neither the time nor the clock offset
            seen_us, offset_us = min(status.now_us, now_us), self._offsets.of(agent_id)
        else:
            seen_us = now_us
            offset_us = self._offsets.measure(agent_id, sent_us=status.now_us, received_us=now_us)
        agent = agent_of(status, known=known, seen_us=seen_us, offset_us=offset_us)
        self._agents[agent_id] = agent
        await self._store.put_agent(agent)
        if known is None or known.boot_id != agent.boot_id:
            self._acknowledge(agent_id)

    def _acknowledge(self, agent_id: str) -> None:
        payload = self.receiver.acceptor.acknowledgement(agent_id)
        self.link.send(topics.ack_topic(agent_id), msgspec.json.encode(payload))

    def _send_control(self) -> None:
        wanted = self.run_clock.wanted()
        for agent_id in sorted(self._agents.keys() | wanted.keys()):
            payload = msgspec.json.encode({"format": 1, "runs": wanted.get(agent_id, [])})
            if self._control.get(agent_id) != payload:
                self._control[agent_id] = payload
                self.link.send(topics.control_topic(agent_id), payload, retain=True)

    def _log_once(self, event: str, subject: str, error: Exception) -> None:
        text = f"{event} {subject} {error}"
        if text not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(text)
            _LOG.warning(event, extra={"subject": subject, "reason": str(error)})
