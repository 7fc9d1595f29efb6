"""Task: one measurement, and what comes of it; both cross a process boundary as JSON.

In: what the benchmark wants to know. Out: the same, with times, memory and counts.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

import msgspec

from benchmarks.fleet.packs import make_rules
from benchmarks.fleet.shape import Shape
from benchmarks.fleet.store import MAX_SLICE, Fleet, Order, open_fleet

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rules.format import Rule

What = Literal["ours", "peer", "wire", "memory", "profile", "bandwidth", "workers"]
_LONG_S: Final = 30.0  # of CPU for all rounds, after which there is no further one
_WALL: Final = 10  # times the limit of CPU: a busy machine must not cut anybody off
REPOSITORY: Final = Path(__file__).parents[2]


class Task(msgspec.Struct, kw_only=True, frozen=True):
    """One measurement.

    Attributes:
        what: Which one.
        events: Of the fleet.
        violating: One event in so many.
        fleet_hosts: Hosts of the fleet.
        folder: Where fleets are kept.
        rules: Size of the pack.
        kinds: Detections to judge; empty = all.
        slice: Largest number of events of a slice.
        order: In which slices arrive.
        hosts: The first ones to judge; None = all.
        peer: Its name, where one is measured.
        rounds: Of which the quickest counts.
        core: To which the process is pinned; None = all of them.
    """

    what: What
    events: int
    folder: str
    violating: int = 3_700
    fleet_hosts: int = 500
    rules: int = 40
    kinds: tuple[str, ...] = ()
    slice: int = MAX_SLICE
    order: Order = "hosts"
    hosts: int | None = None
    peer: str = ""
    rounds: int = 3
    core: int | None = 0

    def fleet(self) -> Fleet:
        """Return the fleet; its data is made where it is missing."""
        shape = Shape(events=self.events, hosts=self.fleet_hosts, violating=self.violating)
        return open_fleet(shape, Path(self.folder))

    def pack(self) -> tuple[Rule, ...]:
        """Return the rules to judge by."""
        wanted = self.kinds
        return tuple(
            rule for rule in make_rules(self.rules) if not wanted or rule.detection.kind in wanted
        )


class Measured(msgspec.Struct, kw_only=True):
    """What came of a task; times are seconds of CPU unless their name says otherwise."""

    events: int = 0
    judge_s: float = 0.0
    judge_wall_s: float = 0.0
    set_up_s: float = 0.0
    """Part of ``judge_s``: compiling rules, and asking them about every name there is."""
    conclude_s: float = 0.0
    """Part of ``judge_s``: an outcome with evidence for every rule and host."""
    load_s: float = 0.0
    compile_s: float = 0.0
    slices: int = 0
    counts: dict[str, int] = {}
    engine: str = ""
    peak_rss_bytes: int = 0
    before_rss_bytes: int = 0
    figures: dict[str, float] = {}
    lines: list[str] = []
    problem: str = ""
    """Why nothing was measured."""

    @property
    def feed_s(self) -> float:
        """Return the part of ``judge_s`` that grows with the number of events."""
        return self.judge_s - self.set_up_s - self.conclude_s

    @property
    def rate(self) -> float:
        """Return events per second of CPU."""
        return self.events / self.judge_s if self.judge_s else 0.0


@dataclass(slots=True)
class Stopwatch:
    """Seconds that a block took, of CPU (all threads) and of the clock on the wall.

    Attributes:
        parts: Seconds of CPU of its parts, by name.
    """

    cpu_s: float = 0.0
    wall_s: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Start."""
        self.cpu_s, self.wall_s = -time.process_time(), -time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.cpu_s += time.process_time()
        self.wall_s += time.perf_counter()


def quickest(rounds: int, work: Callable[[], Stopwatch]) -> Stopwatch:
    """Return the stopwatch of the quickest round; slow work gets fewer rounds."""
    watches = [work()]
    while len(watches) < rounds and sum(watch.cpu_s for watch in watches) < _LONG_S:
        watches.append(work())
    return min(watches, key=lambda watch: watch.cpu_s)


def peak_rss_bytes() -> int:
    """Return the largest resident set that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run_task(task: Task, *, limit_s: float) -> Measured:
    """Return what comes of a task that runs in another process; a problem is told, not raised.

    Args:
        task: The task.
        limit_s: Seconds of CPU, and ten times as many on the wall.
    """
    command = [sys.executable, "-m", "benchmarks.judging.process", f"{max(1, round(limit_s))}"]
    try:
        done = subprocess.run(
            command,
            input=msgspec.json.encode(task),
            capture_output=True,
            timeout=_WALL * limit_s,
            check=False,
            cwd=REPOSITORY,
            env={**os.environ, "POLARS_MAX_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return Measured(problem=f"over the limit of {_WALL * limit_s:g} s")
    if done.returncode == -signal.SIGXCPU:
        return Measured(problem=f"over the limit of {limit_s:g} s of CPU")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return Measured(problem=lines[-1] if lines else f"ended with {done.returncode}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Measured)
