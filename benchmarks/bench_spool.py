"""How fast does the spool take and give batches, next to a table in SQLite (WAL)?

Each cell stores N batches of one size, one append or transaction each, then reads all of them in
order and frees them as acks of 50 would. The median of the repetitions counts.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from agent.spool import Acked, Entry, Spool
from benchmarks.reports import make_parser, write_report
from rules.telemetry.clock import SystemClock

SIZES = (1 << 10, 32 << 10, 256 << 10)
ACKED_TOGETHER = 50


class Plan(NamedTuple):
    """How much each cell stores, and how often it is repeated."""

    bytes_synced: int
    bytes_unsynced: int
    most_batches: int
    repetitions: int


FULL = Plan(16 << 20, 128 << 20, 4_000, 3)
QUICK = Plan(1 << 20, 8 << 20, 200, 1)


class Cell(NamedTuple):
    """One measurement; rates are medians."""

    store: str
    sync: bool
    size_bytes: int
    batches: int
    append_per_s: float
    append_mb_per_s: float
    drain_per_s: float
    drain_mb_per_s: float


def spool_cell(folder: Path, payloads: list[bytes], *, sync: bool) -> tuple[float, float]:
    """Return the seconds that appending and draining take."""
    spool = Spool(folder, max_bytes=1 << 30, max_age_s=86_400, clock=SystemClock(), sync=sync)
    now_us = SystemClock().now_us()
    with contextlib.closing(spool):
        start = time.perf_counter()
        for sequence, payload in enumerate(payloads, start=1):
            spool.append(
                Entry(
                    boot_id="0123456789abcdef",
                    stream="main",
                    sequence=sequence,
                    events=100,
                    from_us=now_us,
                    to_us=now_us + 2_000_000,
                    payload=payload,
                )
            )
        appended = time.perf_counter()
        after = None
        while found := spool.pending(after=after, limit=ACKED_TOGETHER):
            after, last = found[-1]
            spool.free([Acked(last.boot_id, last.stream, last.sequence)])
        return appended - start, time.perf_counter() - appended


def sqlite_cell(folder: Path, payloads: list[bytes], *, sync: bool) -> tuple[float, float]:
    """Return the seconds that inserting and draining take."""
    base = sqlite3.connect(folder / "peer.db", isolation_level=None)
    with contextlib.closing(base):
        base.execute("PRAGMA journal_mode = WAL")
        base.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
        base.execute(
            "CREATE TABLE batch (sequence INTEGER PRIMARY KEY, boot_id, stream, events, from_us,"
            " to_us, payload BLOB)"
        )
        start = time.perf_counter()
        for payload in payloads:
            base.execute(
                "INSERT INTO batch VALUES (NULL, '0123456789abcdef', 'main', 100, 0, 0, ?)",
                (payload,),
            )
        appended = time.perf_counter()
        query = "SELECT * FROM batch ORDER BY sequence LIMIT ?"
        while found := base.execute(query, (ACKED_TOGETHER,)).fetchall():
            base.execute("DELETE FROM batch WHERE sequence <= ?", (found[-1][0],))
        return appended - start, time.perf_counter() - appended


STORES: dict[str, Callable[..., tuple[float, float]]] = {
    "spool": spool_cell,
    "sqlite WAL": sqlite_cell,
}


def measure(store: str, size: int, *, sync: bool, plan: Plan, folder: Path) -> Cell:
    """Return one cell of the table."""
    total = plan.bytes_synced if sync else plan.bytes_unsynced
    rng = random.Random(size)
    payloads = [rng.randbytes(size) for _ in range(min(plan.most_batches, total // size))]
    times = []
    for _ in range(plan.repetitions):
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            times.append(STORES[store](Path(fresh), payloads, sync=sync))
    append_s = statistics.median(append for append, _ in times)
    drain_s = statistics.median(drain for _, drain in times)
    count, megabytes = len(payloads), len(payloads) * size / 1e6
    return Cell(
        store=store,
        sync=sync,
        size_bytes=size,
        batches=count,
        append_per_s=round(count / append_s, 1),
        append_mb_per_s=round(megabytes / append_s, 1),
        drain_per_s=round(count / drain_s, 1),
        drain_mb_per_s=round(megabytes / drain_s, 1),
    )


def print_table(cells: list[Cell]) -> None:
    """Print the cells, the stores side by side."""
    print(
        f"{'batch':>7} {'sync':>5}  {'store':<11}{'append/s':>10}{'MB/s':>8}{'drain/s':>10}", end=""
    )
    print(f"{'MB/s':>8}")
    for cell in cells:
        sync = "yes" if cell.sync else "no"
        print(
            f"{cell.size_bytes >> 10:>4} KB {sync:>5}  {cell.store:<11}{cell.append_per_s:>10,.0f}"
            f"{cell.append_mb_per_s:>8,.1f}{cell.drain_per_s:>10,.0f}{cell.drain_mb_per_s:>8,.1f}"
        )


def main() -> None:
    """Measure every cell, print the table and write it as JSON."""
    parser = make_parser(__doc__, "spool")
    parser.add_argument("--folder", type=Path, help="file system to measure (default: temporary)")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    cells = [
        measure(store, size, sync=sync, plan=plan, folder=options.folder)
        for size in SIZES
        for sync in (True, False)
        for store in STORES
    ]
    print_table(cells)
    write_report(
        options,
        __doc__,
        "spool",
        machine={"sqlite": sqlite3.sqlite_version},
        cells=[cell._asdict() for cell in cells],
    )


if __name__ == "__main__":
    main()
