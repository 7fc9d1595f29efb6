import os
import sys
from collections.abc import Sequence

import pytest

from analyzer.engine.workers import On, Workers, deal, run_processes
from analyzer.errors import WorkersError


def named(agents: Sequence[str]) -> bytes:
    return ",".join(agents).encode()


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_every_host_is_in_one_shard(count: int) -> None:
    sizes = {f"i-{number}": number for number in range(5)}
    shards = deal(sizes, count)
    assert len(shards) == min(count, 5)
    assert sorted(agent for shard in shards for agent in shard) == sorted(sizes)


def test_shards_are_about_the_same_size() -> None:
    assert deal({"a": 10, "b": 6, "c": 5, "d": 0}, 2) == [("a", "d"), ("b", "c")]
    assert deal({}, 4) == [()]


@pytest.mark.allow_blocking
def test_killed_worker_is_no_riddle() -> None:
    with pytest.raises(WorkersError, match="a worker was killed"):
        run_processes(os._exit, [9])  # type: ignore[arg-type, list-item]


def test_one_shard_is_judged_in_this_process() -> None:
    assert Workers(1).judge(named, {"i-1": 5, "i-2": 5}) == [b"i-1,i-2"]


@pytest.mark.parametrize(("on", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_cluster_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, on: On, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WorkersError, match=r"is not installed here: pip install 'proctor\[dist"):
        Workers(2, on).judge(named, {"i-1": 1})
