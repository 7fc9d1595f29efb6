from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from analyzer.errors import AgentsBusyError, ScheduleError, StoreError
from analyzer.model import (
    KEPT_OUTCOMES,
    Run,
    RunState,
    Schedule,
    ScheduleResult,
    Target,
    Template,
)
from analyzer.scheduler import scheduler as module
from analyzer.scheduler.desk import ScheduleDesk, expression_of, next_times
from analyzer.scheduler.scheduler import Scheduler, run_name
from analyzer.store import MemoryStore
from rules.telemetry.clock import ManualClock

TARGET = Target("arn:t", "web", None, 5, 5)
TEMPLATE = Template(
    arn="arn:t/template/1", target_arn="arn:t", name="weekly", duration_s=180, packages=("p",)
)
HOUR_S = 3_600
HOUR_US = HOUR_S * 1_000_000


class Desk:
    """Starts runs in the store, as the assessments' desk does."""

    def __init__(self, store: MemoryStore, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.error: Exception | None = None
        self.names: list[str] = []

    async def start_run(self, template_arn: str, *, name: str) -> Run:
        if self.error is not None:
            raise self.error
        self.names.append(name)
        run = Run(
            id=f"0-{len(self.names)}",
            arn=f"{template_arn}/run/{len(self.names)}",
            template_arn=template_arn,
            target_arn=TARGET.arn,
            name=name,
            duration_s=180,
            packages=("p",),
            created_us=self.clock.now_us(),
        )
        async with self.store.writing() as rows:
            await rows.runs.add(run)
        return run

    async def end_run(self, n: int) -> None:
        async with self.store.writing() as rows:
            run = await rows.runs.with_id(f"0-{n}")
            assert run is not None
            await rows.runs.save(run.entered(RunState.COMPLETED, self.clock.now_us()))


class Scene:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock(0)
        self.runs = Desk(self.store, self.clock)
        self.schedules = ScheduleDesk(self.store, clock=self.clock)
        self.scheduler = Scheduler(store=self.store, starter=self.runs, clock=self.clock)

    async def create(self, name: str = "hourly", *, at: str = "rate(1 hour)") -> Schedule:
        return await self.schedules.create(
            name, template_arn=TEMPLATE.arn, expression=at, zone="UTC"
        )

    async def tick(self, *, hours: float) -> Schedule:
        """Let the scheduler look at a given time."""
        self.clock.time_us = round(hours * HOUR_US)
        await self.scheduler.tick()
        return await self.schedules.get("hourly")


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    async with made.store.writing() as rows:
        await rows.targets.add(TARGET)
        await rows.templates.add(TEMPLATE)
    return made


async def test_run_is_started_when_its_time_has_come(scene: Scene) -> None:
    await scene.create()
    assert (await scene.tick(hours=0.99)).outcomes == ()
    kept = await scene.tick(hours=1)
    assert scene.runs.names == ["hourly 1970-01-01T01:00:00Z"]
    assert kept.next_us == 2 * HOUR_US
    (outcome,) = kept.outcomes
    assert (outcome.result, outcome.due_us) == (ScheduleResult.STARTED, HOUR_US)
    assert outcome.run_arn == f"{TEMPLATE.arn}/run/1"
    await scene.tick(hours=1.5)
    assert len(scene.runs.names) == 1


async def test_active_run_of_the_template_is_not_overlapped(scene: Scene) -> None:
    await scene.create()
    await scene.tick(hours=1)
    kept = await scene.tick(hours=2)
    assert len(scene.runs.names) == 1
    assert kept.outcomes[0].result is ScheduleResult.SKIPPED
    assert kept.outcomes[0].run_arn == f"{TEMPLATE.arn}/run/1"
    await scene.runs.end_run(1)
    kept = await scene.tick(hours=3)
    assert [outcome.result for outcome in kept.outcomes] == ["STARTED", "SKIPPED", "STARTED"]


async def test_time_just_missed_is_made_up_for(scene: Scene) -> None:
    await scene.create()
    kept = await scene.tick(hours=3.2)
    assert scene.runs.names == ["hourly 1970-01-01T03:00:00Z"]
    assert [outcome.result for outcome in kept.outcomes] == ["STARTED", "MISSED"]
    assert kept.next_us == 4 * HOUR_US


async def test_time_long_missed_is_recorded(scene: Scene) -> None:
    await scene.create()
    kept = await scene.tick(hours=3.3)
    assert scene.runs.names == []
    assert [outcome.result for outcome in kept.outcomes] == ["MISSED"]
    assert kept.next_us == 4 * HOUR_US


async def test_run_started_before_a_crash_is_not_started_twice(scene: Scene) -> None:
    made = await scene.create()
    await scene.tick(hours=1)
    async with scene.store.writing() as rows:  # as if the outcome had not been written any more
        await rows.schedules.put(made)
    await scene.runs.end_run(1)
    kept = await scene.tick(hours=1.1)
    assert len(scene.runs.names) == 1
    assert kept.outcomes[0].run_arn == f"{TEMPLATE.arn}/run/1"


async def test_refusal_is_recorded_and_the_next_time_kept(scene: Scene) -> None:
    await scene.create()
    scene.runs.error = AgentsBusyError((("i-1", "arn:other/run/1"),))
    kept = await scene.tick(hours=1)
    assert kept.outcomes[0].result is ScheduleResult.FAILED
    assert "i-1 in arn:other/run/1" in kept.outcomes[0].message
    assert kept.next_us == 2 * HOUR_US


async def test_run_that_the_store_refuses_is_started_later(scene: Scene) -> None:
    """A database that is away for a moment costs no run."""
    await scene.create()
    scene.runs.error = StoreError("cannot write the store: connection is closed")
    with pytest.raises(StoreError):
        await scene.tick(hours=1)
    scene.runs.error = None
    kept = await scene.tick(hours=1.1)
    assert [(each.due_us, each.result) for each in kept.outcomes] == [
        (HOUR_US, ScheduleResult.STARTED)
    ]


async def test_schedule_without_a_time_to_come_rests(scene: Scene) -> None:
    await scene.create(at="cron(0 1 1 1 ? 1970)")
    kept = await scene.tick(hours=1)
    assert kept.next_us is None
    assert not kept.is_paused
    assert (await scene.tick(hours=9_000)).outcomes == kept.outcomes


async def test_unknown_zone_is_recorded(scene: Scene) -> None:
    made = await scene.create()
    async with scene.store.writing() as rows:
        await rows.schedules.put(replace(made, zone="Moon/Base"))
    kept = await scene.tick(hours=1)
    assert kept.next_us is None
    assert "Moon/Base" in kept.outcomes[0].message


async def test_only_the_last_outcomes_are_kept(scene: Scene) -> None:
    await scene.create()
    for hour in range(1, KEPT_OUTCOMES + 5):
        await scene.tick(hours=hour)
    kept = await scene.schedules.get("hourly")
    assert len(kept.outcomes) == KEPT_OUTCOMES
    assert kept.outcomes[0].due_us == (KEPT_OUTCOMES + 4) * HOUR_US


async def test_paused_schedule_starts_nothing_and_makes_nothing_up(scene: Scene) -> None:
    await scene.create()
    await scene.schedules.pause("hourly")
    assert (await scene.tick(hours=5)).outcomes == ()
    resumed = await scene.schedules.resume("hourly")
    assert (resumed.next_us, resumed.is_paused) == (6 * HOUR_US, False)
    assert await scene.schedules.resume("hourly") == resumed


async def test_pause_during_a_start_stays(scene: Scene) -> None:
    await scene.create()

    class Pausing(Desk):
        async def start_run(self, template_arn: str, *, name: str) -> Run:
            await scene.schedules.pause("hourly")
            return await super().start_run(template_arn, name=name)

    scene.scheduler = Scheduler(
        store=scene.store, starter=Pausing(scene.store, scene.clock), clock=scene.clock
    )
    kept = await scene.tick(hours=1)
    assert (kept.is_paused, kept.next_us) == (True, None)
    assert kept.outcomes[0].result is ScheduleResult.STARTED


async def test_deletion_during_a_start_stays(scene: Scene) -> None:
    await scene.create()

    class Deleting(Desk):
        async def start_run(self, template_arn: str, *, name: str) -> Run:
            await scene.schedules.delete("hourly")
            return await super().start_run(template_arn, name=name)

    scheduler = Scheduler(
        store=scene.store, starter=Deleting(scene.store, scene.clock), clock=scene.clock
    )
    scene.clock.advance(HOUR_S)
    await scheduler.tick()
    assert await scene.schedules.all() == []


async def test_scheduler_outlives_a_store_that_refuses(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.create()
    monkeypatch.setattr(module, "TICK_S", 0.001)
    refusals = [StoreError("disk full")]
    real = scene.scheduler.tick

    async def tick() -> None:
        if refusals:
            raise refusals.pop()
        await real()

    monkeypatch.setattr(scene.scheduler, "tick", tick)
    scene.clock.advance(HOUR_S)
    task = asyncio.create_task(scene.scheduler.run())
    async with asyncio.timeout(5):
        while not scene.runs.names:  # noqa: ASYNC110 (the scheduler tells no event)
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("name", "template", "at", "why"),
    [
        ("hourly", TEMPLATE.arn, "rate(1 hour)", "already"),
        ("a b", TEMPLATE.arn, "rate(1 hour)", "no name"),
        ("new", "arn:absent", "rate(1 hour)", "arn:absent"),
        ("new", TEMPLATE.arn, "hourly", "no schedule"),
        ("new", TEMPLATE.arn, "cron(0 0 31 2 ? *)", "to come"),
    ],
)
async def test_what_cannot_be_kept_is_not_created(
    scene: Scene, name: str, template: str, at: str, why: str
) -> None:
    await scene.create()
    with pytest.raises(ScheduleError, match=why):
        await scene.schedules.create(name, template_arn=template, expression=at, zone="UTC")


async def test_absent_schedule_is_an_error(scene: Scene) -> None:
    for call in (scene.schedules.get, scene.schedules.pause, scene.schedules.delete):
        with pytest.raises(ScheduleError, match="no schedule absent"):
            await call("absent")


async def test_next_times_are_listed(scene: Scene) -> None:
    made = await scene.create(at="cron(0 1 1 1 ? 1970-1971)")
    times = next_times(expression_of(made), after_us=0, count=5)
    assert times == [HOUR_US, HOUR_US + 365 * 24 * HOUR_US]


def test_run_is_named_after_its_schedule_and_time() -> None:
    assert run_name("nightly", 1_795_510_800_000_000) == "nightly 2026-11-24T09:00:00Z"
