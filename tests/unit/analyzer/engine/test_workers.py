import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec

import pytest

from analyzer.engine.workers import PRELOADED, On, Task, Workers, deal, run_processes
from analyzer.errors import WorkersError


def named(agents: Sequence[str]) -> Task:
    return ",".join(agents).encode


def loaded() -> bytes:
    return ",".join(name for name in PRELOADED if name in sys.modules).encode()


def process_id() -> bytes:
    return b"%d" % os.getpid()


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
        run_processes([partial(os._exit, 9)])


def test_one_shard_is_judged_in_this_process() -> None:
    assert Workers(1).judge(named, {"i-1": 5, "i-2": 5}) == [b"i-1,i-2"]
    assert Workers(4).judge(lambda _: process_id, {"i-1": 5}) == [process_id()]


@pytest.mark.allow_blocking
def test_shards_are_judged_in_processes_of_their_own() -> None:
    workers = Workers(2)
    workers.start()
    assert workers.judge(named, {"i-1": 5, "i-2": 5}) == [b"i-1", b"i-2"]
    assert process_id() not in workers.judge(lambda _: process_id, {"i-1": 5, "i-2": 5})


@pytest.mark.allow_blocking
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process loads what it needs")
@pytest.mark.timeout(120)
def test_processes_have_the_engine_before_they_judge() -> None:
    expected = [name for name in PRELOADED if find_spec("numba") or "kernels" not in name]
    assert run_processes([loaded]) == [",".join(expected).encode()]


@pytest.mark.parametrize(("on", "module"), [("ray", "ray"), ("dask", "distributed")])
def test_cluster_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, on: On, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(WorkersError, match=r"is not installed here: pip install 'proctor\[dist"):
        Workers(2, on).judge(named, {"i-1": 1})
