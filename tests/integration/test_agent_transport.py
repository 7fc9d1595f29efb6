"""The way from an agent over a real broker and back: nothing is lost, whatever breaks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from agent.config import Settings
from agent.runtime import Parts
from agent.sinks.mqtt import MqttSink
from rules.telemetry import Batch, Event, SystemClock
from rules.telemetry.ledger import Intervals
from tests import agents, brokers
from tests.acknowledger import Acknowledger
from tests.brokers import Broker
from tests.collectors import ScriptedCollector

AGENT = "h-1"
KINDS = ("connection",)
EVENT_EVERY_US = 1_000

pytestmark = pytest.mark.timeout(120)  # on a machine that has other things to do


@pytest.fixture(params=brokers.BROKERS)
async def broker(
    request: pytest.FixtureRequest, service: Callable[[str], Path], tmp_path: Path
) -> AsyncIterator[Broker]:
    folder = tmp_path / "broker"
    await asyncio.to_thread(folder.mkdir)
    with brokers.running(request.param, service(request.param), folder) as running:
        yield running


def _settings(broker: Broker, folder: Path, *, ack_timeout_s: float = 1) -> Settings:
    return Settings(
        agent_id=AGENT,
        broker_url=broker.url,
        state_dir=str(folder),
        batch_max_age_s=0.05,
        batch_idle_age_s=0.1,
        drain_interval_s=0.01,
        reconnect_max_s=0.5,
        ack_timeout_s=ack_timeout_s,
        heartbeat_interval_s=0.5,
        stop_timeout_s=5,
    )


def _script(now_us: int, seconds: float) -> ScriptedCollector:
    """Return a host with an event each millisecond."""
    times = range(now_us, now_us + int(seconds * 1e6), EVENT_EVERY_US)
    events = [Event("connection", ts_us, None, {"remote_port": 443}) for ts_us in times]
    return ScriptedCollector(events, clock=SystemClock(), kinds=KINDS)


@asynccontextmanager
async def _analyzer(broker: Broker) -> AsyncIterator[Acknowledger]:
    settings = Settings(broker_url=broker.url)
    analyzer = Acknowledger(MqttSink(settings, identifier="analyzer"), agent_id=AGENT)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(analyzer.run())
        yield analyzer
        task.cancel()


def _check_whole(batches: list[Batch], collector: ScriptedCollector, to_us: int) -> None:
    """Check that batches of one boot cover a span with every event of the script in it."""
    headers = [batch.header for batch in batches]
    assert [header.sequence for header in headers] == list(range(1, len(headers) + 1))
    assert all(left.to_us == right.from_us for left, right in pairwise(headers))
    assert headers[-1].to_us == to_us
    from_us = headers[0].from_us
    times = [row["ts_us"] for batch in batches for row in batch.rows()]
    script = [event.ts_us for event in collector.events]
    # What the collector saw between its own start and the first interval is told at its begin.
    assert [ts_us for ts_us in times if ts_us > from_us] == [
        ts_us for ts_us in script if from_us < ts_us < to_us
    ]


async def _until(condition: Callable[[], object]) -> None:
    """Wait for what has no event; the condition may look at a disk."""
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def _has_more(analyzer: Acknowledger, than: int) -> bool:
    return len(analyzer.batches) > than


async def _until_empty(parts: Parts) -> None:
    await _until(lambda: parts.spool.stats().batches == 0)


async def test_batches_reach_the_analyzer_and_are_freed(broker: Broker, tmp_path: Path) -> None:
    now_us = SystemClock().now_us()
    collector = _script(now_us, 5)
    settings = _settings(broker, tmp_path, ack_timeout_s=20)
    sink = MqttSink(settings, identifier=AGENT)
    async with (
        _analyzer(broker) as analyzer,
        agents.scripted(tmp_path, settings=settings, sink=sink, collector=collector) as parts,
    ):
        await _until(lambda: analyzer.statuses)
        analyzer.want(kinds=KINDS, from_us=now_us, to_us=now_us + 1_500_000)
        await analyzer.until_covered(now_us + 1_500_000)
        await _until_empty(parts)
    _check_whole(analyzer.in_order, collector, now_us + 1_500_000)
    assert analyzer.duplicates == 0


async def test_last_word_reaches_the_broker(broker: Broker, tmp_path: Path) -> None:
    settings = _settings(broker, tmp_path)
    sink = MqttSink(settings, identifier=AGENT)
    collector = _script(0, 0)
    async with _analyzer(broker) as analyzer:
        async with agents.scripted(tmp_path, settings=settings, sink=sink, collector=collector):
            await _until(lambda: analyzer.statuses)
        await _until(lambda: analyzer.statuses[-1]["state"] == "offline")
    assert analyzer.statuses[0]["state"] == "online"


async def test_nothing_is_lost_when_the_broker_is_killed(broker: Broker, tmp_path: Path) -> None:
    now_us = SystemClock().now_us()
    collector = _script(now_us, 8)
    settings = _settings(broker, tmp_path)
    sink = MqttSink(settings, identifier=AGENT)
    async with (
        _analyzer(broker) as analyzer,
        agents.scripted(tmp_path, settings=settings, sink=sink, collector=collector) as parts,
    ):
        await _until(lambda: analyzer.statuses)
        analyzer.want(kinds=KINDS, from_us=now_us, to_us=now_us + 600_000_000)
        for _ in range(3):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(broker.kill)
            await asyncio.sleep(0.3)
            before = len(analyzer.batches)
            await asyncio.to_thread(broker.start)
            await _until(partial(_has_more, analyzer, before))
        to_us = SystemClock().now_us() + 3_000_000
        analyzer.want(kinds=KINDS, from_us=now_us, to_us=to_us)
        await analyzer.until_covered(to_us)
        await _until_empty(parts)
    _check_whole(analyzer.in_order, collector, to_us)


async def test_silent_analyzer_is_sent_everything_again(broker: Broker, tmp_path: Path) -> None:
    now_us = SystemClock().now_us()
    collector = _script(now_us, 5)
    settings = _settings(broker, tmp_path, ack_timeout_s=0.3)
    sink = MqttSink(settings, identifier=AGENT)
    async with (
        _analyzer(broker) as analyzer,
        agents.scripted(tmp_path, settings=settings, sink=sink, collector=collector) as parts,
    ):
        analyzer.is_silent = True
        await _until(lambda: analyzer.statuses)
        analyzer.want(kinds=KINDS, from_us=now_us, to_us=now_us + 1_000_000)
        await analyzer.until_covered(now_us + 1_000_000)
        assert (await asyncio.to_thread(parts.spool.stats)).batches == len(analyzer.batches)
        analyzer.is_silent = False
        await _until_empty(parts)
    assert analyzer.duplicates > 0
    _check_whole(analyzer.in_order, collector, now_us + 1_000_000)


async def test_full_spool_drops_the_oldest_and_says_so(broker: Broker, tmp_path: Path) -> None:
    now_us = SystemClock().now_us()
    to_us = now_us + 4_000_000
    collector = _script(now_us, 8)
    settings = _settings(broker, tmp_path)
    sink = MqttSink(settings, identifier=AGENT)
    async with (
        _analyzer(broker) as analyzer,
        agents.scripted(
            tmp_path, settings=settings, sink=sink, collector=collector, spool_bytes=10_000
        ) as parts,
    ):
        await _until(lambda: analyzer.statuses)
        analyzer.want(kinds=KINDS, from_us=now_us, to_us=to_us)
        await _until(lambda: analyzer.batches)
        await asyncio.to_thread(broker.kill)
        await _until(lambda: parts.spool.stats().dropped_batches)
        await asyncio.to_thread(broker.start)
        await analyzer.until_covered(to_us)
        await _until_empty(parts)
        dropped = (await asyncio.to_thread(parts.spool.stats)).dropped_events
    batches = analyzer.in_order
    losses = [loss for batch in batches for loss in batch.header.losses]
    assert {loss.cause for loss in losses} == {"spool_full"} == dropped.keys()
    # What was dropped may have come all the same, without its ack, and what it told of losses is
    # told again then: but nothing goes unmentioned.
    assert sum(loss.events for loss in losses) >= dropped["spool_full"]
    spans = [(batch.header.from_us, batch.header.to_us) for batch in batches]
    told = Intervals([*spans, *((loss.from_us, loss.to_us) for loss in losses)])
    begin_us = spans[0][0]
    assert list(told) == [(begin_us, to_us)]
    script = [event for event in collector.events if begin_us <= event.ts_us < to_us]
    assert sum(len(batch) for batch in batches) + dropped["spool_full"] >= len(script)
