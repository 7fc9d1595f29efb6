"""What do psutil, tcpdump, tshark and our agent see of the same short connections, at what cost?

Each watches alone, one after the other in one run, the same traffic: 10,000 connections of about
0.2 ms at 500 a second, made by four processes; every fifth begins with a ClientHello. In a network
namespace made for it, as root. What is not installed is named and left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias

from agent.decode.capture_file import CaptureFile
from agent.decode.facts import ConnectionSeen
from agent.decode.traffic import Traffic
from benchmarks.agent_run import agent_at_work, lost_events
from benchmarks.bench_agent import NO_CEILING
from benchmarks.meter import Meter
from benchmarks.namespaces import ROOT, enter_namespace
from benchmarks.reports import make_parser, write_report
from benchmarks.short_connections import ADDRESS
from rules.telemetry import Batch

PROCESSES = 4
RATE, SECONDS, QUICK_SECONDS = 500, 20.0, 4.0
HELLO_EVERY = 5
READY_S, SETTLE_S = 5.0, 4.0  # before and after the traffic
INSTALL = "not installed: apt install tshark tcpdump"
TSHARK_FILTER = "tls.handshake.type==1 || (tcp.flags.syn==1 && tcp.flags.ack==0)"

Side: TypeAlias = tuple[int | None, int]
"""Pid and local port of a client; None = some process."""


class Truth(NamedTuple):
    """What the traffic was."""

    sides: set[Side]
    hellos: int


class Seen(NamedTuple):
    """What a program has seen: sides, each once, and ClientHellos; None = it does not look."""

    sides: set[Side]
    hellos: int | None = None
    lost: int = 0


class Watcher(NamedTuple):
    """A program at work: its pid, and what ends it and tells what it has seen."""

    pid: int
    finish: Callable[[], Awaitable[Seen]]


class Cell(NamedTuple):
    """One program. CPU is of one core while there was traffic."""

    program: str
    connections: int
    seen: int
    with_process: int
    hellos: int
    hellos_seen: int | None
    lost: int
    cpu_percent: float
    rss_mb: float


Watch: TypeAlias = Callable[[], AbstractAsyncContextManager[Watcher]]


@contextlib.asynccontextmanager
async def run(command: Sequence[str], read: Callable[[IO[bytes]], Seen]) -> AsyncIterator[Watcher]:
    """Run a program that writes what it sees, and is ended by SIGTERM."""
    with tempfile.TemporaryFile() as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=subprocess.DEVNULL, cwd=ROOT
        )

        async def finish() -> Seen:
            process.terminate()
            await process.wait()
            output.seek(0)
            return read(output)

        yield Watcher(process.pid, finish)


def poll_with_psutil(interval_s: float) -> AbstractAsyncContextManager[Watcher]:
    """Watch with psutil, one look after the other."""
    command = [sys.executable, str(ROOT / "benchmarks" / "psutil_poll.py"), str(interval_s)]
    return run(command, lambda file: Seen({tuple(side) for side in map(json.loads, file)}))


def write_with_tcpdump() -> AbstractAsyncContextManager[Watcher]:
    """Watch with tcpdump: it writes packets and reads none of them."""
    command = ["tcpdump", "-i", "lo", "-s", "0", "-B", "4096", "-Z", "root", "-w", "-", "tcp"]
    return run(command, lambda file: Seen(_sides_in(file)))


def _sides_in(capture: IO[bytes]) -> set[Side]:
    traffic = Traffic()
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(capture, copy)
        copy.flush()
        with CaptureFile(Path(copy.name)) as file:
            for ts_us, link, data in file.frames():
                traffic.add(data, link, ts_us)
    facts = traffic.drain()
    return {(None, each.parties.client_port) for each in facts if isinstance(each, ConnectionSeen)}


def read_with_tshark() -> AbstractAsyncContextManager[Watcher]:
    """Watch with tshark: ports of SYN packets, and ClientHellos."""
    fields = ["-T", "fields", "-e", "tcp.srcport", "-e", "tls.handshake.type"]
    return run(["tshark", "-n", "-l", "-i", "lo", "-Y", TSHARK_FILTER, *fields], _tshark_lines)


def _tshark_lines(output: IO[bytes]) -> Seen:
    lines = [line.rstrip(b"\n").split(b"\t") for line in output]
    sides: set[Side] = {(None, int(port)) for port, hello in lines if not hello}
    return Seen(sides, sum(bool(hello) for _, hello in lines))


@contextlib.asynccontextmanager
async def watch_with_agent() -> AsyncIterator[Watcher]:
    """Watch with the whole agent, broker and all, without its ceiling."""
    sides: set[Side] = set()
    counts = {"hellos": 0, "lost": 0}

    def take(batch: Batch) -> None:
        counts["lost"] += lost_events(batch)
        for row in batch.rows():
            if row.get("local_address") != ADDRESS or row.get("direction") != "outbound":
                continue
            counts["hellos"] += row["telemetry"] == "tls_session"
            if row["telemetry"] == "connection" and row["state"] == "closed":
                sides.add((row.get("pid"), row["local_port"]))

    async def finish() -> Seen:
        return Seen(sides, counts["hellos"], counts["lost"])

    async with agent_at_work(NO_CEILING, take, wants_run=True) as pid:
        yield Watcher(pid, finish)


async def make_traffic(seconds: float) -> Truth:
    """Make the connections; return them."""
    rate = str(RATE / PROCESSES)
    command = ("-m", "benchmarks.short_connections", rate, str(seconds), str(HELLO_EVERY))
    running = [
        await asyncio.create_subprocess_exec(sys.executable, *command, stdout=-1, cwd=ROOT)
        for _ in range(PROCESSES)
    ]
    told = [(each.pid, json.loads((await each.communicate())[0])) for each in running]
    sides: set[Side] = {(pid, port) for pid, made in told for port in made["ports"]}
    return Truth(sides, sum(made["hellos"] for _, made in told))


async def measure(program: str, watch: Watch, seconds: float) -> Cell:
    """Let a program watch the traffic alone."""
    async with watch() as watcher:
        await asyncio.sleep(READY_S)
        meter = Meter(watcher.pid)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(meter.watch(), name="memory")
            truth = await make_traffic(seconds)
            cpu_percent = meter.cpu_percent()
            watching.cancel()
        await asyncio.sleep(SETTLE_S)
        seen = await watcher.finish()
    ports = {port for _, port in seen.sides}
    return Cell(
        program=program,
        connections=len(truth.sides),
        seen=sum(port in ports for _, port in truth.sides),
        with_process=len(truth.sides & seen.sides),
        hellos=truth.hellos,
        hellos_seen=seen.hellos,
        lost=seen.lost,
        cpu_percent=round(cpu_percent, 2),
        rss_mb=round(meter.rss_mb, 1),
    )


def choose() -> dict[str, Watch | None]:
    """Return the programs by name; None = not installed."""
    return {
        "psutil, every 1 s": lambda: poll_with_psutil(1.0),
        "psutil, every 0.1 s": lambda: poll_with_psutil(0.1),
        "tcpdump, to a file": write_with_tcpdump if shutil.which("tcpdump") else None,
        "tshark": read_with_tshark if shutil.which("tshark") else None,
        "proctor-agent": watch_with_agent,
    }


def print_cell(cell: Cell) -> None:
    """Print one program."""
    hellos = "-" if cell.hellos_seen is None else f"{cell.hellos_seen:,}"
    print(
        f"{cell.program:<20}{cell.seen:>8,}{cell.with_process:>9,} / {cell.connections:<8,}"
        f"{hellos:>7} / {cell.hellos:<6,}{cell.cpu_percent:>7.2f}{cell.rss_mb:>8.1f}",
        flush=True,
    )


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    found = {"psutil": importlib.metadata.version("psutil")}
    for program in ("tcpdump", "tshark"):
        if shutil.which(program):
            done = subprocess.run([program, "--version"], capture_output=True, check=False)
            found[program] = (done.stdout + done.stderr).decode().splitlines()[0]
    return found


def main() -> None:
    """Measure each program, print the table and write it as JSON."""
    options = make_parser(__doc__, "watchers").parse_args()
    enter_namespace()
    seconds = QUICK_SECONDS if options.quick else SECONDS
    print(
        f"{'program':<20}{'seen':>8}{'with pid / made':>20}{'hellos / made':>16}"
        f"{'CPU %':>7}{'RSS MB':>8}"
    )
    cells: list[Cell] = []
    for program, watch in choose().items():
        if watch is None:
            print(f"{program:<20}  {INSTALL}")
            continue
        cells.append(asyncio.run(measure(program, watch, seconds)))
        print_cell(cells[-1])
    write_report(
        options,
        __doc__,
        "watchers",
        machine={**versions(), "load": Path("/proc/loadavg").read_text().strip()},
        cells=[cell._asdict() for cell in cells],
    )


if __name__ == "__main__":
    main()
