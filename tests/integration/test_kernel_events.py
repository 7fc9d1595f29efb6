"""What this kernel tells of connections and programs, next to what really happened."""

import asyncio
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from agent.collect import HostCollector
from agent.config import Settings
from agent.sensors import PerfSensor, SockDiagSensor
from agent.sensors.perf_rings import KernelRings, OpenRings
from agent.sensors.perf_tracepoints import Tracepoints, find_tracepoints
from agent.sensors.sensor import Sensor, Tools
from rules.telemetry import Coverage, Event, SystemClock
from rules.telemetry.ledger import Intervals, Ledger
from rules.telemetry.recording import Recording, parse_recording
from tests.tracefs import tracefs

ROOT = Path(__file__).parents[2]
TRAFFIC = Path(__file__).with_name("short_connections.py")
KINDS = frozenset({"connection", "listener", "process"})
LOOPBACK = "127.0.0.1"
NOBODY = 65_534
SMALLEST = 64 << 10
LOST, SAMPLE = 2, 9  # PERF_RECORD_LOST, PERF_RECORD_SAMPLE
PATIENCE_S = 60  # of a test on a machine that has other things to do

Side = tuple[int | None, int, int]
"""Pid, local port, remote port."""

pytestmark = [pytest.mark.allow_blocking, pytest.mark.timeout(150)]


class SlowRings(KernelRings):
    """Rings that nobody reads until ``is_read`` is set; they keep what was read, by CPU."""

    is_read = False

    def __init__(self, tracepoints: Tracepoints, total_bytes: int) -> None:
        super().__init__(tracepoints, total_bytes)
        self._counted: dict[int, int] = {}
        self._blocks: dict[int, list[bytes]] = {cpu: [] for cpu in self.cpus}

    def read(self) -> list[bytes]:
        if not self.is_read:
            return []
        # Whatever is counted now was written before the rings are read, or never will be.
        self._counted = {cpu: self._count(place) for place, cpu in enumerate(self.cpus)}
        blocks = [ring.read() for ring in self._rings]
        for cpu, block in zip(self.cpus, blocks, strict=True):
            self._blocks[cpu].append(block)
        return [block for block in blocks if block]

    def lost(self, *cpus: int) -> int:
        """Return the sum of what the kernel's records of losses say."""
        return sum(
            struct.unpack_from("=Q", block, offset + 16)[0]
            for cpu in cpus or self.cpus
            for block in self._blocks[cpu]
            for offset, kind in headers(block)
            if kind == LOST
        )

    def untold(self) -> list[int]:
        """Return the CPUs whose records of losses say less than is missing."""
        return [
            cpu
            for cpu in self.cpus
            if not self._counted or self._counted[cpu] - self._samples(cpu) > self.lost(cpu)
        ]

    def _samples(self, cpu: int) -> int:
        return sum(kind == SAMPLE for each in self._blocks[cpu] for _, kind in headers(each))

    def _count(self, place: int) -> int:
        """Return how many samples the kernel has counted on a CPU, of both tracepoints."""
        both = self._filenos[2 * place : 2 * place + 2]
        return sum(int.from_bytes(os.read(each, 8), sys.byteorder) for each in both)


def headers(block: bytes) -> Iterator[tuple[int, int]]:
    """Yield place and type of each record."""
    offset = 0
    while offset < len(block):
        kind, _, size = struct.unpack_from("=IHH", block, offset)
        yield offset, kind
        offset += size


class Watched:
    """A running collector with kernel events, and what it has told and missed so far."""

    def __init__(self, collector: HostCollector) -> None:
        self.collector = collector
        self.events: list[Event] = []
        self.lost: Counter[str] = Counter()

    async def follow(self) -> None:
        """Take what there is again and again, as an agent does."""
        while True:
            await self.collector.wait(0.1)
            self.take()

    def take(self) -> None:
        self.events += self.collector.drain()
        now_us = SystemClock().now_us()
        for row in self.collector.coverage(now_us - 1, now_us):
            self.lost.update(row.lost or {})

    async def until(self, is_there: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not is_there():
                    await self.collector.wait(0.1)
                    self.take()
        except TimeoutError:
            pytest.fail(f"not told: {self._summary()}")

    def sides(self, direction: str, state: str, ports: Sequence[int]) -> Counter[Side]:
        """Return rows of connections to these listeners: how often each side was told."""
        listening = "local_port" if direction == "inbound" else "remote_port"
        return Counter(
            (event.process and event.process.pid, *_ports(event))
            for event in self.events
            if event.kind == "connection"
            and event.values["direction"] == direction
            and event.values["state"] == state
            and event.values.get(listening) in ports
        )

    def programs(self, state: str, name: str) -> set[int | None]:
        return {
            event.process.pid
            for event in self.events
            if event.kind == "process" and event.values["state"] == state
            if event.process and event.process.name == name
        }

    def _summary(self) -> str:
        told = Counter(
            (event.kind, event.values.get("direction"), event.values["state"])
            for event in self.events
        )
        return f"{told}, lost {self.lost}, sensors {self.collector.reports()}"

    def coverage(self) -> dict[str, Coverage]:
        now_us = SystemClock().now_us()
        return {row.sensor: row for row in self.collector.coverage(now_us - 1, now_us)}


def _ports(event: Event) -> tuple[int, int]:
    return event.values["local_port"], event.values["remote_port"]


@pytest.fixture
def find() -> Iterator[Callable[[], Tracepoints]]:
    """Give the tracepoints of this kernel, or skip where it does not let us listen."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tracefs())
        except OSError as error:
            pytest.skip(f"no tracefs: {error}")
        found = partial(find_tracepoints, [folder])
        capability = PerfSensor(Tools(SystemClock()), find=found).probe()
        if capability.state == "off":
            pytest.skip(capability.reason)
        yield found


async def start(
    find: Callable[[], Tracepoints],
    *,
    open_rings: OpenRings = KernelRings,
    ring_bytes: int = 4 << 20,
) -> Watched:
    def make(tools: Tools) -> Sensor:
        return PerfSensor(tools, find=find, open_rings=open_rings)

    settings = Settings(perf_ring_bytes=ring_bytes)
    collector = HostCollector(SystemClock(), settings, ladders=((make,), (SockDiagSensor,)))
    await collector.start(KINDS)
    return Watched(collector)


@pytest.fixture
async def watched(find: Callable[[], Tracepoints]) -> AsyncIterator[Watched]:
    watched = await start(find)
    yield watched
    await watched.collector.stop()


@contextmanager
def serving(*prefix: str) -> Iterator[tuple[int, int]]:
    """Run a process that answers connections; give its pid and port."""
    command = [*prefix, sys.executable, str(TRAFFIC), "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate()


async def make_connections(
    servers: Sequence[tuple[int, int]],
    *,
    processes: int,
    times: int,
    pause_s: float,
    on_cpu: int | None = None,
) -> tuple[Counter[Side], Counter[Side]]:
    """Make short connections from several processes; return both sides of each."""
    clients: Counter[Side] = Counter()
    answers: Counter[Side] = Counter()
    pinned = [] if on_cpu is None else [str(on_cpu)]

    async def connect(server: int, port: int) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            TRAFFIC,
            "connect",
            *map(str, (port, times, pause_s)),
            *pinned,
            stdout=-1,
        )
        output, _ = await process.communicate()
        for local in map(int, output.split()):
            clients[process.pid, local, port] += 1
            answers[server, port, local] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(processes):
            group.create_task(connect(*servers[number % len(servers)]), name=f"client {number}")
    return clients, answers


async def test_every_short_connection_has_its_processes(watched: Watched) -> None:
    """1,000 connections of about 0.1 ms each."""
    with serving() as first, serving() as second:
        ports = [first[1], second[1]]
        clients, answers = await make_connections(
            [first, second], processes=4, times=250, pause_s=0.002
        )
        await watched.until(
            lambda: watched.sides("inbound", "closed", ports).total() >= answers.total()
        )
        await watched.until(
            lambda: watched.sides("outbound", "closed", ports).total() >= clients.total()
        )

    assert clients.total() == 1_000
    assert watched.sides("outbound", "opened", ports) == clients
    assert watched.sides("outbound", "closed", ports) == clients
    assert watched.sides("inbound", "closed", ports) == answers
    attributions = {
        (event.values["direction"], event.values["state"], event.values["attribution"])
        for event in watched.events
        if event.kind == "connection" and set(ports) & set(_ports(event))
    }
    assert attributions <= {
        ("outbound", "opened", "exact"),
        ("outbound", "closed", "exact"),
        ("inbound", "opened", "listener"),
        ("inbound", "opened", "unknown"),  # the listener has just appeared
        ("inbound", "closed", "exact"),
    }
    assert not watched.lost


async def test_quick_connections_are_told_once_and_no_process_is_wrong(watched: Watched) -> None:
    """8,000 connections at about 4,000 a second, or as many as this machine makes."""
    await check_quick_connections(watched, times=2_000)
    # Nothing may be lost at this speed, unless others keep both CPUs from this process.


async def test_of_lost_connections_no_process_is_wrong(find: Callable[[], Tracepoints]) -> None:
    """Rings so small that records are lost: what is missing is counted, the rest is right."""
    watched = await start(find, ring_bytes=SMALLEST)
    await check_quick_connections(watched, times=500)
    await watched.collector.stop()


async def check_quick_connections(watched: Watched, times: int) -> None:
    with serving() as first, serving() as second:
        ports = [first[1], second[1]]
        following = asyncio.create_task(watched.follow(), name="follow")
        clients, answers = await make_connections(
            [first, second], processes=4, times=times, pause_s=0.0005
        )
        following.cancel()
        truths = {"outbound": clients, "inbound": answers}
        # A connection whose end was lost may never be told: each lost record is one at most.
        await watched.until(
            lambda: all(
                watched.sides(direction, "closed", ports).total() + watched.lost.total()
                >= truth.total()
                for direction, truth in truths.items()
            )
        )
    lost = watched.lost.total()
    for direction, truth in truths.items():
        told = watched.sides(direction, "closed", ports)
        opened = watched.sides(direction, "opened", ports)
        assert truth.total() - lost <= told.total() <= truth.total()
        assert truth.total() - lost <= opened.total() <= truth.total()
        if lost == 0:
            assert told == truth
        else:
            assert all(pid is None for pid, _, _ in told - truth)


def run_often(path: str, times: int) -> set[int | None]:
    """Run a program again and again; return its pids."""
    made: set[int | None] = set()
    for _ in range(times):
        with subprocess.Popen([path]) as process:
            made.add(process.pid)
    return made


async def test_every_short_program_has_its_name(watched: Watched) -> None:
    """500 programs that end before anybody could look at them."""
    true = shutil.which("true")
    assert true is not None
    resolved = await asyncio.to_thread(os.path.realpath, true)
    made = await asyncio.to_thread(run_often, true, 500)
    await watched.until(lambda: made <= watched.programs("exited", "true"))

    assert made <= watched.programs("started", "true")
    started = [
        event
        for event in watched.events
        if event.process and event.process.pid in made and event.values["state"] == "started"
    ]
    assert len(started) == 500
    assert {event.process and event.process.parent_pid for event in started} == {os.getpid()}
    # /bin/true, and what /proc makes of it.
    assert {event.process and event.process.path for event in started} <= {true, resolved}


async def test_connections_of_another_namespace_are_told(watched: Watched) -> None:
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        pytest.skip("root and unshare are needed to make a network namespace")
    process = await asyncio.create_subprocess_exec(
        unshare, "--net", sys.executable, TRAFFIC, "alone", "100", stdout=-1
    )
    output, _ = await process.communicate()
    server, port, *ports = map(int, output.split())
    for direction in ("outbound", "inbound"):
        await watched.until(
            lambda direction=direction: (  # type: ignore[misc]
                watched.sides(direction, "closed", [port]).total() >= len(ports)
            )
        )

    assert len(ports) == 100
    assert watched.sides("outbound", "closed", [port]) == Counter(
        (process.pid, local, port) for local in ports
    )
    assert watched.sides("inbound", "closed", [port]) == Counter(
        (server, port, remote) for remote in ports
    )


async def tell_losses(watched: Watched, rings: SlowRings, server: tuple[int, int]) -> None:
    """Read the rings until each has told what it lost.

    The kernel tells of losses with the next record of the CPU that has lost: a connection is made
    on each such CPU.
    """
    rings.is_read = True
    async with asyncio.timeout(PATIENCE_S):
        while cpus := rings.untold():
            for cpu in cpus:
                await make_connections([server], processes=1, times=1, pause_s=0, on_cpu=cpu)
            await watched.collector.wait(0.1)
            watched.events += watched.collector.drain()


async def test_losses_of_the_kernel_stand_in_the_ledger(find: Callable[[], Tracepoints]) -> None:
    made: list[SlowRings] = []

    def open_rings(tracepoints: Tracepoints, total_bytes: int) -> SlowRings:
        made.append(SlowRings(tracepoints, total_bytes))
        return made[-1]

    watched = await start(find, open_rings=open_rings, ring_bytes=SMALLEST)
    rings = made[-1]
    with serving() as server:
        await make_connections([server], processes=2, times=1_000, pause_s=0)
        await tell_losses(watched, rings, server)
    await watched.collector.stop()

    now_us = SystemClock().now_us()
    rows = watched.collector.coverage(now_us - 1_000, now_us)
    ledger = Ledger(now_us - 1_000, now_us)
    ledger.add_host("h-1", watched=Intervals([(now_us - 1_000, now_us)]), kinds=KINDS)
    for row in rows:
        ledger.add_coverage("h-1", row)
    assert ledger.lost("h-1")["ring_full"] == rings.lost() > 0
    assert {row.state for row in rows if row.sensor == "perf"} == {"degraded"}
    assert ledger.share("h-1", "process", absence=True) == 0
    assert ledger.share("h-1", "process") == 1


def run_agent(*arguments: str, capabilities: str) -> subprocess.Popen[bytes]:
    """Run ``proctor-agent`` as nobody, with some capabilities, where tracefs is mounted."""
    unshare, setpriv = shutil.which("unshare"), shutil.which("setpriv")
    if os.geteuid() != 0 or unshare is None or setpriv is None:
        pytest.skip("root, setpriv and unshare are needed to become nobody")
    mount = "[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing"
    options = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if capabilities:
        options += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
    code = "from agent.cli import main; raise SystemExit(main())"
    return subprocess.Popen(
        [
            unshare,
            "--mount",
            "sh",
            "-c",
            f'{mount}; exec "$@"',
            "sh",
            setpriv,
            *options,
            sys.executable,
            "-c",
            code,
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )


def capture(capabilities: str) -> tuple[Recording, int, int]:
    """Capture as nobody while this process connects to itself; give both ports."""
    arguments = ("capture", "--for", "2s", "--no-probe", "--agent-id", "h-1")
    with run_agent(*arguments, capabilities=capabilities) as agent:
        assert agent.stderr is not None
        while agent.stderr.readline() != b"ready\n":
            assert agent.poll() is None
        with (
            socket.create_server((LOOPBACK, 0)) as server,
            socket.create_connection(server.getsockname()) as client,
            server.accept()[0],
        ):
            port, local = server.getsockname()[1], client.getsockname()[1]
        output, _ = agent.communicate(timeout=PATIENCE_S)
    return parse_recording(output.splitlines()), port, local


@pytest.mark.usefixtures("find")
def test_nobody_with_three_capabilities_hears_the_kernel() -> None:
    recording, port, local = capture("+perfmon,+sys_ptrace,+dac_read_search")

    rows = [row for row in recording.rows if row.get("remote_port") == port]
    assert [(row["state"], row["attribution"], row["pid"]) for row in rows] == [
        ("opened", "exact", os.getpid()),
        ("closed", "exact", os.getpid()),
    ]
    assert {row["local_port"] for row in rows} == {local}


@pytest.mark.parametrize(
    ("capabilities", "why"),
    [
        ("", "/sys/kernel/tracing may not be read"),
        ("+dac_read_search", "the kernel refuses to open an event: Permission denied"),
    ],
    ids=["none", "no perfmon"],
)
@pytest.mark.usefixtures("find")
def test_nobody_without_them_falls_back_and_says_why(
    capabilities: str, why: str, tmp_path: Path
) -> None:
    recording, port, local = capture(capabilities)

    rows = [row for row in recording.rows if row.get("remote_port") == port]
    assert {row["source"] for row in rows} == {"sock_diag"}
    assert {row["local_port"] for row in rows} == {local}
    states = {(row.sensor, row.state, row.method) for _, row in recording.coverage}
    assert ("perf", "off", why) in states
    with run_agent("doctor", "--state-dir", str(tmp_path), capabilities=capabilities) as agent:
        output, _ = agent.communicate(timeout=PATIENCE_S)
    text = " ".join(output.decode().split())
    assert why in text
    assert "--ambient-caps=+perfmon,+sys_ptrace,+dac_read_search" in text
