"""What the server does between broker and store, without either."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import msgspec
import pytest

from analyzer.errors import JudgedError
from analyzer.ingest.mqtt import BrokerAddress, Message
from analyzer.server.tasks import Server
from analyzer.store import MemoryStore
from rules.telemetry import ManualClock, topics

NOW_US = 1_000_000_000


class Bench:
    """A server whose messages are kept instead of sent."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock(NOW_US)
        self.server = Server(
            store=self.store,
            data=folder,
            broker=BrokerAddress("127.0.0.1", 1),
            packages=[],
            clock=self.clock,
            rng=Random(1),
        )
        self.sent: list[str] = []
        monkeypatch.setattr(
            self.server.link, "send", lambda topic, *_, **__: self.sent.append(topic)
        )

    async def hear(self, *, is_retained: bool = False, **changes: object) -> None:
        status = {"format": 1, "agent_id": "i-1", "state": "online", "now_us": NOW_US, **changes}
        payload = msgspec.json.encode(status)
        message = Message(topics.status_topic("i-1"), payload, is_retained=is_retained)
        await self.server._handle(message)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


async def test_retained_word_of_the_future_keeps_no_agent_alive(bench: Bench) -> None:
    await bench.hear(is_retained=True, now_us=NOW_US + 86_400_000_000)
    (agent,) = await bench.store.agents()
    assert agent.last_seen_us == NOW_US
    await bench.hear(is_retained=True, now_us=5)
    (agent,) = await bench.store.agents()
    assert agent.last_seen_us == 5


async def test_agents_hear_what_is_wanted_while_a_run_cannot_be_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried = asyncio.Event()

    async def refuse(_: object) -> None:
        tried.set()
        raise JudgedError(tmp_path, "cannot be written")

    monkeypatch.setattr(bench.server.run_clock, "tick", refuse)
    await bench.hear()
    task = asyncio.create_task(bench.server._keep_time())
    await tried.wait()
    await asyncio.sleep(0)
    task.cancel()
    assert topics.control_topic("i-1") in bench.sent
