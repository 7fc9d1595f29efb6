"""Every store keeps the same promises: the same tests over each implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.errors import StoreError
from analyzer.model import Agent, Progress, Run, RunState
from analyzer.store import MemoryStore, Store, StoredFinding, open_store

# SQLAlchemy resolves the path of the database file whenever it connects.
pytestmark = pytest.mark.allow_blocking

AGENT = Agent(
    agent_id="i-1",
    boot_id="b1",
    hostname="web-1",
    version="0.1.0",
    tags={"env": "prod"},
    is_online=True,
    is_collecting=False,
    last_seen_us=5_000_000,
    clock_offset_us=-12,
)
RUN = Run(
    id="0-AbCd1234", name="first", duration_s=60, packages=("runtime-behavior",), created_us=10
)


def finding(occurrence_id: str, severity: int) -> StoredFinding:
    return StoredFinding(occurrence_id, "issue", "a-rule", "i-1", severity, '{"count":1}')


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store
    opened = MemoryStore() if request.param == "memory" else await open_store(tmp_path / "db")
    yield opened
    await opened.close()


async def test_agent_comes_back_and_is_replaced(store: Store) -> None:
    await store.put_agent(AGENT)
    changed = replace(AGENT, is_online=False, tags={})
    await store.put_agent(changed)
    await store.put_agent(replace(AGENT, agent_id="i-0"))
    assert await store.agents() == [replace(AGENT, agent_id="i-0"), changed]


async def test_run_comes_back_with_history_and_progress(store: Store) -> None:
    await store.add_run(RUN)
    run = replace(
        RUN.entered(RunState.CREATED, 11).entered(RunState.COLLECTING_DATA, 12),
        from_us=12,
        to_us=60_000_012,
        agents=("i-1", "i-2"),
        message="one host was silent",
        progress=Progress(events=7, batches=2, rejected=1, findings={"High": 1}),
    )
    await store.save_run(run)
    assert await store.run(RUN.id) == run


async def test_run_unknown_is_none_and_cannot_be_saved(store: Store) -> None:
    assert await store.run("0-nothing") is None
    with pytest.raises(StoreError, match="does not exist"):
        await store.save_run(RUN)


async def test_run_with_the_same_id_is_refused(store: Store) -> None:
    await store.add_run(RUN)
    with pytest.raises(StoreError, match="exists already"):
        await store.add_run(RUN)


async def test_runs_are_listed_newest_first(store: Store) -> None:
    runs = [replace(RUN, id=f"0-{n}", created_us=n) for n in (1, 3, 2)]
    for run in runs:
        await store.add_run(run)
    assert [run.created_us for run in await store.runs()] == [3, 2, 1]


async def test_active_runs_are_those_that_have_not_ended(store: Store) -> None:
    for created_us, state in enumerate(RunState):
        await store.add_run(replace(RUN, id=f"0-{created_us}", created_us=created_us, state=state))
    active = await store.active_runs()
    assert [run.state for run in active] == [s for s in reversed(RunState) if not s.is_final]


async def test_stop_request_survives_a_save_by_the_run_clock(store: Store) -> None:
    await store.add_run(RUN)
    assert await store.request_stop(RUN.id, "START_EVALUATION")
    await store.save_run(RUN.entered(RunState.COLLECTING_DATA, 12))
    kept = await store.run(RUN.id)
    assert kept is not None
    assert (kept.stop, kept.state) == ("START_EVALUATION", RunState.COLLECTING_DATA)


async def test_stop_request_of_an_ended_or_unknown_run_is_refused(store: Store) -> None:
    await store.add_run(RUN)
    await store.save_run(RUN.entered(RunState.COMPLETED, 12))
    assert not await store.request_stop(RUN.id, "SKIP_EVALUATION")
    assert not await store.request_stop("0-nothing", "SKIP_EVALUATION")


async def test_finish_keeps_result_and_findings_and_can_be_repeated(store: Store) -> None:
    await store.add_run(RUN)
    done = RUN.entered(RunState.COMPLETED, 99)
    await store.finish_run(done, b"first", [finding("old", 3)])
    many = [finding(f"f{n:05}", 9 if n % 2 else 0) for n in range(2_500)]
    await store.finish_run(done, b"second", many)
    assert await store.result(RUN.id) == b"second"
    kept = await store.findings(RUN.id)
    assert kept == sorted(many, key=lambda f: (-f.numeric_severity, f.occurrence_id))
    assert (await store.run(RUN.id)) == done


async def test_result_of_a_run_without_one_is_none(store: Store) -> None:
    await store.add_run(RUN)
    assert await store.result(RUN.id) is None
    assert await store.findings(RUN.id) == []
