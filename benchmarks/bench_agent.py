"""What does an agent cost a host: CPU and memory, idle and at up to 10,000 events per second?

A real ``proctor-agent run`` with a real broker and something that acknowledges, in a network
namespace made for it. Each short connection has both ends there and makes four events.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.agent_run import agent_at_work, lost_events
from benchmarks.meter import Meter
from benchmarks.namespaces import ROOT, enter_namespace
from benchmarks.reports import make_parser, write_report
from benchmarks.short_connections import ADDRESS
from rules.telemetry import Batch

SETTLE_S = 4.0  # after load, until every event has arrived: a batch waits up to 2 s
EVENTS_EACH = 4  # of a connection: opened and closed, on both ends
ENDS = 2
MAKER_PER_S = 1_000  # connections that one process makes; more need another one
# Connections whose ports the kernel keeps for a minute. Without this bound it would soon search
# milliseconds for each free port, on both cores, and nobody else would get on.
TIME_WAIT_LIMIT = Path("/proc/sys/net/ipv4/tcp_max_tw_buckets"), "2000"
GOALS = {0: (0.2, 40.0), 100: (0.7, 40.0), 10_000: (25.0, 50.0)}  # CPU %, RSS MB by events/s
NO_CEILING = ("--cpu-ceiling-percent", "0", "--memory-ceiling-bytes", "0")


class Plan(NamedTuple):
    """How long each cell warms up and is measured, seconds."""

    warm_up_s: float
    idle_s: float
    load_s: float


FULL = Plan(10, 60, 20)
QUICK = Plan(3, 8, 4)


class Variant(NamedTuple):
    """An agent to measure: its name, its flags, the loads in events per second."""

    program: str
    flags: tuple[str, ...]
    rates: tuple[int, ...]
    wants_run: bool = True


RATES = (0, 100, 1_000, 5_000, 10_000)
VARIANTS = (
    Variant("no run wanted", (), (0,), wants_run=False),
    Variant("in a run", NO_CEILING, RATES),
    Variant("without packets", (*NO_CEILING, "--no-packets"), RATES),
    Variant("with its ceiling of 5 %", (), (10_000,)),
)


class Cell(NamedTuple):
    """One agent at one load. CPU is of one core; RSS is the greatest sum of VmRSS."""

    program: str
    events_per_s: int
    reached_per_s: float
    seconds: float
    cpu_percent: float
    rss_mb: float
    ends_made: int
    ends_told: int
    lost: int
    other_events: int


class Told:
    """What has arrived of an agent: ends of the load, losses, and what else the host did."""

    def __init__(self) -> None:
        self.ends = self.lost = self.others = 0

    def take(self, batch: Batch) -> None:
        """Count a batch."""
        self.lost += lost_events(batch)
        for row in batch.rows():
            is_load = row["telemetry"] == "connection" and row.get("local_address") == ADDRESS
            self.ends += is_load and row.get("state") == "closed"
            self.others += not is_load


async def load(events_per_s: int, seconds: float) -> int:
    """Make load in processes of its own for ``seconds``; return the number of connections."""
    if not events_per_s:
        await asyncio.sleep(seconds)
        return 0
    rate = events_per_s / EVENTS_EACH
    makers = -int(-rate // MAKER_PER_S)
    command = ("-m", "benchmarks.short_connections", str(rate / makers), str(seconds))
    running = [
        await asyncio.create_subprocess_exec(sys.executable, *command, stdout=-1, cwd=ROOT)
        for _ in range(makers)
    ]
    outputs = [await process.communicate() for process in running]
    return sum(len(json.loads(output)["ports"]) for output, _ in outputs)


async def measure(variant: Variant, pid: int, rate: int, told: Told, plan: Plan) -> Cell:
    """Measure one cell of an agent that is warm."""
    before = told.ends, told.lost, told.others
    seconds = plan.load_s if rate else plan.idle_s
    meter = Meter(pid)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(meter.watch(), name="memory")
        made = await load(rate, seconds)
        cpu_percent = meter.cpu_percent()
        watching.cancel()
    await asyncio.sleep(SETTLE_S if rate else 0)
    return Cell(
        program=variant.program,
        events_per_s=rate,
        reached_per_s=round(made * EVENTS_EACH / seconds),
        seconds=seconds,
        cpu_percent=round(cpu_percent, 3),
        rss_mb=round(meter.rss_mb, 1),
        ends_made=made * ENDS,
        ends_told=told.ends - before[0],
        lost=told.lost - before[1],
        other_events=told.others - before[2],
    )


async def measure_variants(variants: Iterable[Variant], plan: Plan) -> list[Cell]:
    """Measure each agent at each of its loads, one after the other."""
    cells: list[Cell] = []
    for variant in variants:
        told = Told()
        async with agent_at_work(variant.flags, told.take, wants_run=variant.wants_run) as pid:
            await asyncio.sleep(plan.warm_up_s)
            for rate in variant.rates:
                cells.append(await measure(variant, pid, rate, told, plan))
                print_cell(cells[-1])
    return cells


def print_cell(cell: Cell) -> None:
    """Print one cell, and whether it meets its goal."""
    goal = GOALS.get(cell.events_per_s) if cell.program == "in a run" else None
    words = ""
    if goal:
        is_met = cell.cpu_percent <= goal[0] and cell.rss_mb <= goal[1]
        words = f"  goal {goal[0]} %, {goal[1]:.0f} MB: {'met' if is_met else 'missed'}"
    print(
        f"{cell.program:<24}{cell.events_per_s:>7,}{cell.reached_per_s:>8,.0f}"
        f"{cell.cpu_percent:>8.2f}{cell.rss_mb:>8.1f}{cell.ends_told:>9,} / {cell.ends_made:<8,}"
        f"{cell.lost:>6,}{cell.other_events:>7,}{words}",
        flush=True,
    )


def main() -> None:
    """Measure every cell, print the table and write it as JSON."""
    options = make_parser(__doc__, "agent").parse_args()
    enter_namespace()
    path, limit = TIME_WAIT_LIMIT
    path.write_text(limit)
    print(
        f"{'agent':<24}{'asked/s':>7}{'made/s':>8}{'CPU %':>8}{'RSS MB':>8}"
        f"{'ends told / made':>20}{'lost':>6}{'others':>7}"
    )
    cells = asyncio.run(measure_variants(VARIANTS, QUICK if options.quick else FULL))
    write_report(
        options,
        __doc__,
        "agent",
        machine={"load": Path("/proc/loadavg").read_text().strip(), "uid": str(os.geteuid())},
        goals={str(rate): goal for rate, goal in GOALS.items()},
        cells=[cell._asdict() for cell in cells],
    )


if __name__ == "__main__":
    main()
