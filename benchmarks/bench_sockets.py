"""What does a look at the host's TCP sockets cost, next to psutil and pyroute2?

Processes of their own hold the sockets, in a network namespace made for it (unshare). Each method
is timed over several looks; the median counts. The last line is the cost of a socket's end.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import psutil

from agent.sensors.destroy_events import DestroyEvents
from agent.sensors.netlink import SocketTable
from agent.sensors.socket_owners import SocketOwners
from benchmarks.namespaces import enter_namespace
from benchmarks.reports import make_parser, write_report
from rules.telemetry.clock import SystemClock

HOLDERS = 4
LISTENER_SOCKETS = 1
PSUTIL = "psutil.net_connections"
PYROUTE2 = "pyroute2, without owners"
SHORT_CONNECTIONS = 2_000


class Cell(NamedTuple):
    """One method at one number of sockets."""

    sockets: int
    method: str
    looks: int
    median_ms: float
    cpu_ms: float
    psutil_ratio: float


class Holder:
    """A process that holds sockets and opens two more when told to."""

    def __init__(self, sockets: int) -> None:
        command = [sys.executable, __file__, "--hold", str(sockets)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._await_line()

    def open_pair(self) -> None:
        """Make the process open one more connection to itself."""
        assert self._process.stdin  # noqa: S101 - it was asked for
        self._process.stdin.write("more\n")
        self._process.stdin.flush()
        self._await_line()

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()

    def _await_line(self) -> None:
        assert self._process.stdout  # noqa: S101 - it was asked for
        self._process.stdout.readline()


def hold(sockets: int) -> None:
    """Hold a listener and connections to it, both ends, until standard input ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = socket.create_server(("127.0.0.1", 0), backlog=128)
    kept: list[socket.socket] = []
    for pair in range((sockets - LISTENER_SOCKETS) // 2):
        # Peers of a real host differ, so these do too.
        peer = (f"127.{pair % 199 + 1}.0.{pair % 251 + 1}", 0)
        kept.append(socket.create_connection(server.getsockname(), source_address=peer))
        kept.append(server.accept()[0])
    print("ready", flush=True)
    for _ in sys.stdin:
        kept.append(socket.create_connection(server.getsockname()))
        kept.append(server.accept()[0])
        print("ready", flush=True)


@contextlib.contextmanager
def holders(sockets: int) -> Iterator[list[Holder]]:
    """Run the processes that hold ``sockets`` together."""
    running = [Holder(sockets // HOLDERS) for _ in range(HOLDERS)]
    try:
        yield running
    finally:
        for holder in running:
            holder.close()


def look_without_news(owners: SocketOwners) -> None:
    """Dump all connections and tell their owners."""
    owners.find(row.inode for row in SocketTable().connections())


def look_first() -> None:
    """Dump all connections and find owners that are not known yet."""
    look_without_news(SocketOwners(clock=SystemClock(), budget_s=60))


def methods(holder: Holder) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return what to time, and what to do before each look, by name."""
    table, owners = SocketTable(), SocketOwners(clock=SystemClock(), budget_s=60)
    look_without_news(owners)

    def nothing() -> None:
        return

    def look() -> None:
        look_without_news(owners)

    found: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "netlink listeners": (table.listeners, nothing),
        "netlink connections": (table.connections, nothing),
        "netlink + owners, nothing new": (look, nothing),
        "netlink + owners, one new": (look, holder.open_pair),
        "netlink + owners, first look": (look_first, nothing),
        PSUTIL: (lambda: psutil.net_connections("tcp"), nothing),
    }
    if importlib.util.find_spec("pyroute2"):
        found[PYROUTE2] = (look_with_pyroute2, nothing)
    return found


def look_with_pyroute2() -> None:
    """Dump all connections of both families, as pyroute2 does."""
    from pyroute2 import DiagSocket

    with DiagSocket() as netlink:
        netlink.bind()
        for family in (socket.AF_INET, socket.AF_INET6):
            netlink.get_sock_stats(family=family)


def measure(sockets: int, *, looks: int) -> list[Cell]:
    """Return every method at one number of sockets."""
    times: dict[str, tuple[float, float]] = {}
    with holders(sockets) as running:
        for name, (look, prepare) in methods(running[0]).items():
            times[name] = time_looks(look, prepare, looks=looks)
    return [
        Cell(
            sockets=sockets,
            method=name,
            looks=looks,
            median_ms=round(wall_s * 1e3, 3),
            cpu_ms=round(cpu_s * 1e3, 3),
            psutil_ratio=round(times[PSUTIL][0] / wall_s, 1),
        )
        for name, (wall_s, cpu_s) in times.items()
    ]


def time_looks(
    look: Callable[[], object], prepare: Callable[[], object], *, looks: int
) -> tuple[float, float]:
    """Return the median of wall clock and of CPU seconds."""
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(looks):
        prepare()
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        look()
        walls.append(time.perf_counter() - began_s)
        cpus.append(time.process_time() - began_cpu_s)
    return statistics.median(walls), statistics.median(cpus)


def time_ends(connections: int) -> dict[str, float]:
    """Return how many ends of sockets were told, and what reading one costs."""
    with DestroyEvents() as events, socket.create_server(("127.0.0.1", 0)) as server:
        spent_s = 0.0
        told = 0
        for number in range(connections):
            with socket.create_connection(server.getsockname()), server.accept()[0]:
                pass
            if number % 200 == 199:  # noqa: PLR2004 - as many as a busy host ends in 100 ms
                time.sleep(0.05)
                began_s = time.process_time()
                told += len(events.drain())
                spent_s += time.process_time() - began_s
        return {
            "ended": connections * 2,
            "told": told,
            "lost": events.lost,
            "us_per_end": round(spent_s / max(told, 1) * 1e6, 2),
        }


def print_table(cells: list[Cell], ends: dict[str, float]) -> None:
    """Print the methods under each other, and how many times psutil takes longer."""
    print(f"{'sockets':>7}  {'method':<31}{'median ms':>10}{'CPU ms':>10}{'psutil x':>10}")
    for cell in cells:
        print(
            f"{cell.sockets:>7,}  {cell.method:<31}{cell.median_ms:>10,.2f}{cell.cpu_ms:>10,.2f}"
            f"{cell.psutil_ratio:>10,.1f}"
        )
    print(
        f"{ends['told']:,} of {ends['ended']:,} ends of sockets told, {ends['lost']} lost, "
        f"{ends['us_per_end']} µs each"
    )


def main() -> None:
    """Measure every cell, print the table and write it as JSON."""
    parser = make_parser(__doc__, "sockets")
    parser.add_argument("--hold", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hold is not None:
        hold(options.hold)
        return
    enter_namespace()
    sizes, looks = ((100, 5_000), 3) if options.quick else ((100, 5_000, 30_000), 7)
    cells = [cell for sockets in sizes for cell in measure(sockets, looks=looks)]
    ends = time_ends(SHORT_CONNECTIONS)
    print_table(cells, ends)
    write_report(
        options,
        __doc__,
        "sockets",
        machine={"psutil": psutil.__version__},
        cells=[cell._asdict() for cell in cells],
        ends=ends,
    )


if __name__ == "__main__":
    main()
