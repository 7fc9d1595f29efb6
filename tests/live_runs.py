"""A live run driven by hand: its log on a disk that never syncs, its clock, its verdict."""

import asyncio
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from analyzer.canonical.digests import BatchId
from analyzer.data_folder import DataFolder
from analyzer.errors import SnapshotError
from analyzer.ingest.receive import Stored
from analyzer.ingest.segments import SegmentLog, SegmentRecord, read_segments
from analyzer.model import Agent, Run, RunState
from analyzer.replay.judged import keep
from analyzer.runs.live import LiveRun
from analyzer.runs.recovery import read_snapshot, write_snapshot
from analyzer.runs.verdict import Finished, finished
from analyzer.store import open_store
from rules.loader import Package
from rules.telemetry import Batch, ManualClock
from rules.telemetry.records import Disk
from rules.telemetry.wire import decode_any, encode


class QuickDisk(Disk):
    """Durability is not what these tests are about."""

    def sync(self, file: int) -> None:
        """Do nothing."""

    def sync_folder(self, folder: Path) -> None:
        """Do nothing."""


class DrivenRun:
    """A run that collects from its start; the test decides when batches come and time passes."""

    def __init__(
        self,
        folder: Path,
        packages: list[Package],
        *,
        interval: tuple[int, int],
        agents: tuple[str, ...],
        roll_bytes: int = 1 << 20,
    ) -> None:
        self.folder = folder
        self.clock = ManualClock(interval[0])
        self.packages = packages
        self.run = Run(
            id="0-driven",
            name="driven",
            duration_s=(interval[1] - interval[0]) // 1_000_000,
            packages=(),
            created_us=interval[0],
            state=RunState.COLLECTING_DATA,
            from_us=interval[0],
            to_us=interval[1],
            agents=agents,
            arn="arn:aws:inspector:us-east-1:000000000000:target/0-t/template/0-t/run/0-driven",
        )
        self.log = SegmentLog(folder / "segments", roll_bytes=roll_bytes, disk=QuickDisk())
        self.restart()

    def restart(self) -> None:
        """Forget everything in memory; read snapshot and log, as a server does that was killed."""
        self.live = LiveRun(self.run, packages=self.packages, clock=self.clock)
        self.live.begin()
        snapshot = read_snapshot(self.folder)
        if snapshot is not None:
            try:
                self.live.restore(snapshot)
            except SnapshotError:  # the run was stopped since
                self.live = LiveRun(self.run, packages=self.packages, clock=self.clock)
                self.live.begin()
        for position, record in read_segments(self.folder / "segments"):
            batch = BatchId(record.agent_id, record.boot_id, record.stream, record.sequence)
            digest = sha256(record.payload).digest()
            if not self.live.has_taken(batch, segment=position.segment, sha256=digest):
                self._take(record.payload, position.segment)

    def save(self) -> None:
        """Write a snapshot, if there is anything to write."""
        snapshot = self.live.snapshot()
        if snapshot is not None:
            write_snapshot(self.folder, snapshot)

    def give(self, *batches: Batch) -> None:
        """Let batches arrive under one sync."""
        records = [self._record(batch) for batch in batches]
        segment = self.log.append_many(records)
        for record in records:
            self._take(record.payload, segment)

    def stop(self, to_us: int) -> None:
        """End the run early, as the run clock does."""
        assert self.live.timeline is not None
        self.live.timeline.stop(to_us)
        self.run = self.live.run = replace(self.run, to_us=self.live.timeline.run_to_us)

    def finish(self) -> Finished:
        """Return the verdict."""
        names = {
            agent_id: Agent(agent_id, "b", f"host-{agent_id}", "1", {}, True, True, 0)  # noqa: FBT003
            for agent_id in self.run.agents
        }
        return finished(self.live, names, self.clock.now_us())

    def _record(self, batch: Batch) -> SegmentRecord:
        header = batch.header
        return SegmentRecord(
            agent_id=header.agent_id,
            boot_id=header.boot_id,
            stream=header.stream,
            sequence=header.sequence,
            from_us=header.from_us,
            received_us=self.clock.now_us(),
            payload=encode(batch),
        )

    def _take(self, payload: bytes, segment: int) -> None:
        batch = decode_any(payload)
        self.live.add(Stored(self.run.id, batch, segment, sha256(payload).digest()))


def store_verdict(data: DataFolder, driven: DrivenRun) -> Finished:
    """Let a run end, and keep it as a server does: in the store and beside its log."""
    done = driven.finish()
    driven.log.close()
    keep(driven.folder, done.judged, driven.packages)
    asyncio.run(_store(data, done))
    return done


async def add_run(data: DataFolder, run: Run) -> None:
    """Keep a run without a verdict."""
    data.create()
    store = await open_store(data.store)
    try:
        await store.add_run(run)
    finally:
        await store.close()


async def _store(data: DataFolder, done: Finished) -> None:
    store = await open_store(data.store)
    try:
        await store.add_run(done.run)
        await store.finish_run(done.run, done.document, done.findings)
    finally:
        await store.close()
