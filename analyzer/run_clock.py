"""The run clock: takes up runs from the store, moves them on, ends them with a result.

In: runs in the store, durable batches, the agents that are there. Out: runs in their next state in
the store, and what each agent shall collect. After a restart it makes everything again from the
store and the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer import assessments
from analyzer.errors import SegmentReadError
from analyzer.ingest.segments import SegmentLog, read_segments
from analyzer.live import LiveRun, chosen_packages
from analyzer.model import Run, RunState
from analyzer.verdict import finished
from rules.errors import WireError
from rules.telemetry.wire import decode_any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from analyzer.ingest.accept import Acceptor, RunWindow
    from analyzer.ingest.receive import Stored
    from analyzer.ingest.segments import SegmentRecord
    from analyzer.model import Agent
    from analyzer.store import Store
    from rules.loader import Package
    from rules.telemetry import Clock

_LOG = logging.getLogger(__name__)
_PROGRESS_US = 1_000_000  # how often progress is written
_START_SLACK_US = 60_000_000  # how long a run that begins may take until its interval is known
_MAX_RUN_US = 86_400_000_000  # an agent refuses a longer interval
_RECALL_US = 86_400_000_000  # batches of runs that ended within this may still come again


class RunClock:
    """Holds the runs that have not ended; ``tick`` moves them on."""

    def __init__(
        self,
        *,
        store: Store,
        folder: Path,
        packages: list[Package],
        acceptor: Acceptor,
        clock: Clock,
    ) -> None:
        """Connect the parts.

        Args:
            store: Where runs and results are.
            folder: Holds one folder per run with its log.
            packages: Every rules package there is.
            acceptor: Its counts go into the progress of runs.
            clock: Time.
        """
        self._store = store
        self._folder = folder
        self._packages = packages
        self._acceptor = acceptor
        self._clock = clock
        self._started_us = clock.now_us()
        self._live: dict[str, LiveRun] = {}
        self._logs: dict[str, SegmentLog] = {}
        self._saved: dict[str, tuple[Run, int]] = {}

    def windows(self) -> dict[str, RunWindow]:
        """Return the runs that take telemetry now."""
        return {id_: live.window() for id_, live in self._live.items() if live.takes_telemetry}

    def log_of(self, run_id: str) -> SegmentLog:
        """Return the writing end of a run's log."""
        log = self._logs.get(run_id)
        if log is None:
            log = self._logs[run_id] = SegmentLog(self._segments(run_id))
        return log

    def on_stored(self, stored: Stored) -> None:
        """Take a durable batch."""
        live = self._live.get(stored.run_id)
        if live is not None:
            live.add(stored.batch)

    async def resume(self) -> None:
        """Go on where earlier processes stopped; to be done before any message is taken.

        Runs that have not ended take telemetry again, and batches that are durable are known, so
        that none is refused and none is taken twice.
        """
        since_us = self._started_us - _RECALL_US
        for run in await self._store.runs():
            if not run.state.is_final:
                await self._adopt(run)
            elif (run.to_us or run.created_us) >= since_us:
                await asyncio.to_thread(self._recall_ended, run.id)

    async def tick(self, agents: Mapping[str, Agent]) -> None:
        """Take up new runs and requests to stop, and move every run as far as it can go."""
        for run in await self._store.active_runs():
            live = self._live.get(run.id) or await self._adopt(run)
            if live is not None:
                live.run = replace(live.run, stop=run.stop)
                await self._advance(live, agents)

    def wanted(self) -> dict[str, list[dict[str, object]]]:
        """Return, for each agent of a run, the entries of its control message."""
        entries: dict[str, list[dict[str, object]]] = {}
        for _, live in sorted(self._live.items()):
            if live.takes_telemetry:
                for agent_id in live.run.agents:
                    entries.setdefault(agent_id, []).append(_control_entry(live))
        return entries

    async def _adopt(self, run: Run) -> LiveRun | None:
        packages = chosen_packages(self._packages, run.packages)
        unknown = set(run.packages) - {package.id for package in packages}
        if unknown:
            known = ", ".join(package.id for package in self._packages)
            message = f"unknown rules package {', '.join(sorted(unknown))}; there are {known}"
            await self._end(replace(run, message=message), RunState.FAILED)
            return None
        live = LiveRun(run, packages=packages, clock=self._clock, grace_from_us=self._started_us)
        try:
            await asyncio.to_thread(self._replay, live)
        except SegmentReadError as error:
            live.close()
            await self._end(replace(run, message=str(error)), RunState.FAILED)
            return None
        if run.to_us is not None:
            live.begin()
        self._live[run.id] = live
        _LOG.info("run.adopted", extra={"run": run.id, "state": run.state})
        return live

    async def _advance(self, live: LiveRun, agents: Mapping[str, Agent]) -> None:
        before = live.run
        # In a thread: judging what is new may take longer than the event loop should wait.
        await asyncio.to_thread(live.seal)
        live.run = assessments.advance(before, self._facts(live, agents))
        if live.run.to_us is not None and live.run.to_us != before.to_us:
            if live.timeline is None:
                live.begin()
            else:
                live.timeline.stop(live.run.to_us)
        if live.run.state is RunState.EVALUATING_RULES:
            await self._evaluate(live, agents)
        elif live.run.state.is_final:
            await self._end(live.run, live.run.state)
        else:
            await self._save(live, has_moved=live.run.state is not before.state)

    def _facts(self, live: LiveRun, agents: Mapping[str, Agent]) -> assessments.Facts:
        now_us = self._clock.now_us()
        busy = {agent_id for other in self._live.values() for agent_id in other.run.agents}
        return assessments.Facts(
            now_us=now_us,
            healthy=tuple(
                agent_id
                for agent_id, agent in agents.items()
                if agent.is_healthy(now_us) and agent_id not in busy
            ),
            first_us=live.first_us,
            is_complete=live.is_complete,
            silent=tuple(live.timeline.silent) if live.timeline else (),
            grace_from_us=live.grace_from_us,
        )

    async def _save(self, live: LiveRun, *, has_moved: bool) -> None:
        saved, saved_us = self._saved.get(live.run.id, (None, 0))
        now_us = self._clock.now_us()
        if live.timeline is not None and now_us - saved_us >= _PROGRESS_US:
            progress = await asyncio.to_thread(live.progress, rejected=self._acceptor.refused)
            live.run = replace(live.run, progress=progress)
        if has_moved or saved != live.run:
            await self._store.save_run(live.run)
            self._saved[live.run.id] = (live.run, now_us)

    async def _evaluate(self, live: LiveRun, agents: Mapping[str, Agent]) -> None:
        await self._store.save_run(live.run)
        try:
            done = await asyncio.to_thread(finished, live, agents, self._clock.now_us())
        except Exception as error:  # noqa: BLE001 (a run that cannot be judged ends alone)
            _LOG.exception("run.evaluation_failed", extra={"run": live.run.id})
            message = f"evaluation failed: {type(error).__name__}: {error}"
            await self._end(replace(live.run, message=message), RunState.FAILED)
            return
        await self._store.finish_run(done.run, done.document, done.findings)
        self._forget(done.run)

    async def _end(self, run: Run, state: RunState) -> None:
        ended = run if run.state is state else run.entered(state, self._clock.now_us())
        await self._store.save_run(ended)
        self._forget(ended)

    def _forget(self, run: Run) -> None:
        live = self._live.pop(run.id, None)
        if live is not None:
            live.close()
        self._saved.pop(run.id, None)
        log = self._logs.pop(run.id, None)
        if log is not None:
            log.close()
        _LOG.info("run.ended", extra={"run": run.id, "state": run.state, "reason": run.message})

    def _segments(self, run_id: str) -> Path:
        return self._folder / run_id / "segments"

    def _replay(self, live: LiveRun) -> None:
        for record in self._recalled(live.run.id):
            try:
                live.add(decode_any(record.payload))
            except WireError as error:
                # It was checked before it was written: the disk or another version is at fault.
                raise SegmentReadError(self._segments(live.run.id), str(error)) from error

    def _recall_ended(self, run_id: str) -> None:
        try:
            deque(self._recalled(run_id), maxlen=0)
        except SegmentReadError as error:
            _LOG.warning("run.log_unreadable", extra={"run": run_id, "reason": str(error)})

    def _recalled(self, run_id: str) -> Iterator[SegmentRecord]:
        """Yield the batches of a log, each known as durable from then on."""
        for _, record in read_segments(self._segments(run_id)):
            self._acceptor.recall(
                record.agent_id,
                boot_id=record.boot_id,
                stream=record.stream,
                sequence=record.sequence,
            )
            yield record


def _control_entry(live: LiveRun) -> dict[str, object]:
    run = live.run
    from_us = run.from_us if run.from_us is not None else run.changes[-1].at_us
    open_end_us = from_us + min(_MAX_RUN_US, run.duration_s * 1_000_000 + _START_SLACK_US)
    to_us = run.to_us if run.to_us is not None else open_end_us
    return {"run": run.id, "kinds": live.kinds, "from_us": from_us, "to_us": to_us}
