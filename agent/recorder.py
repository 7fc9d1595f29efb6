"""Recorder: while a run wants it, collects and writes batches into the spool; else does nothing.

In: what control wants, the agent's clock, a collector. Out: batches on disk. A span lasts from the
readiness of the collector to the end of the last run, or until a run wants kinds that need other
sensors. Runs begin and end at their exact moment inside a span.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.batching import Batcher
from agent.control import Control, Wanted, next_change_us, wanted_at
from agent.errors import SpoolError
from agent.spool import Entry, Spool
from rules.telemetry import WireError
from rules.telemetry.batch import Batch
from rules.telemetry.clock import Clock
from rules.telemetry.header import Loss
from rules.telemetry.wire import encode

if TYPE_CHECKING:
    from agent.collect import Collector, SensorReport

UNSENDABLE: Final = "unsendable"  # cause of loss: a batch that the wire format cannot hold
IDLE_POLL_S: Final = 60.0  # longest wait for a run, in case the clock is set meanwhile
RETRY_S: Final = 5.0  # after a collector that failed
FLUSH_S: Final = 15.0  # longest time for the last batch of a span, and for the sensors to stop

_LOG = logging.getLogger(__name__)


class Recorder:
    """One agent's way from wishes to batches.

    Attributes:
        wanted: What is being collected; nothing between spans.
        failures: How often collecting broke off by an error of the agent's own.
    """

    def __init__(
        self,
        *,
        control: Control,
        collector: Collector,
        batcher: Batcher,
        spool: Spool,
        clock: Clock,
        drain_interval_s: float,
        longest_wait_s: float,
        on_stored: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        """Connect the parts.

        Args:
            control: What is wanted.
            collector: What observes.
            batcher: What cuts batches.
            spool: Where they go.
            clock: The agent's clock.
            drain_interval_s: Shortest time between two drains.
            longest_wait_s: How old what waits to be drained may get.
            on_stored: Told when a batch is in the spool.
            on_change: Told when collecting begins, changes or ends.
        """
        self.wanted = Wanted()
        self.failures = 0
        self._control = control
        self._collector = collector
        self._batcher = batcher
        self._spool = spool
        self._clock = clock
        self._drain_interval_s = drain_interval_s
        self._longest_wait_s = longest_wait_s
        self._on_stored = on_stored
        self._on_change = on_change
        self._drained_s = 0.0
        self._is_stopping = False
        self._news = asyncio.Event()
        self._asking = asyncio.Lock()
        self._storing: asyncio.Task[None] | None = None

    def hear(self) -> None:
        """Say that control wants something else."""
        self._news.set()
        self._collector.wake()

    def stop(self) -> None:
        """End the span, if there is one, and let ``run`` return."""
        self._is_stopping = True
        self._news.set()
        self._collector.wake()

    @property
    def is_throttled(self) -> bool:
        """Tell whether less is observed than could be, to keep to the budget."""
        return self._collector.is_throttled

    async def reports(self) -> list[SensorReport]:
        """Return what each sensor says of itself; between spans, how it would work."""
        async with self._asking:  # the first answer takes the sensors a moment
            return await asyncio.to_thread(self._collector.reports)

    async def run(self) -> None:
        """Record whatever is wanted, until ``stop``."""
        while not self._is_stopping:
            self._news.clear()
            wanted = wanted_at(self._control.runs, self._clock.now_us())
            if not wanted.kinds:
                await self._wait_for_run()
                continue
            try:
                await self._record(wanted)
            except Exception:  # noqa: BLE001 (the task's boundary: a sensor's fault ends no agent)
                self.failures += 1
                _LOG.exception("collector.failed", extra={"runs": wanted.runs})
                await _wait(self._news, timeout_s=RETRY_S)

    async def _wait_for_run(self) -> None:
        now_us = self._clock.now_us()
        change_us = next_change_us(self._control.runs, now_us)
        timeout_s = IDLE_POLL_S if change_us is None else (change_us - now_us) / 1e6
        await _wait(self._news, timeout_s=min(timeout_s, IDLE_POLL_S))

    async def _record(self, wanted: Wanted) -> None:
        """Hold one span."""
        try:
            self._collector.drain()  # what came after the last span's end is no part of this one
            await self._collector.start(wanted.kinds)
            self._begin(wanted)
            while not self._is_stopping and await self._goes_on(wanted.kinds):
                await self._pause()
        finally:
            # Whatever ends the span: what was collected reaches the disk, and the sensors stop.
            async with asyncio.timeout(FLUSH_S):
                await asyncio.shield(self._end())

    def _begin(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._drained_s = self._clock.monotonic_s()
        collected = self._collector.collected()
        self._batcher.begin(
            from_us=self._clock.now_us(),
            runs=wanted.runs,
            wanted=wanted.kinds,
            collected=collected,
        )
        _LOG.info("collecting.begin", extra={"runs": wanted.runs, "kinds": sorted(collected)})
        self._on_change()

    async def _goes_on(self, started: frozenset[str]) -> bool:
        """Take what was observed, and tell whether these sensors are still what is wanted."""
        latest = await self._take()
        is_other = (latest.runs, latest.kinds) != (self.wanted.runs, self.wanted.kinds)
        if is_other or self._batcher.is_due:
            await self._cut()
        if not is_other:
            return True
        if not latest.kinds or not latest.kinds <= started:
            return False
        await self._switch(latest)
        return True

    async def _switch(self, latest: Wanted) -> None:
        """Go on for other runs, without a gap."""
        self._batcher.switch(
            runs=latest.runs, wanted=latest.kinds, collected=self._collector.collected()
        )
        if not set(latest.runs) <= set(self.wanted.runs):
            # A run that begins needs to hear what is there already, such as listeners.
            await self._collector.start(latest.kinds)
        self.wanted = latest
        self._on_change()

    async def _take(self) -> Wanted:
        """Move events to the batcher, up to now or to the next start or end of a run."""
        reached_us = self._batcher.to_us
        # Read before the drain: later events may be missing from it, earlier ones are not.
        until_us = max(self._clock.now_us(), reached_us)
        change_us = next_change_us(self._control.runs, reached_us)
        if change_us is not None:
            until_us = min(until_us, change_us)
        self._drained_s = self._clock.monotonic_s()
        await self._collector.catch_up()
        self._batcher.add(self._collector.drain(), until_us=until_us)
        return wanted_at(self._control.runs, until_us)

    async def _pause(self) -> None:
        """Wait until there is much to drain, something is due, or somebody wants something else.

        What waits to be drained gets no older than an event may in a batch, so it is cut in time.
        """
        reached_us = self._batcher.to_us
        change_us = next_change_us(self._control.runs, reached_us) or self._batcher.due_us
        due_s = (min(change_us, self._batcher.due_us) - self._clock.now_us()) / 1e6
        if due_s <= 0:
            return
        await self._collector.wait(due_s, oldest_s=self._longest_wait_s)
        since_s = self._clock.monotonic_s() - self._drained_s
        await asyncio.sleep(max(0, min(self._drain_interval_s - since_s, due_s)))

    async def _cut(self) -> None:
        if self._batcher.is_empty:
            return
        from_us, to_us = self._batcher.from_us, self._batcher.to_us
        coverage = await asyncio.to_thread(self._collector.coverage, from_us, to_us)
        await self._store(self._batcher.cut(coverage))

    async def _store(self, batches: Iterable[Batch]) -> None:
        """Store batches behind those before, and go on as soon as only these are left.

        A disk takes its time, in which events must not pile up.
        """
        before = self._storing
        self._storing = asyncio.create_task(self._write(batches, before), name="agent.store")
        if before is not None:
            await asyncio.wait([before])

    async def _end(self) -> None:
        try:
            if self.wanted:
                await self._finish()
        finally:
            self.wanted = Wanted()
            try:
                await self._stored()
            finally:
                await self._collector.stop()
            _LOG.info("collecting.end")
            self._on_change()

    async def _finish(self) -> None:
        if wanted_at(self._control.runs, self._batcher.to_us):
            await self._take()
        await self._cut()
        await self._stored()
        losses = await asyncio.to_thread(self._spool.take_losses)
        if losses.drops:  # no later batch of this span would tell them
            await self._store(self._batcher.cut((), is_forced=True))

    async def _stored(self) -> None:
        """Return when everything is stored."""
        storing, self._storing = self._storing, None
        if storing is not None:
            await storing

    async def _write(self, batches: Iterable[Batch], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        for batch in batches:
            try:
                await asyncio.to_thread(store, batch, self._spool)
            except SpoolError as error:  # lost, and counted by the spool
                _LOG.warning("spool.refused", extra={"why": str(error)})
        self._on_stored()


def store(batch: Batch, spool: Spool) -> None:
    """Put a batch into the spool, with every loss that it is the first to tell.

    Raises:
        SpoolError: The spool refuses; the batch is lost and counted.
    """
    losses = spool.take_losses()
    header = batch.header
    told = replace(header, losses=(*header.losses, *losses.for_header()))
    batch = replace(batch, header=told)
    try:
        payload = encode(batch)
    except (WireError, ValueError) as error:  # ValueError: text that UTF-8 cannot hold
        _LOG.warning("batch.unsendable", extra={"why": str(error), "events": len(batch)})
        batch = _emptied(batch)
        payload = encode(batch)
    entry = Entry(
        boot_id=header.boot_id,
        stream=header.stream,
        sequence=header.sequence,
        events=len(batch),
        from_us=header.from_us,
        to_us=header.to_us,
        payload=payload,
    )
    spool.append(entry, settles=losses)


def _emptied(batch: Batch) -> Batch:
    """Return a batch that states its events as lost; its coverage stays true with that."""
    header = batch.header
    loss = Loss(UNSENDABLE, len(batch), header.from_us, header.to_us)
    header = replace(header, losses=(*header.losses, loss))
    return Batch(header=header, strings=(), processes=(), tables={})


async def _wait(event: asyncio.Event, *, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
