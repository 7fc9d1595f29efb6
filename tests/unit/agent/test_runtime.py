"""The whole agent with a script for a host and memory for a broker."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.config import Settings
from agent.identity import Identity
from agent.runtime import Agent, Parts
from agent.sinks import Message
from agent.sinks.memory import MemorySink
from agent.spool import Spool
from agent.status import LocalStatus, read_status
from rules.telemetry import Batch, Clock, Event, SystemClock, topics
from rules.telemetry.wire import decode
from tests.collectors import ScriptedCollector

AGENT = "h-1"
KINDS = ("connection",)
STATUS = topics.status_topic(AGENT)
TELEMETRY = topics.telemetry_topic(AGENT)


class Bench:
    """One host: an agent can run on it more than once, with the same state folder."""

    def __init__(self, folder: Path, **settings: Any) -> None:  # noqa: ANN401
        self.folder = folder
        self.sink = MemorySink()
        self.clock: Clock = SystemClock()
        self.settings = Settings(
            **{
                "state_dir": str(folder),
                "batch_max_age_s": 0.05,
                "batch_idle_age_s": 0.05,
                "drain_interval_s": 0.01,
                "reconnect_max_s": 0.001,
                "stop_timeout_s": 0.01,
                "in_flight": 100,  # nobody acknowledges unless a test does
                "tags": {"Name": "web"},
                **settings,
            }
        )
        self.spool = self.open_spool()
        self.boots = 0
        self.start_us = self.clock.now_us()
        self.collector = self._collector()

    def open_spool(self) -> Spool:
        return Spool(
            self.folder / "spool", max_bytes=1 << 20, max_age_s=60, clock=self.clock, sync=False
        )

    def want(self, seconds: float) -> int:
        """Say that a run of ``seconds`` begins now; return its end."""
        now_us = self.clock.now_us()
        run = {"run": "r", "kinds": KINDS, "from_us": now_us, "to_us": now_us + int(seconds * 1e6)}
        payload = json.dumps({"format": 1, "runs": [run]}).encode()
        self.sink.take(Message(topics.control_topic(AGENT), payload), retain=True)
        return now_us + int(seconds * 1e6)

    def ack(self, batch: Batch) -> None:
        header = batch.header
        ack = {"boot_id": header.boot_id, "stream": header.stream, "high": header.sequence}
        payload = json.dumps({"format": 1, "acks": [ack]}).encode()
        self.sink.take(Message(topics.ack_topic(AGENT), payload))

    def batches(self) -> list[Batch]:
        return [decode(payload) for payload in self.sink.on_topic(TELEMETRY)]

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.sink.on_topic(STATUS)]

    async def until_covered(self, moment_us: int) -> list[Batch]:
        """Return the batches once one of them ends at a moment or later."""
        while not (sent := self.batches()) or sent[-1].header.to_us < moment_us:
            await self.sink.wait_for(TELEMETRY, len(sent) + 1)
        return sent

    async def local(self) -> LocalStatus:
        status = await asyncio.to_thread(read_status, self.folder)
        assert status is not None
        return status

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Agent]:
        self.boots += 1
        identity = Identity(
            agent_id=AGENT,
            boot_id=f"boot{self.boots}",
            hostname="host",
            version="1.0",
            tags=self.settings.tags,
        )
        agent = Agent(
            Parts(
                settings=self.settings,
                identity=identity,
                collector=self.collector,
                spool=self.spool,
                sink=self.sink,
                clock=self.clock,
                rng=Random(1),
            )
        )
        stop = asyncio.Event()
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            task = group.create_task(agent.run(stop))
            yield agent
            stop.set()
            await task

    def _collector(self) -> ScriptedCollector:
        events = [
            Event("connection", self.start_us + step * 1_000, None, {}) for step in range(2_000)
        ]
        return ScriptedCollector(events, clock=self.clock, kinds=KINDS)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.spool.close()


async def test_run_ends_with_a_batch_that_reaches_its_end_exactly(bench: Bench) -> None:
    async with bench.running():
        end_us = bench.want(2)
        batches = await bench.until_covered(end_us)
        assert batches[-1].header.to_us == end_us
        assert [batch.header.sequence for batch in batches] == list(range(1, len(batches) + 1))
        assert batches[0].header.boot_id == "boot1"
        times = [row["ts_us"] for batch in batches for row in batch.rows()]
        first, last = batches[0].header.from_us, end_us
        script = [event.ts_us for event in bench.collector.events]
        assert times == [ts_us for ts_us in script if first <= ts_us < last]


async def test_heartbeat_follows_collecting(bench: Bench) -> None:
    async with bench.running():
        await bench.sink.wait_for(STATUS, 1)
        end_us = bench.want(2)
        await bench.until_covered(end_us)
        await bench.sink.wait_for(STATUS, 3)
    said = bench.said()
    assert [(each["state"], each["collecting"]) for each in said] == [
        ("online", False),
        ("online", True),
        ("online", False),
        ("offline", False),
    ]
    assert said[0]["hostname"] == "host"
    assert said[0]["tags"] == {"Name": "web"}
    assert said[0]["sensors"][0]["name"] == "script"
    assert said[0]["spool"]["batches"] == 0


async def test_stop_in_the_middle_of_a_run_flushes_and_says_goodbye(bench: Bench) -> None:
    async with bench.running():
        bench.want(50)
        await bench.sink.wait_for(TELEMETRY, 1)
    waiting = await asyncio.to_thread(bench.spool.pending, limit=100)
    sent = [batch.header.sequence for batch in bench.batches()]
    assert [entry.sequence for _, entry in waiting] == sent
    assert bench.said()[-1]["state"] == "offline"
    assert bench.collector.stops == 1


async def test_restart_in_the_middle_of_a_run_goes_on_and_sends_the_old_first(
    bench: Bench,
) -> None:
    bench.want(50)
    async with bench.running():
        await bench.sink.wait_for(TELEMETRY, 2)
    before = bench.batches()
    async with bench.running():
        await bench.sink.wait_for(TELEMETRY, len(before) + len(before) + 1)
    after = bench.batches()[len(before) :]
    boots = [batch.header.boot_id for batch in after]
    assert boots == sorted(boots)
    assert set(boots) == {"boot1", "boot2"}
    assert next(b for b in after if b.header.boot_id == "boot2").header.sequence == 1


async def test_stop_waits_a_little_for_acks(tmp_path: Path) -> None:
    bench = await asyncio.to_thread(Bench, tmp_path, stop_timeout_s=5)
    async with bench.running(), asyncio.TaskGroup() as group:
        end_us = bench.want(2)
        sent = await bench.until_covered(end_us)
        group.create_task(_ack_soon(bench, sent[-1]))
    assert (await asyncio.to_thread(bench.spool.stats)).batches == 0
    await asyncio.to_thread(bench.spool.close)


async def _ack_soon(bench: Bench, batch: Batch) -> None:
    await asyncio.sleep(0.01)
    bench.ack(batch)


async def test_broker_that_is_away_does_not_delay_the_stop(bench: Bench) -> None:
    bench.sink.kill()
    async with bench.running():
        await asyncio.sleep(0.01)
    status = await bench.local()
    assert not status.is_connected
    assert "connection refused" in status.problem


async def test_status_file_tells_what_the_agent_does(bench: Bench) -> None:
    async with bench.running() as agent:
        bench.want(50)
        await bench.sink.wait_for(TELEMETRY, 1)
        bench.ack(bench.batches()[0])
        bench.sink.take(Message(topics.control_topic(AGENT), b"{"))
        while agent.control.refused == 0:  # noqa: ASYNC110 (control has no event)
            await asyncio.sleep(0.001)
        status = await bench.local()
        assert status.runs == ("r",)
        assert status.kinds == KINDS
        assert status.is_connected
        assert status.heartbeat.collecting
    status = await bench.local()
    assert status.runs == ()
    assert status.refused_messages == 1
    assert status.last_ack_us is not None
    assert status.sent_batches >= 1


async def test_status_that_cannot_be_written_ends_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread((bench.folder / "status.json.new").mkdir)
    async with bench.running():
        await bench.sink.wait_for(STATUS, 1)
    assert "status.unwritten" in caplog.messages
