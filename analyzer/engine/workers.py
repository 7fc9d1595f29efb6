"""Workers: hosts in shards, judged by this process, by several, or by a Ray or Dask cluster.

In: a plain function that judges some hosts, and how much there is of each. Out: what it returned
for each shard. No state crosses hosts, so how they are spread must show in no byte once merged.

On Linux, processes are forked from one that has imported what judges and has loaded its compiled
loops: that takes longer than judging a small run, and is done once, while the caller prepares.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from multiprocessing import forkserver, get_context
from typing import TYPE_CHECKING, Final, Literal

from analyzer.errors import WorkersError

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

Task = Callable[[], bytes]
"""Judges some hosts → their result document; it can be sent to another process or machine."""
On = Literal["processes", "ray", "dask"]
LOOPBACK: Final = "127.0.0.1"  # where a cluster listens that exists for one replay
PRELOADED: Final = (  # by name: nothing here needs them
    "analyzer.cli",
    "analyzer.replay.log",
    "analyzer.replay.recordings",
    "analyzer.engine.kernels",
    "analyzer.engine.window_kernels",
)
_CAN_FORK: Final = sys.platform == "linux"
_MISSING: Final = "{} is not installed here: pip install 'proctor[distributed]', or leave --on out"


@dataclass(frozen=True, slots=True)
class Workers:
    """Who judges: this process, several, or tasks on a cluster.

    Attributes:
        count: Into how many shards hosts are dealt, at most.
        on: Where shards are judged. Ray uses the cluster of RAY_ADDRESS and Dask that of
            DASK_SCHEDULER_ADDRESS; without one, each starts its own on this machine.
    """

    count: int = 1
    on: On = "processes"

    @property
    def is_serial(self) -> bool:
        """Tell whether this process alone judges."""
        return self.count == 1 and self.on == "processes"

    def start(self) -> None:
        """Begin what ``judge`` will need, if anything; the caller prepares its tasks meanwhile."""
        if self.count > 1 and self.on == "processes" and _CAN_FORK:
            _context()
            forkserver.ensure_running()

    def judge(
        self, task_of: Callable[[Sequence[str]], Task], sizes: Mapping[str, int]
    ) -> list[bytes]:
        """Return what comes of shards of the hosts.

        Args:
            task_of: Returns what judges some hosts.
            sizes: How much there is of each host, in any unit.

        Raises:
            WorkersError: What shall judge is not installed, or a process was killed.
        """
        tasks = [task_of(shard) for shard in deal(sizes, self.count)]
        if self.on == "ray":
            return run_ray(tasks)
        if self.on == "dask":
            return run_dask(tasks)
        return [tasks[0]()] if len(tasks) == 1 else run_processes(tasks)


def deal(sizes: Mapping[str, int], count: int) -> list[tuple[str, ...]]:
    """Return hosts in at most ``count`` shards of about the same size, at least one."""
    shards: list[list[str]] = [[] for _ in range(max(1, min(count, len(sizes))))]
    heap = [(0, number) for number in range(len(shards))]
    heapify(heap)
    for agent_id in sorted(sizes, key=lambda agent_id: (-sizes[agent_id], agent_id)):
        size, number = heappop(heap)
        shards[number].append(agent_id)
        heappush(heap, (size + sizes[agent_id] + 1, number))
    return [tuple(sorted(shard)) for shard in shards]


def run_processes(tasks: Sequence[Task]) -> list[bytes]:
    """Do every task in a process of its own.

    Raises:
        WorkersError: A process was killed.
    """
    with ProcessPoolExecutor(len(tasks), mp_context=_context()) as pool:
        try:
            return list(pool.map(done, tasks))
        except BrokenProcessPool as error:
            raise WorkersError(
                "a worker was killed, perhaps for want of memory; try fewer --workers"
            ) from error


def run_ray(tasks: Sequence[Task]) -> list[bytes]:
    """Do every task as one of Ray.

    Raises:
        WorkersError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    try:
        import ray
    except ImportError as error:
        raise WorkersError(_MISSING.format("Ray")) from error
    local = {"address": "local", "_node_ip_address": LOOPBACK}
    cluster = os.environ.get("RAY_ADDRESS")
    ray.init(log_to_driver=False, logging_level="error", **({} if cluster else local))
    try:
        remote = ray.remote(done)
        return list(ray.get([remote.remote(task) for task in tasks]))
    finally:
        ray.shutdown()


def run_dask(tasks: Sequence[Task]) -> list[bytes]:
    """Do every task as one of Dask.

    Raises:
        WorkersError: Dask is not installed.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise WorkersError(_MISSING.format("Dask")) from error
    local = {
        "n_workers": len(tasks),
        "threads_per_worker": 1,
        "dashboard_address": f"{LOOPBACK}:0",
    }
    cluster = dask.config.get("scheduler-address", None)
    with Client(set_as_default=False, **({} if cluster else local)) as client:
        return list(client.gather([client.submit(done, task, pure=False) for task in tasks]))


def done(task: Task) -> bytes:
    """Return what comes of a task: what a process or a cluster is sent."""
    return task()


def _context() -> BaseContext:
    """Return how processes are started."""
    if not _CAN_FORK:
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))  # does nothing once it runs
    return context
