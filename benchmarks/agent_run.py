"""A real agent at work: ``proctor-agent run``, a real broker, and a stand-in for the analyzer.

In: flags of the agent. Out: what arrives of it, batch by batch, each acknowledged.
"""

from __future__ import annotations

import asyncio
import compileall
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from agent.config import Settings
from agent.sinks import Message, Session
from agent.sinks.mqtt import MqttSink
from analyzer.broker import Broker, BrokerSettings
from benchmarks.namespaces import ROOT
from rules.telemetry import Batch, SystemClock, topics
from rules.telemetry.kinds import KINDS
from rules.telemetry.wire import decode

AGENT_ID = "bench"
_CONTROL_AHEAD_US = 1_000_000
_RUN_US = 3_600_000_000

Take = Callable[[Batch], None]


@contextlib.asynccontextmanager
async def agent_at_work(flags: Sequence[str], take: Take, *, wants_run: bool) -> AsyncIterator[int]:
    """Run an agent with a broker of its own; give its pid, and each of its batches to ``take``."""
    compile_agent()
    with tempfile.TemporaryDirectory() as name:
        settings = BrokerSettings(port=0)
        async with Broker(Path(name, "broker"), settings=settings, rng=Random(1)) as broker:
            url = f"mqtt://127.0.0.1:{broker.port}"
            async with _answering(url, take, wants_run=wants_run):
                with _process(Path(name), url, flags) as pid:
                    yield pid


def compile_agent() -> None:
    """Compile the agent's code, as installing it would: else each start compiles it anew."""
    for package in ("agent", "rules"):
        compileall.compile_dir(ROOT / package, quiet=1)


@contextlib.contextmanager
def _process(folder: Path, url: str, flags: Sequence[str]) -> Iterator[int]:
    code = "from agent.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "run", "--agent-id", AGENT_ID]
    command += ["--broker-url", url, "--state-dir", str(folder / "state"), "--log-level", "warning"]
    process = subprocess.Popen([*command, *flags], cwd=ROOT)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextlib.asynccontextmanager
async def _answering(url: str, take: Take, *, wants_run: bool) -> AsyncIterator[None]:
    """Stand in for the analyzer: want a run or none, take what comes, acknowledge it."""
    sink = MqttSink(Settings(broker_url=url), identifier="bench-analyzer", password=None)
    topic = topics.telemetry_topic(AGENT_ID)
    async with (
        sink.open(topics=[topic], will=Message("bench/will", b"")) as session,
        asyncio.TaskGroup() as group,
    ):
        task = group.create_task(_acknowledge(session, take), name="take")
        control = _control(wants_run=wants_run)
        await session.publish(topics.control_topic(AGENT_ID), control, retain=True)
        yield
        task.cancel()


def _control(*, wants_run: bool) -> bytes:
    """Return the control message of one run that needs everything, or of none."""
    from_us = SystemClock().now_us() - _CONTROL_AHEAD_US
    run = {"run": "r", "kinds": sorted(KINDS), "from_us": from_us, "to_us": from_us + _RUN_US}
    return json.dumps({"format": 1, "runs": [run] if wants_run else []}).encode()


async def _acknowledge(session: Session, take: Take) -> None:
    async with contextlib.aclosing(session.messages()) as messages:
        async for _, payload, _ in messages:
            batch = decode(payload)
            header = batch.header
            ack = {"boot_id": header.boot_id, "stream": header.stream, "high": header.sequence}
            text = json.dumps({"format": 1, "acks": [{**ack, "ranges": []}]})
            await session.publish(topics.ack_topic(AGENT_ID), text.encode())
            take(batch)


def lost_events(batch: Batch) -> int:
    """Return how many events a batch says are lost."""
    header = batch.header
    lost = sum(sum((row.lost or {}).values()) for row in header.coverage)
    return lost + sum(loss.events for loss in header.losses)
