"""From wishes to batches: when collecting begins and ends, and that nothing is lost on the way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from agent.batching import Batcher, Limits
from agent.control import Control
from agent.errors import SpoolError
from agent.losses import Losses
from agent.recorder import Recorder, store
from agent.spool import Entry, Spool
from rules.errors import WireError
from rules.telemetry import Batch, Event, ManualClock
from rules.telemetry.wire import decode, encode
from tests.collectors import ScriptedCollector

SECOND = 1_000_000
KINDS = ("connection", "listener")


def _event(second: float, kind: str = "connection") -> Event:
    return Event(kind, round(second * SECOND), None, {})


class Bench:
    """A recorder whose time passes only while it waits for sensors."""

    def __init__(self, folder: Path, *events: Event, max_bytes: int = 1 << 22) -> None:
        self.clock = ManualClock()
        self.control = Control()
        self.spool = Spool(
            folder, max_bytes=max_bytes, max_age_s=3600, clock=self.clock, sync=False
        )
        self.collector = ScriptedCollector(
            events, clock=self.clock, kinds=KINDS, on_wait=self._pass
        )
        self.changes: list[tuple[str, ...]] = []
        self.stored = 0
        self.plan: list[tuple[float, Callable[[], object]]] = []
        self._changed = asyncio.Event()
        self.recorder = Recorder(
            control=self.control,
            collector=self.collector,
            batcher=Batcher(agent_id="h-1", boot_id="b", limits=Limits()),
            spool=self.spool,
            clock=self.clock,
            drain_interval_s=0.001,
            longest_wait_s=1.0,
            on_stored=self._count,
            on_change=self._change,
        )

    def want(self, *runs: tuple[str, float, float, tuple[str, ...]]) -> None:
        """Say what is wanted: run, from and to in seconds, kinds."""
        rows = [
            {"run": run, "kinds": kinds, "from_us": int(start * SECOND), "to_us": int(end * SECOND)}
            for run, start, end, kinds in runs
        ]
        self.control.update(msgspec.json.encode({"format": 1, "runs": rows}))
        self.recorder.hear()

    def at(self, second: float, action: Callable[[], object]) -> None:
        """Do something once the clock has reached a second."""
        self.plan.append((second, action))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            task = group.create_task(self.recorder.run())
            yield
            self.recorder.stop()
            await task

    async def until(self, second: float) -> None:
        """Wait for a moment of the recorder's clock.

        No wait here spins on the loop: the recorder's disk works in a thread, which would have to
        fight for the interpreter's lock after each of its system calls.
        """
        if self.clock.now_us() < second * SECOND:
            reached = asyncio.Event()
            self.at(second, reached.set)
            await reached.wait()

    async def until_idle(self) -> None:
        await self.until_changed(lambda: bool(self.changes) and not self.changes[-1])

    async def until_changed(self, is_there: Callable[[], bool]) -> None:
        """Wait until something is true that changes when collecting begins, changes or ends."""
        while not is_there():
            self._changed.clear()
            await self._changed.wait()

    async def batches(self) -> list[Batch]:
        waiting = await asyncio.to_thread(self.spool.pending, limit=1000)
        return [decode(entry.payload) for _, entry in waiting]

    def _count(self) -> None:
        self.stored += 1

    def _change(self) -> None:
        self.changes.append(self.recorder.wanted.runs)
        self._changed.set()

    def _pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        reached = [due for due in self.plan if due[0] * SECOND <= self.clock.now_us()]
        for due in reached:
            self.plan.remove(due)
            _, action = due
            action()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, *(_event(second / 10) for second in range(600)))
    yield made
    made.spool.close()


def _spans(batches: list[Batch]) -> list[tuple[float, float]]:
    return [(b.header.from_us / SECOND, b.header.to_us / SECOND) for b in batches]


def _times(batches: list[Batch]) -> list[float]:
    return [
        ts_us / SECOND for batch in batches for ts_us in batch.tables["connection"].ts_us.tolist()
    ]


async def test_nothing_is_collected_unless_a_run_wants_it(bench: Bench) -> None:
    async with bench.running():
        for _ in range(20):
            await asyncio.sleep(0)
    assert bench.collector.started == []
    assert (await bench.batches()) == []


async def test_run_is_collected_until_its_end_and_no_further(bench: Bench) -> None:
    bench.clock.advance(1)
    bench.want(("r", 1, 6.5, KINDS))
    async with bench.running():
        await bench.until_idle()
        assert bench.collector.stops == 1
    batches = await bench.batches()
    spans = _spans(batches)
    assert spans[0][0] == 1
    assert spans[-1][1] == 6.5
    assert all(left[1] == right[0] for left, right in pairwise(spans))
    assert all(end - start <= 3 for start, end in spans)
    assert _times(batches) == [second / 10 for second in range(10, 65)]
    assert {batch.header.runs for batch in batches} == {("r",)}
    assert {batch.header.kinds for batch in batches} == {KINDS}
    assert bench.changes == [("r",), ()]


async def test_run_that_begins_later_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.recorder.IDLE_POLL_S", 0.001)
    bench.want(("r", 5, 6, KINDS))
    async with bench.running():
        await asyncio.sleep(0.005)
        assert bench.collector.started == []
        bench.clock.advance(5)
        await bench.until_idle()
    assert _spans(await bench.batches()) == [(5, 6)]


async def test_run_that_is_stopped_early_ends_at_once(bench: Bench) -> None:
    bench.want(("r", 0, 50, KINDS))
    bench.at(4.2, bench.want)
    async with bench.running():
        await bench.until_idle()
    batches = await bench.batches()
    end = _spans(batches)[-1][1]
    assert 4.2 <= end <= 5.3
    assert _times(batches) == [s / 10 for s in range(600) if s / 10 < end]


async def test_run_without_any_kind_known_here_starts_no_sensor(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.recorder.IDLE_POLL_S", 0.001)
    bench.want(("r", 0, 50, ("quantum_state",)))
    async with bench.running():
        await asyncio.sleep(0.003)
    assert bench.collector.started == []


async def test_second_run_joins_at_its_exact_start_without_a_gap(bench: Bench) -> None:
    bench.want(("a", 0, 6, KINDS), ("b", 3.3, 8, KINDS))
    async with bench.running():
        await bench.until_idle()
    batches = await bench.batches()
    runs = {batch.header.runs: batch.header for batch in batches}
    assert list(runs) == [("a",), ("a", "b"), ("b",)]
    ends = [header.to_us / SECOND for header in runs.values()]
    assert ends == [3.3, 6, 8]
    assert _times(batches) == [second / 10 for second in range(80)]
    # The second start announces to the new run what is there already.
    assert bench.collector.started == [frozenset(KINDS)] * 2
    assert bench.collector.stops == 1


async def test_run_with_other_kinds_starts_the_sensors_anew(bench: Bench) -> None:
    bench.want(("a", 0, 6, ("connection",)), ("b", 3, 6, ("listener",)))
    async with bench.running():
        await bench.until(6)
        await bench.until_idle()
    assert bench.collector.started == [frozenset({"connection"}), frozenset(KINDS)]
    kinds = [batch.header.kinds for batch in await bench.batches()]
    assert set(kinds) == {("connection",), KINDS}


async def test_kinds_of_a_run_that_ended_are_not_sent(bench: Bench) -> None:
    bench.want(("a", 0, 3, KINDS), ("b", 0, 6, ("listener",)))
    async with bench.running():
        await bench.until_idle()
    alone = [batch for batch in await bench.batches() if batch.header.runs == ("b",)]
    assert alone
    assert all(not batch.tables for batch in alone)
    assert {batch.header.kinds for batch in alone} == {("listener",)}
    assert {row.kinds for batch in alone for row in batch.header.coverage} == {("listener",)}
    assert len(bench.collector.started) == 1


async def test_stop_flushes_what_was_collected(bench: Bench) -> None:
    bench.want(("r", 0, 50, KINDS))
    async with bench.running():
        await bench.until(1)
    batches = await bench.batches()
    assert _spans(batches)[-1][1] >= 1
    assert _times(batches) == [s / 10 for s in range(600) if s / 10 < _spans(batches)[-1][1]]
    assert bench.collector.stops == 1


async def test_cancellation_flushes_too(bench: Bench) -> None:
    bench.want(("r", 0, 50, KINDS))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.recorder.run())
        await bench.until(1)
        task.cancel()
    assert _spans(await bench.batches())[-1][1] >= 1
    assert bench.collector.stops == 1


async def test_events_are_taken_while_the_disk_is_slow(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_free = threading.Event()
    append = bench.spool.append

    def append_late(entry: Entry, *, settles: Losses | None = None) -> None:
        assert is_free.wait(15)
        append(entry, settles=settles)

    monkeypatch.setattr(bench.spool, "append", append_late)
    bench.want(("r-1", 0, 60, KINDS))
    async with bench.running():
        await bench.until(3.5)  # the first batch was cut, and waits for the disk
        assert not bench.stored
        is_free.set()
        await bench.until(10)

    spans = _spans(await bench.batches())
    assert spans[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert spans[-1][1] >= 10


async def test_sensor_that_fails_is_started_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.recorder.RETRY_S", 0.001)
    bench.want(("r", 0, 6, KINDS))
    bench.at(3, lambda: setattr(bench.collector, "fault", ValueError("broken")))
    async with bench.running():
        await bench.until_changed(lambda: len(bench.collector.started) == 2)
        await bench.until(6)
        await bench.until_idle()
    assert bench.recorder.failures == 1
    assert caplog.messages.count("collector.failed") == 1
    batches = await bench.batches()
    assert _spans(batches)[-1][1] == 6
    assert len(set(_times(batches))) == len(_times(batches))


async def test_loss_of_a_sensor_travels_with_its_interval(bench: Bench) -> None:
    bench.want(("r", 0, 2, KINDS))
    bench.collector.lost = {"enobufs": 5}
    async with bench.running():
        await bench.until_idle()
    rows = [row for batch in await bench.batches() for row in batch.header.coverage]
    assert [row.lost for row in rows if row.lost] == [{"enobufs": 5}]
    assert rows[0].state == "degraded"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, *(_event(second / 100) for second in range(6000)), max_bytes=10_000)
    yield made
    made.spool.close()


async def test_drop_of_a_full_spool_is_told_by_the_next_batch(small: Bench) -> None:
    bench = small
    bench.want(("r", 0, 50, KINDS))
    async with bench.running():
        await bench.until_idle()
    batches = await bench.batches()
    dropped = bench.spool.stats().dropped_events["spool_full"]
    told = [loss for batch in batches for loss in batch.header.losses]
    assert dropped > 0
    assert {loss.cause for loss in told} == {"spool_full"}
    # Each batch that was dropped told of earlier ones; what is left tells all of it, once.
    assert sum(loss.events for loss in told) == dropped
    assert sum(len(batch) for batch in batches) + dropped == 5000


async def test_loss_at_the_very_end_gets_a_batch_of_its_own(bench: Bench) -> None:
    bench.want(("r", 0, 2, KINDS))

    def refuse() -> None:
        for _, entry in bench.spool.pending():
            bench.spool.reject(entry.boot_id, entry.stream, entry.sequence)

    async with bench.running():
        await bench.until_idle()
        await asyncio.to_thread(refuse)
        bench.want(("r", 0, 4, KINDS))
        await bench.until_changed(lambda: bench.collector.stops == 2)
    losses = [loss for batch in await bench.batches() for loss in batch.header.losses]
    assert [loss.cause for loss in losses] == ["rejected"]


async def test_disk_that_refuses_costs_the_batch_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = iter([SpoolError(Path("spool"), "no space left")])

    def refusing(batch: Batch, spool: Spool) -> None:
        for refusal in refusals:
            raise refusal
        store(batch, spool)

    monkeypatch.setattr("agent.recorder.store", refusing)
    bench.want(("r", 0, 6, KINDS))
    async with bench.running():
        await bench.until_idle()
    assert caplog.messages.count("spool.refused") == 1
    assert _spans(await bench.batches())[-1][1] == 6
    assert bench.recorder.failures == 0


async def test_batch_that_cannot_be_sent_is_told_as_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def strict(batch: Batch) -> bytes:
        if len(batch):
            raise WireError("oversized")
        return encode(batch)

    monkeypatch.setattr("agent.recorder.encode", strict)
    bench.want(("r", 0, 2, KINDS))
    async with bench.running():
        await bench.until_idle()
    losses = [loss for batch in await bench.batches() for loss in batch.header.losses]
    assert {loss.cause for loss in losses} == {"unsendable"}
    assert sum(loss.events for loss in losses) == 20
    assert "batch.unsendable" in caplog.messages


async def test_reports_are_those_of_the_collector(bench: Bench) -> None:
    assert [report.name for report in await bench.recorder.reports()] == ["script"]
