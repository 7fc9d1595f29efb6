"""The way from the spool to the broker: order, limits, repetition, and what frees a batch."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agent.config import Settings
from agent.control import Control
from agent.publish import Publisher, State, pause_s
from agent.sinks import Message
from agent.sinks.memory import MemorySink
from agent.spool import Entry, Spool
from rules.telemetry import topics
from rules.telemetry.clock import SystemClock

AGENT = "h-1"
TELEMETRY = topics.telemetry_topic(AGENT)
STATUS = topics.status_topic(AGENT)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path, max_bytes=1 << 20, max_age_s=3600, clock=SystemClock(), sync=False)
    yield opened
    opened.close()


class Bench:
    """A publisher between a spool and a broker in memory."""

    def __init__(self, spool: Spool, **settings: Any) -> None:  # noqa: ANN401
        self.spool = spool
        self.sink = MemorySink()
        self.control = Control()
        self.control_changes = 0
        self.links: list[tuple[bool, str]] = []
        self.publisher = Publisher(
            sink=self.sink,
            spool=spool,
            agent_id=AGENT,
            settings=Settings(**{"reconnect_max_s": 0.001, "ack_timeout_s": 10, **settings}),
            control=self.control,
            on_control=self._count_control,
            on_link=self._note_link,
            status=self._status,
            clock=SystemClock(),
            rng=Random(7),
        )

    async def fill(self, *sequences: int) -> None:
        await asyncio.to_thread(self._append, *sequences)
        self.publisher.wake()

    def _append(self, *sequences: int) -> None:
        now_us = SystemClock().now_us()
        for sequence in sequences:
            self.spool.append(
                Entry(
                    boot_id="b",
                    stream="main",
                    sequence=sequence,
                    events=2,
                    from_us=now_us,
                    to_us=now_us + 1,
                    payload=b"batch %d" % sequence,
                )
            )

    def say(self, **ack: Any) -> None:  # noqa: ANN401
        payload = json.dumps({"format": 1, **ack}).encode()
        self.sink.take(Message(topics.ack_topic(AGENT), payload))

    def ack(self, high: int, *ranges: tuple[int, int]) -> None:
        self.say(acks=[{"boot_id": "b", "stream": "main", "high": high, "ranges": ranges}])

    async def sent(self, count: int) -> list[int]:
        payloads = await self.sink.wait_for(TELEMETRY, count)
        return [int(payload.split()[1]) for payload in payloads]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            task = group.create_task(self.publisher.run())
            yield
            self.publisher.stop()
            await task

    def _note_link(self) -> None:
        self.links.append((self.publisher.stats.is_connected, self.publisher.stats.problem))

    def _count_control(self) -> None:
        self.control_changes += 1

    async def _status(self, state: State) -> bytes:
        return state.encode()


async def _until(condition: Any) -> None:  # noqa: ANN401
    while not condition():  # noqa: ASYNC110 (what is waited for has no event)
        await asyncio.sleep(0.001)  # not 0: that keeps the interpreter from the disk's thread


async def test_batches_go_out_in_order_and_wait_for_the_analyzer(spool: Spool) -> None:
    bench = Bench(spool)
    await bench.fill(1, 2, 3)
    async with bench.running():
        assert await bench.sent(3) == [1, 2, 3]
        assert spool.stats().batches == 3
        bench.ack(2)
        await _until(lambda: spool.stats().batches == 1)
        bench.ack(3)
        await bench.publisher.drain()
    assert spool.stats().batches == 0
    assert bench.publisher.stats.last_ack_us is not None
    assert bench.publisher.stats.sent == 3


async def test_new_batch_goes_out_when_it_comes(spool: Spool) -> None:
    bench = Bench(spool)
    async with bench.running():
        await bench.publisher.drain()
        await bench.fill(1)
        assert await bench.sent(1) == [1]


async def test_no_more_than_the_limit_is_in_flight(spool: Spool) -> None:
    bench = Bench(spool, in_flight=2)
    await bench.fill(1, 2, 3, 4)
    async with bench.running():
        assert await bench.sent(2) == [1, 2]
        bench.ack(0, (2, 2))
        assert await bench.sent(3) == [1, 2, 3]
        bench.ack(3)
        assert await bench.sent(4) == [1, 2, 3, 4]


async def test_everything_unacknowledged_goes_out_again_after_a_break(spool: Spool) -> None:
    bench = Bench(spool)
    await bench.fill(1, 2, 3)
    async with bench.running():
        await bench.sent(3)
        bench.ack(0, (2, 2))
        await _until(lambda: spool.stats().batches == 2)
        bench.sink.kill()
        await _until(lambda: not bench.publisher.stats.is_connected)
        await bench.fill(4)
        bench.sink.start()
        assert (await bench.sent(6))[3:] == [1, 3, 4]
    assert bench.publisher.stats.sessions == 2


async def test_broker_that_is_down_is_tried_again(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(spool)
    bench.sink.kill()
    await bench.fill(1)
    with caplog.at_level(logging.INFO):
        async with bench.running():
            await _until(lambda: bench.publisher.stats.problem)
            await asyncio.sleep(0.005)  # several attempts
            bench.sink.start()
            assert await bench.sent(1) == [1]
            assert bench.publisher.stats.problem == ""
    assert bench.links == [
        (False, "broker memory: connection refused"),
        (True, ""),
        (False, ""),
    ]
    lines = [record.message for record in caplog.records if record.name == "agent.publish"]
    assert lines == ["link.down", "link.up"]


async def test_broker_that_hangs_up_on_a_batch_is_told_with_its_size(spool: Spool) -> None:
    bench = Bench(spool)
    bench.sink.max_bytes = 6
    await bench.fill(1)
    async with bench.running():
        await _until(lambda: bench.publisher.stats.problem)
    assert "a batch of 7 bytes" in bench.publisher.stats.problem


async def test_silent_analyzer_gets_everything_again(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(spool, ack_timeout_s=0.005)
    await bench.fill(1, 2)
    async with bench.running():
        assert (await bench.sent(4))[:4] == [1, 2, 1, 2]
        bench.ack(2)
        await bench.publisher.drain()
    assert bench.publisher.stats.silences >= 1
    assert "ack.silence" in caplog.messages


async def test_rejected_batch_is_freed_and_counted_as_lost(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(spool)
    await bench.fill(1, 2)
    rejections = [
        {"boot_id": "b", "stream": "main", "sequence": number, "reason": "arrow"}
        for number in (1, 2)
    ]
    async with bench.running():
        await bench.sent(2)
        bench.say(rejected=rejections)
        await bench.publisher.drain()
    assert spool.stats().dropped_events == {"rejected": 4}
    assert [drop.events for drop in spool.take_losses().drops] == [4]
    assert bench.publisher.stats.rejected == 2
    assert caplog.messages.count("batch.rejected") == 1


async def test_ack_that_is_none_changes_nothing(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(spool)
    await bench.fill(1)
    async with bench.running():
        await bench.sent(1)
        for _ in range(2):
            bench.sink.take(Message(topics.ack_topic(AGENT), b"{"))
        await _until(lambda: bench.publisher.stats.refused_acks == 2)
    assert spool.stats().batches == 1
    assert caplog.messages.count("ack.refused") == 1


async def test_control_comes_from_its_retained_topic(spool: Spool) -> None:
    bench = Bench(spool)
    run = {"run": "r", "kinds": ["connection"], "from_us": 1, "to_us": 2}
    payload = json.dumps({"format": 1, "runs": [run]}).encode()
    bench.sink.take(Message(topics.control_topic(AGENT), payload), retain=True)
    async with bench.running():
        await _until(lambda: bench.control.runs)
        bench.sink.take(Message(topics.control_topic(AGENT), payload), retain=True)
        bench.sink.take(Message(topics.control_topic(AGENT), b""), retain=True)
        await _until(lambda: not bench.control.runs)
    assert bench.control_changes == 2


async def test_retained_control_that_comes_late_changes_nothing(spool: Spool) -> None:
    bench = Bench(spool)
    run = {"run": "r", "kinds": ["connection"], "from_us": 1, "to_us": 2}
    new = json.dumps({"format": 1, "runs": [run]}).encode()
    topic = topics.control_topic(AGENT)
    async with bench.running():
        await _until(lambda: bench.publisher.stats.is_connected)
        bench.sink.take(Message(topic, new))
        bench.sink.take(Message(topic, b"", is_retained=True))
        bench.ack(0)  # the reader has come past both when it has taken this
        await _until(lambda: bench.publisher.stats.last_ack_us)
    assert [run.run for run in bench.control.runs] == ["r"]


async def test_control_that_got_lost_is_asked_for(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.publish.FIRST_ASK_S", 0.002)
    bench = Bench(spool)
    run = {"run": "r", "kinds": ["connection"], "from_us": 1, "to_us": 2}
    async with bench.running():
        await _until(lambda: bench.publisher.stats.is_connected)
        payload = json.dumps({"format": 1, "runs": [run]}).encode()
        bench.sink.retained[topics.control_topic(AGENT)] = payload  # and nobody is told
        await _until(lambda: bench.control.runs)
    assert [run.run for run in bench.control.runs] == ["r"]


async def test_heartbeat_is_retained_and_says_goodbye(spool: Spool) -> None:
    bench = Bench(spool, heartbeat_interval_s=0.005)
    async with bench.running():
        await bench.sink.wait_for(STATUS, 3)
        assert bench.sink.retained[STATUS] == b"online"
    assert bench.sink.retained[STATUS] == b"offline"


async def test_heartbeat_goes_out_at_once_when_announced(spool: Spool) -> None:
    bench = Bench(spool)
    async with bench.running():
        await bench.sink.wait_for(STATUS, 1)
        bench.publisher.announce()
        await bench.sink.wait_for(STATUS, 2)
        assert bench.sink.retained[STATUS] == b"online"


async def test_broken_connection_leaves_the_will(spool: Spool) -> None:
    bench = Bench(spool)
    async with bench.running():
        await bench.sink.wait_for(STATUS, 1)
        bench.sink.cut()
        assert (await bench.sink.wait_for(STATUS, 3))[:3] == [b"online", b"offline", b"online"]


async def test_spool_that_cannot_be_read_is_tried_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr("agent.publish.SPOOL_RETRY_S", 0.001)
    bench = Bench(spool)
    await bench.fill(1)
    segment, away = tmp_path / "00000001.seg", tmp_path / "away"
    segment.rename(away)
    async with bench.running():
        await _until(lambda: "spool.unreadable" in caplog.messages)
        away.rename(segment)
        assert await bench.sent(1) == [1]
    assert caplog.messages.count("spool.unreadable") == 1


async def test_drain_does_not_wait_for_a_broker_that_is_away(spool: Spool) -> None:
    bench = Bench(spool)
    await bench.fill(1)
    await bench.publisher.drain()
    assert bench.sink.opened == 0
    assert spool.stats().batches == 1


def test_pauses_grow_with_full_jitter_up_to_a_ceiling() -> None:
    rng = Random(1)
    for attempt, bound in ((0, 0.5), (1, 1.0), (3, 4.0), (10, 30.0), (10_000, 30.0)):
        pauses = [pause_s(attempt, ceiling_s=30, rng=rng) for _ in range(200)]
        assert max(pauses) <= bound
        assert max(pauses) > 0.9 * bound
        assert 0.1 <= min(pauses) < 0.1 + 0.1 * bound
