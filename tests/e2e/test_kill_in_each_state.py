"""The analyzer is killed in each state of a run: the run ends right, and nothing is told twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.arns import Arns
from analyzer.assessments import Assessments
from analyzer.data_folder import DataFolder
from analyzer.model import EventKind, FindingFilter, Route, Run, RunState
from analyzer.store import Store, event_of, open_store
from rules.telemetry.clock import SystemClock
from tests.databases import new_postgresql_database
from tests.sites import Site, site, wait_for

DURATION_S = 5
# Those that a run is seen in from outside; the others last no longer than one transaction.
STATES = (
    RunState.CREATED,
    RunState.START_DATA_COLLECTION_IN_PROGRESS,
    RunState.COLLECTING_DATA,
    RunState.STOP_DATA_COLLECTION_PENDING,
    RunState.EVALUATING_RULES,
)
KILLED = {"sqlite": STATES, "postgresql": (RunState.COLLECTING_DATA, RunState.EVALUATING_RULES)}
NOBODY = "http://127.0.0.1:9/"
_ATTEMPTS = 5  # a state that lasts for milliseconds may be missed

pytestmark = [pytest.mark.timeout(300), pytest.mark.allow_blocking]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_run_survives_a_kill_in_each_state(
    tmp_path: Path, service: Callable[[str], Path], database: str
) -> None:
    service("nats-server")
    options = ("--database", new_postgresql_database()) if database == "postgresql" else ()
    with site(tmp_path / "site", *options) as place:
        folder = DataFolder(place.data)
        await asyncio.to_thread(wait_for, lambda: folder.read_note() is not None, "the server")
        store = await open_store(folder.database())
        try:
            async with store.writing() as rows:
                await rows.events.put_route(
                    Route(name="hook", url=NOBODY, options={}, created_us=0)
                )
            for state in KILLED[database]:
                await _assess(place, store, kill_in=state)
        finally:
            await store.close()


async def _assess(place: Site, store: Store, *, kill_in: RunState) -> None:
    desk = Assessments(store, arns=Arns(), packages=(), clock=SystemClock())
    run = await _killed_run(place, store, desk, kill_in)
    ended = await _until(store, run, lambda now: now.state.is_final)
    assert (ended.state, ended.message) == (RunState.COMPLETED, "")
    assert max(Counter(change.state for change in ended.changes).values()) == 1
    findings = await store.findings(run.id)
    assert "insecure-client-login" in {finding.rule for finding in findings}
    page = await desk.list_findings(FindingFilter(run_arns=(run.arn,)))
    assert len(page.items) == len(set(page.items)) == len(findings)
    await _check_messages(store, ended, set(page.items))


async def _killed_run(place: Site, store: Store, desk: Assessments, kill_in: RunState) -> Run:
    """Return a run in which the analyzer was killed in a state."""
    for attempt in range(_ATTEMPTS):
        name = f"{kill_in.value} {attempt}"
        if kill_in is RunState.START_DATA_COLLECTION_IN_PROGRESS:
            place.pause("agent")
        run = await desk.quick_run(name=name, duration_s=DURATION_S)
        if kill_in is RunState.STOP_DATA_COLLECTION_PENDING:
            await _until(store, run, lambda now: now.state is RunState.COLLECTING_DATA)
            place.pause("agent")
        now = await _until(store, run, lambda now: now.state is kill_in or now.state.is_final)
        if now.state is kill_in:
            await asyncio.to_thread(place.kill, "analyzer")
            place.resume("agent")
            return run
    raise AssertionError(f"no run was seen in {kill_in}")


async def _until(store: Store, run: Run, condition: Callable[[Run], bool]) -> Run:
    deadline = time.monotonic() + 100
    while True:
        now = await store.run(run.id)
        assert now is not None
        if condition(now):
            return now
        assert not now.state.is_final, "it ended before that"
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.002)


async def _check_messages(store: Store, run: Run, findings: set[str]) -> None:
    """Check that each step of a run, each finding and its end has one message."""
    async with store.reading() as rows:
        messages = await rows.events.due(1 << 62, limit=10_000)
    events = [event_of(message) for message in messages if message.run_arn == run.arn]
    kinds = Counter(event.kind for event in events)
    assert kinds[EventKind.RUN_STARTED] == kinds[EventKind.RUN_COMPLETED] == 1
    told = [event.state for event in events if event.kind is EventKind.RUN_STATE_CHANGED]
    assert told == [change.state for change in run.changes]
    reported = [event.finding_arn for event in events if event.finding_arn]
    assert sorted(reported) == sorted(findings)
