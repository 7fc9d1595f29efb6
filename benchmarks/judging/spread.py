"""Spread: hosts over processes, through the workers that replays use.

In: a task. Out: how much sooner two workers are done than one, with and without their start.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from analyzer.engine.workers import deal, run_processes
from benchmarks.judging.ours import judge_slices
from benchmarks.judging.task import Measured, Task

if TYPE_CHECKING:
    from collections.abc import Sequence


def judge_shard(task: Task, agents: Sequence[str]) -> bytes:
    """Return, as JSON, what judging some hosts of a task's fleet takes."""
    fleet, wanted = task.fleet(), set(agents)
    pieces = [piece for piece in fleet.pieces() if fleet.agents[piece.host] in wanted]
    return msgspec.json.encode(judge_slices(task, fleet, pieces, agents))


def measure_workers(task: Task) -> Measured:
    """Return how much sooner two workers are done; counts are those of both together."""
    fleet = task.fleet()
    sizes = Counter[str]()
    for piece in fleet.pieces():
        sizes[fleet.agents[piece.host]] += piece.events
    (one, one_s), (two, two_s) = (_timed(task, sizes, count) for count in (1, 2))
    judging_s = [max(part.judge_wall_s for part in parts) for parts in (one, two)]
    counts = Counter[str]()
    for part in two:
        counts.update(part.counts)
    return Measured(
        events=sum(part.events for part in two),
        judge_s=sum(part.judge_s for part in two),
        judge_wall_s=judging_s[1],
        conclude_s=sum(part.conclude_s for part in two),
        slices=sum(part.slices for part in two),
        counts=dict(counts),
        peak_rss_bytes=max(part.peak_rss_bytes for part in two),
        figures={
            "times_as_fast_judging": judging_s[0] / judging_s[1],
            "times_as_fast_with_start_and_load": one_s / two_s,
            "wall_s_of_one": judging_s[0],
            "wall_s_of_two": judging_s[1],
        },
    )


def _timed(task: Task, sizes: Counter[str], count: int) -> tuple[list[Measured], float]:
    start_s = time.perf_counter()
    parts = run_processes([partial(judge_shard, task, shard) for shard in deal(sizes, count)])
    took_s = time.perf_counter() - start_s
    return [msgspec.json.decode(part, type=Measured) for part in parts], took_s
