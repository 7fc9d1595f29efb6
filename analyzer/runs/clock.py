"""The run clock: takes up runs from the store, moves them on, ends them with a result.

In: runs in the store, durable batches, the agents that are there. Out: runs in their next state in
the store, and what each agent shall collect. After a restart it makes everything again from the
store, a snapshot, and the log behind it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer import assessments
from analyzer.arns import Arns
from analyzer.canonical.digests import BatchId
from analyzer.errors import AnalyzerError, SegmentReadError, SnapshotError
from analyzer.ingest.receive import Stored
from analyzer.ingest.segments import SegmentLog, read_segments, segments_of
from analyzer.model import Run, RunState, evaluated
from analyzer.replay.judged import keep
from analyzer.runs.live import LiveRun, chosen_packages
from analyzer.runs.records import RunRecords
from analyzer.runs.recovery import (
    SNAPSHOT_INTERVAL_US,
    read_snapshot,
    remove_snapshot,
    write_snapshot,
)
from analyzer.runs.verdict import finished
from rules.errors import WireError
from rules.telemetry.wire import decode_any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from analyzer.ingest.accept import Acceptor, RunWindow
    from analyzer.ingest.segments import StoredRecord
    from analyzer.model import Agent
    from analyzer.store import Store
    from rules.loader import Package
    from rules.telemetry import Clock

_LOG = logging.getLogger(__name__)
_PROGRESS_US = (
    500_000  # between writes of progress; what comes after a quiet time is written at once
)
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
        arns: Arns | None = None,
        limits: assessments.Limits | None = None,
    ) -> None:
        """Connect the parts.

        Args:
            store: Where runs and results are.
            folder: Holds one folder per run with its log.
            packages: Every rules package there is.
            acceptor: Its counts go into the progress of runs.
            clock: Time.
            arns: The account and region of the server.
            limits: How many hosts may be in active runs.
        """
        self._store = store
        self._folder = folder
        self._packages = packages
        self._acceptor = acceptor
        self._clock = clock
        self._started_us = clock.now_us()
        self._live: dict[str, LiveRun] = {}
        self._logs: dict[str, SegmentLog] = {}
        self._records = RunRecords(store, arns=arns or Arns())
        self._limits = limits or assessments.Limits()
        self._progress_us: dict[str, int] = {}
        self._snapshot_us: dict[str, int] = {}

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
            live.add(stored)

    async def resume(self) -> None:
        """Go on where earlier processes stopped; to be done before any message is taken.

        Runs that have not ended take telemetry again, and batches that are durable are known, so
        that none is refused and none is taken twice.
        """
        since_us = self._started_us - _RECALL_US
        for run in await self._store.active_runs():
            await self._adopt(run)
        async with self._store.reading() as rows:
            ended = await rows.runs.ended_since(since_us)
        for run_id in ended:
            await asyncio.to_thread(self._recall_ended, run_id)

    async def tick(self, agents: Mapping[str, Agent]) -> None:
        """Take up new runs and requests to stop, and move every run as far as it can go.

        Raises:
            AnalyzerError: The disk or the database refuses a run for now; all were tried.
        """
        refused: AnalyzerError | None = None
        for run in await self._store.active_runs():
            try:
                await self._move_on(run, agents)
            except AnalyzerError as error:  # the others go on
                refused = refused or error
        if refused is not None:
            raise refused

    def wanted(self) -> dict[str, list[dict[str, object]]]:
        """Return, for each agent of a run, the entries of its control message."""
        entries: dict[str, list[dict[str, object]]] = {}
        for _, live in sorted(self._live.items()):
            if live.takes_telemetry:
                for agent_id in live.run.agents:
                    entries.setdefault(agent_id, []).append(_control_entry(live))
        return entries

    async def _move_on(self, run: Run, agents: Mapping[str, Agent]) -> None:
        live = self._live.get(run.id) or await self._adopt(run)
        if live is None:
            return
        live.run = replace(live.run, stop=run.stop)
        try:
            await self._advance(live, agents)
        except AnalyzerError:
            raise
        except Exception as error:  # noqa: BLE001 (a run that cannot be judged ends alone)
            _LOG.exception("run.evaluation_failed", extra={"run": run.id})
            message = f"evaluation failed: {type(error).__name__}: {error}"
            live.run = replace(live.run, message=message).entered(
                RunState.ERROR, self._clock.now_us()
            )
            await self._end(live.run, RunState.ERROR)

    async def _adopt(self, run: Run) -> LiveRun | None:
        await self._records.take_up(run)
        packages = chosen_packages(self._packages, run.packages)
        unknown = set(evaluated(run.packages)) - {package.id for package in packages}
        if unknown or (run.packages and not packages):
            known = ", ".join(package.id for package in self._packages)
            named = ", ".join(sorted(unknown or run.packages))
            message = f"unknown rules package {named}; there are {known}"
            await self._end(replace(run, message=message), RunState.FAILED)
            return None
        try:
            live = await asyncio.to_thread(self._recovered, run, packages)
        except SegmentReadError as error:
            _LOG.error("run.log_unreadable", extra={"run": run.id, "reason": str(error)})
            await self._end(replace(run, message=str(error)), RunState.ERROR)
            return None
        except Exception as error:  # noqa: BLE001 (else no restart of the server would succeed)
            _LOG.exception("run.recovery_failed", extra={"run": run.id})
            message = f"the run cannot be taken up: {type(error).__name__}: {error}"
            await self._end(replace(run, message=message), RunState.ERROR)
            return None
        self._live[run.id] = live
        _LOG.info("run.adopted", extra={"run": run.id, "state": run.state})
        return live

    async def _advance(self, live: LiveRun, agents: Mapping[str, Agent]) -> None:
        before = live.run
        if before.state.is_final:  # the store refused its end
            await self._end(before, before.state)
            return
        live.note_offsets(agents)
        # In a thread: judging what is new may take longer than the event loop should wait.
        await asyncio.to_thread(live.seal)
        if before.state is RunState.CREATED:
            live.run = await self._begun(live, agents)
        else:
            live.run = assessments.advance(before, self._facts(live))
        self._records.see(live.run, agents, live.telemetry, self._clock.now_us())
        if live.run.to_us is not None and live.run.to_us != before.to_us:
            if live.timeline is None:
                live.begin()
            else:
                live.timeline.stop(live.run.to_us)
                live.run = replace(live.run, to_us=live.timeline.run_to_us)
        if live.run.state is RunState.EVALUATING_RULES:
            await self._evaluate(live, agents)
        elif live.run.state.is_final:
            await self._end(live.run, live.run.state)
        else:
            await self._save(live)
            await self._save_snapshot(live)

    async def _begun(self, live: LiveRun, agents: Mapping[str, Agent]) -> Run:
        """Return a run that has begun, if it can.

        Who has which host is read, and its own hosts are written, in one transaction: a run that is
        started meanwhile, by whomever, sees them or is seen.
        """
        now_us = self._clock.now_us()
        async with self._store.writing() as rows:
            active = [run for run in await rows.runs.active() if run.id != live.run.id]
            choice = assessments.choose_hosts(live.run, agents.values(), active, now_us)
            room = self._limits.hosts - sum(len(other.agents) for other in active)
            facts = replace(self._facts(live), healthy=choice.healthy, room=room)
            run = assessments.advance(live.run, facts)
            if run.state is RunState.CREATED:
                return run
            self._records.set_hosts(run, choice.seen_by(run, now_us))
            if not run.state.is_final:  # that is written with what it came to
                await self._records.write(rows, run)
        if not run.state.is_final:
            self._records.wrote(run, now_us)
        return run

    def _facts(self, live: LiveRun) -> assessments.Facts:
        return assessments.Facts(
            now_us=self._clock.now_us(),
            first_us=live.first_us,
            is_complete=live.is_complete,
            silent=tuple(live.timeline.silent) if live.timeline else (),
            grace_from_us=live.grace_from_us,
            behind_us=live.behind_us,
        )

    async def _save(self, live: LiveRun) -> None:
        now_us = self._clock.now_us()
        saved_us = self._progress_us.get(live.run.id, 0)
        if live.timeline is not None and now_us - saved_us >= _PROGRESS_US:
            progress = await asyncio.to_thread(live.progress, rejected=self._acceptor.refused)
            if progress != live.run.progress:
                self._progress_us[live.run.id] = now_us
                live.run = replace(live.run, progress=progress)
        await self._records.save(live.run, now_us)

    async def _save_snapshot(self, live: LiveRun) -> None:
        now_us = self._clock.now_us()
        if now_us - self._snapshot_us.setdefault(live.run.id, now_us) < SNAPSHOT_INTERVAL_US:
            return
        self._snapshot_us[live.run.id] = now_us
        try:
            await asyncio.to_thread(self._write_snapshot, live)
        except OSError as error:  # the log has everything: a restart only takes longer
            extra = {"run": live.run.id, "reason": error.strerror}
            _LOG.warning("run.snapshot_failed", extra=extra)

    def _write_snapshot(self, live: LiveRun) -> None:
        snapshot = live.snapshot()
        if snapshot is not None:
            write_snapshot(self._folder / live.run.id, snapshot)

    async def _evaluate(self, live: LiveRun, agents: Mapping[str, Agent]) -> None:
        now_us = self._clock.now_us()
        await self._records.save(live.run, now_us)
        hosts = self._records.hosts(live.run.id)
        done = await asyncio.to_thread(finished, live, agents, now_us, hosts=hosts)
        folder = self._folder / done.run.id
        await asyncio.to_thread(keep, folder, done.judged, live.packages)
        await self._records.finish(done, live.packages)
        self._forget(done.run)

    async def _end(self, run: Run, state: RunState) -> None:
        ended = run if run.state is state else run.entered(state, self._clock.now_us())
        await self._records.end(ended)
        self._forget(ended)

    def _forget(self, run: Run) -> None:
        self._live.pop(run.id, None)
        self._records.forget(run.id)
        self._progress_us.pop(run.id, None)
        self._snapshot_us.pop(run.id, None)
        log = self._logs.pop(run.id, None)
        try:
            remove_snapshot(self._folder / run.id)
            if log is not None:
                log.close()
        except OSError as error:  # the run has ended all the same
            extra = {"run": run.id, "reason": error.strerror}
            _LOG.warning("run.files_left", extra=extra)
        _LOG.info("run.ended", extra={"run": run.id, "state": run.state, "reason": run.message})

    def _segments(self, run_id: str) -> Path:
        return segments_of(self._folder, run_id)

    def _recovered(self, run: Run, packages: list[Package]) -> LiveRun:
        """Return a run as far as its snapshot and its log know it."""
        live = self._new(run, packages)
        if run.to_us is not None:
            try:
                snapshot = read_snapshot(self._folder / run.id)
                if snapshot is not None:
                    live.restore(snapshot)
                    _LOG.info("run.restored", extra={"run": run.id})
            except SnapshotError as error:
                _LOG.warning("run.snapshot_unusable", extra={"run": run.id, "reason": str(error)})
                live = self._new(run, packages)
        self._replay(live)
        return live

    def _new(self, run: Run, packages: list[Package]) -> LiveRun:
        live = LiveRun(run, packages=packages, clock=self._clock, grace_from_us=self._started_us)
        if run.to_us is not None:
            live.begin()
        return live

    def _replay(self, live: LiveRun) -> None:
        for position, record in self._recalled(live.run.id):
            batch_id = BatchId(record.agent_id, record.boot_id, record.stream, record.sequence)
            sha256 = hashlib.sha256(record.payload).digest()
            if live.has_taken(batch_id, segment=position.segment, sha256=sha256):
                continue
            try:
                batch = decode_any(record.payload)
            except WireError as error:
                # It was checked before it was written: the disk or another version is at fault.
                raise SegmentReadError(self._segments(live.run.id), str(error)) from error
            live.add(Stored(live.run.id, batch, position.segment, sha256))

    def _recall_ended(self, run_id: str) -> None:
        try:
            deque(self._recalled(run_id), maxlen=0)
        except SegmentReadError as error:
            _LOG.warning("run.log_unreadable", extra={"run": run_id, "reason": str(error)})

    def _recalled(self, run_id: str) -> Iterator[StoredRecord]:
        """Yield the batches of a log, each known as durable from then on."""
        for stored in read_segments(self._segments(run_id)):
            record = stored.record
            self._acceptor.recall(
                record.agent_id,
                boot_id=record.boot_id,
                stream=record.stream,
                sequence=record.sequence,
            )
            yield stored


def _control_entry(live: LiveRun) -> dict[str, object]:
    run = live.run
    from_us = run.from_us if run.from_us is not None else run.changes[-1].at_us
    open_end_us = from_us + min(_MAX_RUN_US, run.duration_s * 1_000_000 + _START_SLACK_US)
    to_us = run.to_us if run.to_us is not None else open_end_us
    return {"run": run.id, "kinds": live.kinds, "from_us": from_us, "to_us": to_us}
