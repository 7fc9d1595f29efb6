"""A data folder with one ended run, made by the run clock itself, for tests that read it."""

import asyncio
from hashlib import sha256

from analyzer.assessments import create_run
from analyzer.data_folder import DataFolder
from analyzer.ingest.accept import Acceptor
from analyzer.ingest.receive import Stored
from analyzer.ingest.segments import SegmentRecord
from analyzer.model import Agent, Run
from analyzer.runs.clock import RunClock
from analyzer.store import Store, open_store
from rules.loader import load_packages
from rules.telemetry import Batch, BatchBuilder, Coverage, Event, Header, ManualClock, Process
from rules.telemetry.wire import encode

S = 1_000_000
START_US = 1_763_955_300 * S
KINDS = ("connection", "imds_request", "listener", "tls_session", "aws_call")
HOSTS = {"i-1": "web-1", "i-2": "db-1"}
TELNET = {
    "direction": "outbound",
    "protocol": "tcp",
    "remote_address": "10.0.0.9",
    "remote_port": 23,
    "state": "opened",
}


def telnet(at_s: float) -> Event:
    process = Process(7, 1, "telnet", "/bin/telnet")
    return Event("connection", START_US + round(at_s * S), process, TELNET)


def imds(at_s: float) -> Event:
    process = Process(8, 1, "app", "/bin/app")
    values = {"remote_address": "169.254.169.254", "imds_version": 1}
    return Event("imds_request", START_US + round(at_s * S), process, values)


def make_run(folder: DataFolder) -> Run:
    """Make a run of ten seconds on two hosts: Telnet and five IMDSv1 requests on the first one."""
    folder.create()
    return asyncio.run(_make_run(folder))


async def _make_run(folder: DataFolder) -> Run:
    store = await open_store(folder.store)
    clock = ManualClock(START_US)
    run_clock = RunClock(
        store=store,
        folder=folder.runs,
        packages=load_packages(),
        acceptor=Acceptor(),
        clock=clock,
    )
    agents = {
        agent_id: Agent(agent_id, "boot", name, "1", {}, True, False, START_US)  # noqa: FBT003
        for agent_id, name in HOSTS.items()
    }
    for agent in agents.values():
        await store.put_agent(agent)
    run = create_run(name="t", duration_s=10, packages=(), now_us=START_US)
    await store.add_run(run)
    await run_clock.tick(agents)
    events = {"i-1": [telnet(2), telnet(4.5), *map(imds, (3, 4, 5, 6, 7))], "i-2": []}
    for sequence, (from_s, to_s) in enumerate(((1, 3), (3, 8), (8, 12)), start=1):
        for agent_id, own in events.items():
            inside = [item for item in own if from_s * S <= item.ts_us - START_US < to_s * S]
            batch = _batch(agent_id, sequence, from_s, to_s, events=inside, run=run.id)
            await _give(run_clock, run.id, batch)
        clock.time_us = START_US + to_s * S
        await run_clock.tick(agents)
    clock.time_us += 120 * S
    for _ in range(4):
        await run_clock.tick(agents)
    return await _ended(store, run)


def _batch(
    agent_id: str, sequence: int, from_s: int, to_s: int, *, events: list[Event], run: str
) -> Batch:
    from_us, to_us = START_US + from_s * S, START_US + to_s * S
    builder = BatchBuilder()
    for event in events:
        builder.add(event)
    coverage = (Coverage("sock_diag", KINDS, from_us, to_us, "on"),)
    header = Header(agent_id, "boot", "main", sequence, from_us, to_us, (run,), KINDS, (), coverage)
    return builder.build(header)


async def _give(run_clock: RunClock, run_id: str, batch: Batch) -> None:
    header = batch.header
    record = SegmentRecord(
        agent_id=header.agent_id,
        boot_id=header.boot_id,
        stream=header.stream,
        sequence=header.sequence,
        received_us=header.to_us,
        payload=encode(batch),
    )
    segment = await asyncio.to_thread(run_clock.log_of(run_id).append_many, [record])
    run_clock.on_stored(Stored(run_id, batch, segment, sha256(record.payload).digest()))


async def _ended(store: Store, run: Run) -> Run:
    found = await store.run(run.id)
    await store.close()
    assert found is not None
    assert found.state.is_final
    return found
