"""Workers: hosts in shards, judged by this process, by several, or by a Ray or Dask cluster.

In: a plain function that judges some hosts, and how much there is of each. Out: what it returned
for each shard. No state crosses hosts, so how they are spread must show in no byte once merged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from multiprocessing import get_context
from typing import Final, Literal

from analyzer.errors import WorkersError

Judge = Callable[[Sequence[str]], bytes]
"""Hosts → their result document; it can be sent to another process or machine."""
On = Literal["processes", "ray", "dask"]
LOOPBACK: Final = "127.0.0.1"  # where a cluster listens that exists for one replay
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

    def judge(self, judge: Judge, sizes: Mapping[str, int]) -> list[bytes]:
        """Return what ``judge`` makes of shards of the hosts.

        Args:
            judge: What judges.
            sizes: How much there is of each host, in any unit.

        Raises:
            WorkersError: What shall judge is not installed, or a process was killed.
        """
        shards = deal(sizes, self.count)
        if self.on == "ray":
            return run_ray(judge, shards)
        if self.on == "dask":
            return run_dask(judge, shards)
        return run_serial(judge, shards) if len(shards) == 1 else run_processes(judge, shards)


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


def run_serial(judge: Judge, shards: Sequence[Sequence[str]]) -> list[bytes]:
    """Judge shard after shard in this process."""
    return [judge(shard) for shard in shards]


def run_processes(judge: Judge, shards: Sequence[Sequence[str]]) -> list[bytes]:
    """Judge every shard in a process of its own.

    Raises:
        WorkersError: A process was killed.
    """
    with ProcessPoolExecutor(len(shards), mp_context=get_context("spawn")) as pool:
        try:
            return list(pool.map(judge, shards))
        except BrokenProcessPool as error:
            raise WorkersError(
                "a worker was killed, perhaps for want of memory; try fewer --workers"
            ) from error


def run_ray(judge: Judge, shards: Sequence[Sequence[str]]) -> list[bytes]:
    """Judge every shard in a Ray task.

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
        task = ray.remote(judge_shard)
        return list(ray.get([task.remote(judge, shard) for shard in shards]))
    finally:
        ray.shutdown()


def run_dask(judge: Judge, shards: Sequence[Sequence[str]]) -> list[bytes]:
    """Judge every shard in a Dask task.

    Raises:
        WorkersError: Dask is not installed.
    """
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise WorkersError(_MISSING.format("Dask")) from error
    local = {
        "n_workers": len(shards),
        "threads_per_worker": 1,
        "dashboard_address": f"{LOOPBACK}:0",
    }
    cluster = dask.config.get("scheduler-address", None)
    with Client(set_as_default=False, **({} if cluster else local)) as client:
        tasks = [client.submit(judge_shard, judge, shard, pure=False) for shard in shards]
        return list(client.gather(tasks))


def judge_shard(judge: Judge, shard: Sequence[str]) -> bytes:
    """Return what ``judge`` makes of one shard: the task of a cluster."""
    return judge(shard)
