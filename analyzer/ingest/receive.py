"""Ingest: telemetry messages → checked batches → segment log → ack, in groups.

In: messages as they arrive. Out: batches that are durable, handed on in the order of the log, and
a word to the agent about each. Nothing is acknowledged before it is on disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from analyzer.errors import SegmentWriteError
from analyzer.ingest.segments import SegmentRecord
from rules.errors import WireError
from rules.telemetry.topics import parse_telemetry
from rules.telemetry.wire import decode_any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analyzer.ingest.accept import Acceptor, RunWindow
    from rules.telemetry import Batch, Clock

_LOG = logging.getLogger(__name__)
QUEUE_BATCHES = 256  # waiting for the disk; then the broker waits too
GROUP_BATCHES = 64  # written under one fsync
_INLINE_BYTES = 65_536  # a larger message is decoded beside the event loop
_DISK_RETRY_S = 1.0


class RunLog(Protocol):
    """Where the batches of one run become durable."""

    def append_many(self, records: Sequence[SegmentRecord]) -> int:
        """Return the file that holds every record durably.

        Raises:
            SegmentWriteError: None is kept.
        """
        ...


class Stored(NamedTuple):
    """A durable batch, and the place in which run's log it has."""

    run_id: str
    batch: Batch
    segment: int
    """Number of the file."""
    sha256: bytes
    """Of the payload as it came."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    batch: Batch
    payload: bytes
    runs: tuple[str, ...]
    received_us: int
    sha256: bytes


class Receiver:
    """Takes telemetry messages; ``run`` writes them, ``handle`` is given to the link."""

    def __init__(
        self,
        *,
        acceptor: Acceptor,
        clock: Clock,
        windows: Callable[[], Mapping[str, RunWindow]],
        log_of: Callable[[str], RunLog],
        on_stored: Callable[[Stored], None],
        acknowledge: Callable[[str], None],
    ) -> None:
        """Connect the parts.

        Args:
            acceptor: Decides, and keeps the counts.
            clock: Time of arrival.
            windows: The runs that take telemetry now.
            log_of: The log of a run.
            on_stored: Told of each durable batch, in the order of the log.
            acknowledge: Asked to send an agent its acks.
        """
        self.acceptor = acceptor
        self.problem = ""
        """Why nothing can be written at present; empty when all is well."""
        self._clock = clock
        self._windows = windows
        self._log_of = log_of
        self._on_stored = on_stored
        self._acknowledge = acknowledge
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_BATCHES)
        self._logged: set[str] = set()

    async def handle(self, topic: str, payload: bytes) -> None:
        """Check one telemetry message and queue it for the disk; waits while the queue is full."""
        place = parse_telemetry(topic)
        if place is None:
            self._refuse("topic", topic)
            return
        agent_id = place[1]
        try:
            batch = await self._decode(payload)
        except WireError as error:
            self._refuse(f"wire_{error.reason}", f"{agent_id}: {error}")
            return
        now_us = self._clock.now_us()
        decision = self.acceptor.decide(agent_id, batch.header, runs=self._windows(), now_us=now_us)
        if decision.runs:
            sha256 = hashlib.sha256(payload).digest()
            await self._queue.put(_Waiting(batch, payload, decision.runs, now_us, sha256))
            return
        if decision.reason is not None:
            self._log_once(decision.reason, agent_id)
        self._acknowledge(agent_id)

    async def run(self) -> None:
        """Write what is queued, group after group; ends only by cancellation."""
        while True:
            group = [await self._queue.get()]
            while len(group) < GROUP_BATCHES and not self._queue.empty():
                group.append(self._queue.get_nowait())
            await self._write(group)

    async def _decode(self, payload: bytes) -> Batch:
        if len(payload) <= _INLINE_BYTES:
            return decode_any(payload)
        return await asyncio.to_thread(decode_any, payload)

    async def _write(self, group: list[_Waiting]) -> None:
        try:
            for run_id in dict.fromkeys(run_id for waiting in group for run_id in waiting.runs):
                await self._append(run_id, [item for item in group if run_id in item.runs])
        except SegmentWriteError as error:
            await self._give_back(group, error)
            return
        if self.problem:
            _LOG.warning("ingest.writing_again", extra={"after": self.problem})
            self.problem = ""
        for waiting in group:
            self.acceptor.stored(waiting.batch.header)
        for agent_id in {waiting.batch.header.agent_id for waiting in group}:
            self._acknowledge(agent_id)

    async def _append(self, run_id: str, group: list[_Waiting]) -> None:
        """Write batches to the log of one run, and hand them on.

        Even if another run's log then refuses them: a run takes its batches in the order of its
        log, whatever happens. Those that come again are known by their identity.
        """
        records = [
            SegmentRecord(
                agent_id=item.batch.header.agent_id,
                boot_id=item.batch.header.boot_id,
                stream=item.batch.header.stream,
                sequence=item.batch.header.sequence,
                from_us=item.batch.header.from_us,
                received_us=item.received_us,
                payload=item.payload,
            )
            for item in group
        ]
        segment = await asyncio.to_thread(self._log_of(run_id).append_many, records)
        for item in group:
            self._on_stored(Stored(run_id, item.batch, segment, item.sha256))

    async def _give_back(self, group: list[_Waiting], error: SegmentWriteError) -> None:
        """Acknowledge nothing: the agents keep these batches and send them again."""
        for waiting in group:
            self.acceptor.forget(waiting.batch.header)
        if str(error) != self.problem:
            self.problem = str(error)
            _LOG.error("ingest.cannot_write", extra={"reason": self.problem})
        await asyncio.sleep(_DISK_RETRY_S)

    def _refuse(self, reason: str, detail: str) -> None:
        self.acceptor.counts[reason] += 1
        self._log_once(reason, detail)

    def _log_once(self, reason: str, detail: str) -> None:
        if reason not in self._logged:
            self._logged.add(reason)
            _LOG.warning("ingest.refused", extra={"reason": reason, "detail": detail})
