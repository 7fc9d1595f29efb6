"""How much telemetry does a served analyzer take over MQTT, to its durable acknowledgement?

Eight made-up agents publish batches of 10,000 connection events, encoded before, with QoS 1 over
the embedded broker into a run that collects. The clock stops when the analyzer has told every agent
that all of its batches are on disk; judging goes on beside it. Encoding is not in the figures.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from aiomqtt import Client

from analyzer.store import open_store
from benchmarks.connections import SPAN_US, START_US, make_events
from benchmarks.reports import make_parser, write_report
from rules.telemetry import Batch, BatchBuilder, Event, Header, topics
from rules.telemetry.wire import encode
from tests.aws_server import AwsServer, aws_server

AGENTS = 8
SIZES = (1_000, 10_000)
KINDS = ("aws_call", "connection", "imds_request", "listener", "tls_session")
STREAM, BOOT = "main", "b" * 32
STEP_US = 100_000  # what a batch covers
READY_S = 60
ACKED_S = 300  # far longer than any load takes


@dataclass(frozen=True)
class Load:
    """What is sent: payloads by agent, in order."""

    payloads: dict[str, list[bytes]]
    events: int

    @property
    def size_bytes(self) -> int:
        """Return the bytes of all payloads."""
        return sum(len(payload) for own in self.payloads.values() for payload in own)


def make_load(run_id: str, from_us: int, *, batches: int, size: int) -> Load:
    """Return batches of every agent, one after the other from a moment on."""
    events = make_events(size, seed=1)
    payloads = {
        agent_id: [
            encode(_batch(agent_id, run_id, number, from_us + number * STEP_US, events))
            for number in range(batches)
        ]
        for agent_id in agent_ids()
    }
    return Load(payloads, AGENTS * batches * size)


def _batch(agent_id: str, run_id: str, number: int, from_us: int, events: Sequence[Event]) -> Batch:
    builder = BatchBuilder()
    for event in events:
        at_us = from_us + (event.ts_us - START_US) * STEP_US // SPAN_US
        builder.add(Event(event.kind, at_us, event.process, event.values))
    header = Header(
        agent_id, BOOT, STREAM, number + 1, from_us, from_us + STEP_US, (run_id,), KINDS
    )
    return builder.build(header)


def agent_ids() -> list[str]:
    """Return the agents' ids."""
    return [f"i-{number:04d}" for number in range(AGENTS)]


async def announce(client: Client, server: AwsServer) -> None:
    """Let the analyzer know the agents; return when it knows them all.

    They are told of again until then: what is said while a broker takes up a subscription can be
    lost.
    """
    store = await open_store(server.data.database())
    try:
        async with asyncio.timeout(READY_S):
            while True:
                await tell(client)
                await asyncio.sleep(1)
                if set(agent_ids()) <= {each.agent_id for each in await store.agents()}:
                    return
    finally:
        await store.close()


async def tell(client: Client) -> None:
    """Send a heartbeat of every agent."""
    for agent_id in agent_ids():
        status = {
            "format": 1,
            "agent_id": agent_id,
            "state": "online",
            "boot_id": BOOT,
            "now_us": time.time_ns() // 1_000,
        }
        await client.publish(topics.status_topic(agent_id), json.dumps(status), qos=1, retain=True)


async def wanted(client: Client) -> tuple[str, int]:
    """Return the run that the agents are wanted for, and its begin."""
    await client.subscribe(topics.control_topic("+"), qos=1)
    async for message in client.messages:
        runs = json.loads(bytes(message.payload))["runs"]
        if runs:
            return str(runs[0]["run"]), int(runs[0]["from_us"])
    raise SystemExit("the broker hung up")


async def publish(url: str, load: Load) -> float:
    """Return how long it took until everything was acknowledged, in seconds."""
    place = urlsplit(url)
    left = {agent_id: len(own) for agent_id, own in load.payloads.items()}
    async with Client(str(place.hostname), place.port or 1883) as client:
        await client.subscribe(topics.ack_topic("+"), qos=1)
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for agent_id, own in load.payloads.items():
                group.create_task(_send(client, agent_id, own), name=agent_id)
            async for message in client.messages:
                agent_id = message.topic.value.rpartition("/")[2]
                acks = json.loads(bytes(message.payload))["acks"]
                high = max((ack["high"] for ack in acks if ack["boot_id"] == BOOT), default=0)
                if high >= len(load.payloads[agent_id]):
                    left.pop(agent_id, None)
                if not left:
                    return time.perf_counter() - begin
    raise SystemExit("the broker hung up")


async def _send(client: Client, agent_id: str, payloads: Sequence[bytes]) -> None:
    for payload in payloads:
        await client.publish(topics.telemetry_topic(agent_id), payload, qos=1)


async def measure(server: AwsServer, *, batches: int, size: int) -> dict[str, float]:
    """Return the figures of one load, sent to a run of its own."""
    place = urlsplit(server.note.broker_url)
    async with Client(str(place.hostname), place.port or 1883) as client:
        await announce(client, server)
        await asyncio.to_thread(server.proctor, "runs", "start", "--for", "10m")
        run_id, from_us = await asyncio.wait_for(wanted(client), READY_S)
        load = await asyncio.to_thread(make_load, run_id, from_us, batches=batches, size=size)
        await tell(client)
    spent_s = await asyncio.wait_for(publish(server.note.broker_url, load), ACKED_S)
    return {
        "events_per_batch": size,
        "batches_per_s": round(AGENTS * batches / spent_s, 1),
        "events_per_s": round(load.events / spent_s),
        "mb_per_s": round(load.size_bytes / spent_s / 1e6, 2),
    }


def main() -> None:
    """Measure, print, and write the report."""
    options = make_parser(__doc__, "ingest").parse_args()
    batches, rounds = (5, 1) if options.quick else (25, 3)
    measured = []
    for size in SIZES:
        figures = []
        for _ in range(rounds):  # a server of its own each: nothing of the last load is left
            with tempfile.TemporaryDirectory() as folder, aws_server(Path(folder)) as server:
                figures.append(asyncio.run(measure(server, batches=batches, size=size)))
        middle = statistics.median_high(each["events_per_s"] for each in figures)
        best = next(each for each in figures if each["events_per_s"] == middle)
        measured.append(best)
        print(", ".join(f"{name} {value:,}" for name, value in best.items()))
    write_report(options, __doc__, "ingest", agents=AGENTS, loads=measured)


if __name__ == "__main__":
    main()
