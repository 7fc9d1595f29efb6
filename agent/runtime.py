"""Runtime: the whole agent in one task group, from sensors to the broker, with a graceful stop.

In: what a program opens for it. Out: nothing, until it is told to stop. Three tasks: ``record``
(wishes → collector → batches → spool), ``publish`` (spool → broker, acks, control, heartbeat) and
``status`` (the file that ``proctor-agent status`` reads). Only asyncio's own event loop will do:
on uvloop the MQTT client may miss that its broker is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

import msgspec

from agent.batching import Batcher, Limits
from agent.config import Settings
from agent.control import Control
from agent.identity import Identity
from agent.publish import Publisher, State
from agent.recorder import Recorder
from agent.sinks import Sink
from agent.spool import Spool
from agent.status import (
    Heartbeat,
    HostDescription,
    LocalStatus,
    SensorStatus,
    SpoolStatus,
    encode_heartbeat,
    process_start,
    write_status,
)
from rules.telemetry.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.collect import Collector

STATUS_S: Final = 30.0  # between two writes of the status file while nothing changes
GOODBYE_S: Final = 5.0  # longest wait for the broker to take the last heartbeat

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an agent is made of: opened by a program, or by a test in its place."""

    settings: Settings
    identity: Identity
    collector: Collector
    spool: Spool
    sink: Sink
    clock: Clock
    rng: Random
    describe: Callable[[], HostDescription] = HostDescription
    """Tells what the host is, for the heartbeat."""


class Agent:
    """One agent; ``run`` it once.

    Attributes:
        control: What the analyzer wants, as far as it has been heard.
    """

    def __init__(self, parts: Parts) -> None:
        """Connect the parts."""
        settings, identity = parts.settings, parts.identity
        self._parts = parts
        self._process_start: int | None = None
        self._started_us = parts.clock.now_us()
        self.control = Control()
        self._changed = asyncio.Event()
        limits = Limits(
            max_events=settings.batch_max_events,
            max_age_s=settings.batch_max_age_s,
            idle_age_s=settings.batch_idle_age_s,
        )
        self._publisher = Publisher(
            sink=parts.sink,
            spool=parts.spool,
            agent_id=identity.agent_id,
            settings=settings,
            control=self.control,
            on_control=self._hear_control,
            on_link=self._changed.set,
            status=self._heartbeat,
            clock=parts.clock,
            rng=parts.rng,
        )
        self._recorder = Recorder(
            control=self.control,
            collector=parts.collector,
            batcher=Batcher(agent_id=identity.agent_id, boot_id=identity.boot_id, limits=limits),
            spool=parts.spool,
            clock=parts.clock,
            drain_interval_s=settings.drain_interval_s,
            longest_wait_s=settings.batch_max_age_s,
            on_stored=self._publisher.wake,
            on_change=self._tell_change,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then flush, wait a little for the acks, and say goodbye."""
        self._process_start = await asyncio.to_thread(process_start, os.getpid())
        _LOG.info("agent.start", extra={"agent_id": self._parts.identity.agent_id})
        async with asyncio.TaskGroup() as group:
            publishing = group.create_task(self._publisher.run(), name="agent.publish")
            recording = group.create_task(self._recorder.run(), name="agent.record")
            reporting = group.create_task(self._report(), name="agent.status")
            await stop.wait()
            self._recorder.stop()
            await asyncio.wait([recording])
            await self._part_with(publishing)
            reporting.cancel()
        await self._write_status()
        waiting = await asyncio.to_thread(self._parts.spool.stats)
        _LOG.info("agent.stop", extra={"batches": waiting.batches})

    async def _part_with(self, publishing: asyncio.Task[None]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._parts.settings.stop_timeout_s):
                await self._publisher.drain()
        self._publisher.stop()
        await asyncio.wait([publishing], timeout=GOODBYE_S)
        publishing.cancel()

    def _hear_control(self) -> None:
        self._recorder.hear()
        self._changed.set()

    def _tell_change(self) -> None:
        self._publisher.announce()
        self._changed.set()

    async def _heartbeat(self, state: State) -> bytes:
        return encode_heartbeat(await self._say(state))

    async def _say(self, state: str) -> Heartbeat:
        identity = self._parts.identity
        sensors = await self._recorder.reports()
        spool, host = await asyncio.to_thread(
            lambda: (self._parts.spool.stats(), self._parts.describe())
        )
        return Heartbeat(
            agent_id=identity.agent_id,
            boot_id=identity.boot_id,
            state=state,
            now_us=self._parts.clock.now_us(),
            hostname=identity.hostname,
            version=identity.version,
            tags=dict(identity.tags),
            os_name=host.os_name,
            kernel_release=host.kernel_release,
            interfaces=host.interfaces,
            collecting=bool(self._recorder.wanted),
            throttled=self._recorder.is_throttled,
            sensors=tuple(
                msgspec.convert(each, SensorStatus, from_attributes=True) for each in sensors
            ),
            spool=SpoolStatus(**asdict(spool)),
        )

    async def _report(self) -> None:
        while True:
            self._changed.clear()
            await self._write_status()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_S):
                    await self._changed.wait()

    async def _write_status(self) -> None:
        link, wanted = self._publisher.stats, self._recorder.wanted
        status = LocalStatus(
            heartbeat=await self._say("online" if link.is_connected else "offline"),
            pid=os.getpid(),
            pid_started=self._process_start or 0,
            started_us=self._started_us,
            endpoint=self._parts.settings.broker_url,
            is_connected=link.is_connected,
            problem=link.problem,
            runs=wanted.runs,
            kinds=tuple(sorted(wanted.kinds)),
            until_us=wanted.until_us or None,
            last_ack_us=link.last_ack_us,
            sent_batches=link.sent,
            rejected_batches=link.rejected,
            refused_messages=link.refused_acks + self.control.refused,
            failures=self._recorder.failures,
        )
        try:
            await asyncio.to_thread(write_status, Path(self._parts.settings.state_dir), status)
        except OSError as error:
            _LOG.warning("status.unwritten", extra={"why": str(error)})
