"""Bandwidth: how quickly one core reads memory, which no engine that reads columns can exceed.

In: nothing, and the columns that a pack of rules reads. Out: bytes per second, and bytes per event.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.judging.task import Measured, Task
from benchmarks.peers.peer import needed_columns
from rules.telemetry.event import PROCESS_ROW_KEYS

if TYPE_CHECKING:
    from analyzer.telemetry.slices import Columns, Slice

_ARRAY_BYTES: Final = 1 << 29  # many times the largest cache
_ROUNDS: Final = 5


def measure_bandwidth(task: Task) -> Measured:
    """Return what one core reads, and what an event of a task's fleet takes at least."""
    array = np.arange(_ARRAY_BYTES // 8, dtype=np.uint64)
    times: list[float] = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        array.sum()
        times.append(time.perf_counter() - start)
    fleet = task.fleet()
    needed = needed_columns(task.pack())
    pieces = fleet.pieces()
    read = sum(
        _bytes_read(piece, needed) for piece in fleet.streamed(pieces[:: len(pieces) // 20 + 1])
    )
    events = sum(piece.events for piece in pieces[:: len(pieces) // 20 + 1])
    bytes_per_s = _ARRAY_BYTES / min(times)
    return Measured(
        events=events,
        figures={
            "read_gb_per_s": bytes_per_s / 1e9,
            "bytes_per_event": read / events,
            "limit_events_per_s": bytes_per_s / (read / events),
        },
    )


def _bytes_read(piece: Slice, needed: dict[str, list[str]]) -> int:
    return sum(
        _table_bytes(table, set(needed[kind]))
        for kind, table in piece.tables.items()
        if kind in needed
    )


def _table_bytes(table: Columns, needed: set[str]) -> int:
    size = int(table.ts_us.nbytes)
    if needed & set(PROCESS_ROW_KEYS):
        size += int(table.process.nbytes)
    for name, vector in table.columns.items():
        if name in needed:
            size += int(vector.values.nbytes)
            size += 0 if vector.valid is None else int(vector.valid.nbytes)
    return size
