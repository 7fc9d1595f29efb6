"""What does an agent cost a host: CPU and memory, idle and with short connections?

A real ``proctor-agent run`` with a real broker and something that acknowledges, in a network
namespace made for it. The collector alone, in a process of its own, shows what the sensors take.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from agent.collect import HostCollector
from agent.config import Settings
from agent.sinks import Message, Session
from agent.sinks.mqtt import MqttSink
from analyzer.broker import Broker, BrokerSettings
from benchmarks.reports import make_parser, write_report
from rules.telemetry import SystemClock, topics
from rules.telemetry.kinds import KINDS
from rules.telemetry.wire import decode

ROOT = Path(__file__).resolve().parent.parent
INSIDE = "PROCTOR_BENCH_AGENT_INSIDE"  # set in the process that has its own namespace
AGENT_ID = "bench"
CONTROL_AHEAD_US = 1_000_000
RUN_US = 3_600_000_000
CUT_US = 2_000_000  # between coverage rows of the collector alone
SETTLE_S = 4.0  # after load, until every event has arrived: a batch waits up to 2 s
LOAD_ADDRESS = "127.0.0.9"
SIDES = 2  # of a connection with both ends on this host
SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x41
GOAL_CPU_PERCENT, GOAL_RSS_MB = 0.3, 40.0  # idle


class Plan(NamedTuple):
    """How long each cell warms up and is measured, seconds."""

    warm_up_s: float
    idle_s: float
    load_s: float


FULL = Plan(10, 60, 20)
QUICK = Plan(3, 8, 4)
RATES = (0, 50, 500)


class Cell(NamedTuple):
    """One program at one load. CPU is of one core; RSS is the greatest sum of VmRSS."""

    program: str
    connections_per_s: int
    seconds: float
    cpu_percent: float
    rss_mb: float
    connections_made: int
    sides_told: int
    lost: int


class Told:
    """What has arrived of an agent."""

    def __init__(self) -> None:
        self.closed = 0
        self.lost = 0


@contextlib.contextmanager
def agent_process(folder: Path, url: str) -> Iterator[int]:
    """Run ``proctor-agent run`` and give its pid."""
    code = "from agent.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "run", "--agent-id", AGENT_ID]
    command += ["--broker-url", url, "--state-dir", str(folder / "state"), "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@asynccontextmanager
async def answering(url: str, told: Told, *, wants_run: bool) -> AsyncIterator[None]:
    """Stand in for the analyzer: want a run or none, count what comes, acknowledge it."""
    sink = MqttSink(Settings(broker_url=url), identifier="bench-analyzer", password=None)
    topic = topics.telemetry_topic(AGENT_ID)
    async with (
        sink.open(topics=[topic], will=Message("bench/will", b"")) as session,
        asyncio.TaskGroup() as group,
    ):
        task = group.create_task(take(session, told), name="take")
        await session.publish(topics.control_topic(AGENT_ID), control(wants_run), retain=True)
        yield
        task.cancel()


def control(wants_run: bool) -> bytes:  # noqa: FBT001
    """Return the control message of one run that needs everything, or of none."""
    from_us = SystemClock().now_us() - CONTROL_AHEAD_US
    run = {"run": "r", "kinds": sorted(KINDS), "from_us": from_us, "to_us": from_us + RUN_US}
    return json.dumps({"format": 1, "runs": [run] if wants_run else []}).encode()


async def take(session: Session, told: Told) -> None:
    """Count and acknowledge batches."""
    async with contextlib.aclosing(session.messages()) as messages:
        async for _, payload, _ in messages:
            batch = decode(payload)
            header = batch.header
            ack = {"boot_id": header.boot_id, "stream": header.stream, "high": header.sequence}
            text = json.dumps({"format": 1, "acks": [{**ack, "ranges": []}]})
            await session.publish(topics.ack_topic(AGENT_ID), text.encode())
            told.lost += sum(sum((row.lost or {}).values()) for row in header.coverage)
            told.lost += sum(loss.events for loss in header.losses)
            if "connection" in batch.tables:
                told.closed += sum(row.get("state") == "closed" for row in connections(batch))


def connections(batch: object) -> Iterator[dict[str, object]]:
    """Yield the connection rows of a batch, without those of the broker's own clients."""
    rows = batch.rows()  # type: ignore[attr-defined]
    return (row for row in rows if row["telemetry"] == "connection" and is_load(row))


def is_load(row: dict[str, object]) -> bool:
    """Tell whether a row belongs to the load, which has an address of its own."""
    return row.get("local_address") == LOAD_ADDRESS


def make_load(rate: int, seconds: float) -> None:
    """Open and close connections at a steady rate; print how many there were."""
    server = socket.create_server((LOAD_ADDRESS, 0), backlog=512)
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    made = 0
    begin_s = time.monotonic()
    while (now_s := time.monotonic()) < begin_s + seconds:
        if made < (now_s - begin_s) * rate:
            with socket.create_connection(
                server.getsockname(), source_address=(LOAD_ADDRESS, 0)
            ) as connection:
                connection.sendall(b"0123456789")
                connection.recv(100)
            made += 1
        else:
            time.sleep(0.5 / rate)
    print(made, flush=True)


def serve(server: socket.socket) -> None:
    """Answer each connection and close it."""
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(connection.recv(100))


async def load(rate: int, seconds: float) -> int:
    """Make load in a process of its own for ``seconds``; return the number of connections."""
    if not rate:
        await asyncio.sleep(seconds)
        return 0
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--make-load",
        f"{rate}",
        f"{seconds}",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return int(output)


class Meter:
    """CPU time and memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begin_s = time.monotonic()
        self._begin_cpu_s = self._cpu_s()
        self.rss_mb = 0.0

    async def watch(self) -> None:
        """Keep the greatest memory."""
        while True:
            self.rss_mb = max(self.rss_mb, sum(map(rss_mb, family(self._pid))))
            await asyncio.sleep(1)

    def cpu_percent(self) -> float:
        """Return the share of one core since the meter was made."""
        spent_s = self._cpu_s() - self._begin_cpu_s
        return 100 * spent_s / (time.monotonic() - self._begin_s)

    def _cpu_s(self) -> float:
        # The scheduler's own account: clock ticks of 10 ms would be too coarse.
        return (
            sum(
                int(schedstat.read_text().split()[0])
                for pid in family(self._pid)
                for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat")
            )
            / 1e9
        )


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def rss_mb(pid: int) -> float:
    """Return VmRSS in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1_024 / 1e6


async def measure(program: str, pid: int, rate: int, told: Told, plan: Plan) -> Cell:
    """Measure one cell of a program that is warm."""
    before = told.closed, told.lost
    seconds = plan.load_s if rate else plan.idle_s
    meter = Meter(pid)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(meter.watch(), name="memory")
        made = await load(rate, seconds)
        cpu_percent = meter.cpu_percent()
        watching.cancel()
    await asyncio.sleep(SETTLE_S if rate else 0)
    return Cell(
        program=program,
        connections_per_s=rate,
        seconds=seconds,
        cpu_percent=round(cpu_percent, 3),
        rss_mb=round(meter.rss_mb, 1),
        connections_made=made,
        sides_told=told.closed - before[0],
        lost=told.lost - before[1],
    )


async def measure_agent(plan: Plan) -> list[Cell]:
    """Measure ``proctor-agent run``: without a run, idle in one, and under load."""
    with tempfile.TemporaryDirectory() as name:
        settings = BrokerSettings(port=0)
        async with Broker(Path(name, "broker"), settings=settings, rng=Random(1)) as broker:
            url = f"mqtt://127.0.0.1:{broker.port}"
            cells: list[Cell] = []
            for wants_run in (False, True):
                told = Told()
                async with answering(url, told, wants_run=wants_run):
                    with agent_process(Path(name), url) as pid:
                        await asyncio.sleep(plan.warm_up_s)
                        program = "agent, in a run" if wants_run else "agent, no run wanted"
                        cells += [
                            await measure(program, pid, rate, told, plan)
                            for rate in (RATES if wants_run else RATES[:1])
                        ]
            return cells


async def measure_collector(plan: Plan) -> list[Cell]:
    """Measure the collector alone."""
    command = [sys.executable, __file__, "--collect"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told = Told()

    async def count() -> None:
        assert process.stdout  # noqa: S101 - it was asked for
        async for line in process.stdout:
            told.closed, told.lost = json.loads(line)

    try:
        async with asyncio.TaskGroup() as group:
            counting = group.create_task(count(), name="count")
            await asyncio.sleep(plan.warm_up_s)
            cells = [
                await measure("collector alone", process.pid, rate, told, plan) for rate in RATES
            ]
            counting.cancel()
    finally:
        process.terminate()
        await process.wait()
    return cells


async def collect() -> None:
    """Run the collector, and print what it has told whenever that changes."""
    clock = SystemClock()
    collector = HostCollector(clock, Settings())
    await collector.start(frozenset(KINDS))
    cut_us = clock.now_us()
    told, shown = Counter[str](), Counter[str]()
    while True:
        await collector.wait(1.0)
        events = collector.drain()
        told["closed"] += sum(
            event.values.get("state") == "closed" and is_load(event.values)
            for event in events
            if event.kind == "connection"
        )
        if clock.now_us() - cut_us > CUT_US:
            from_us, cut_us = cut_us, clock.now_us()
            for row in collector.coverage(from_us, cut_us):
                told["lost"] += sum((row.lost or {}).values())
        if told != shown:
            shown = told.copy()
            print(json.dumps([told["closed"], told["lost"]]), flush=True)


def print_table(cells: list[Cell]) -> None:
    """Print the cells, and whether the idle goals are met."""
    print(
        f"{'program':<22}{'conn/s':>7}{'CPU %':>8}{'RSS MB':>8}{'sides told / made':>20}{'lost':>6}"
    )
    for cell in cells:
        made = f"{cell.sides_told:,} / {cell.connections_made * SIDES:,}"
        print(
            f"{cell.program:<22}{cell.connections_per_s:>7}{cell.cpu_percent:>8.2f}"
            f"{cell.rss_mb:>8.1f}{made:>20}{cell.lost:>6}"
        )
    idle = next(cell for cell in cells if cell.program == "agent, in a run")
    is_met = idle.cpu_percent <= GOAL_CPU_PERCENT and idle.rss_mb <= GOAL_RSS_MB
    goal = f"idle goal: {GOAL_CPU_PERCENT} % of a core, {GOAL_RSS_MB:.0f} MB"
    print(f"{goal}: {'met' if is_met else 'missed'}")


def enter_namespace() -> None:
    """Start again inside a network namespace of one's own, and bring its loopback up."""
    if os.environ.get(INSIDE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))
        return
    unshare = shutil.which("unshare")
    if unshare is None:
        raise SystemExit("bench_agent: unshare is missing (Debian package util-linux)")
    options = ["--net"] if os.geteuid() == 0 else ["--net", "--map-root-user"]
    command = [unshare, *options, sys.executable, *sys.argv]
    os.execve(unshare, command, {**os.environ, INSIDE: "1"})  # noqa: S606


def main() -> None:
    """Measure every cell, print the table and write it as JSON."""
    parser = make_parser(__doc__, "agent")
    parser.add_argument("--make-load", nargs=2, type=float, help=argparse.SUPPRESS)
    parser.add_argument("--collect", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make_load:
        make_load(int(options.make_load[0]), options.make_load[1])
        return
    if options.collect:
        asyncio.run(collect())
        return
    enter_namespace()
    plan = QUICK if options.quick else FULL
    cells = [*asyncio.run(measure_agent(plan)), *asyncio.run(measure_collector(plan))]
    print_table(cells)
    write_report(
        options,
        __doc__,
        "agent",
        goal={"cpu_percent": GOAL_CPU_PERCENT, "rss_mb": GOAL_RSS_MB},
        cells=[cell._asdict() for cell in cells],
    )


if __name__ == "__main__":
    main()
