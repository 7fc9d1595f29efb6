"""Every store keeps schedules, and hands out what is due for who can take it, in the same way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.model import (
    EventKind,
    OutboxMessage,
    Route,
    Run,
    Schedule,
    ScheduleOutcome,
    ScheduleResult,
    Target,
    Template,
)
from analyzer.notify.outbox import StoreOutbox
from analyzer.store import Store
from tests.databases import STORES, open_new_store

# SQLAlchemy resolves the path of the database file whenever it connects.
pytestmark = pytest.mark.allow_blocking

TARGET = Target("arn:t", "web", None, 5, 5)
TEMPLATE = Template(
    arn="arn:t/template/1", target_arn="arn:t", name="weekly", duration_s=180, packages=("p",)
)
NIGHTLY = Schedule(
    name="nightly",
    template_arn=TEMPLATE.arn,
    expression="cron(0 2 * * ? *)",
    zone="Europe/Zurich",
    created_us=7,
    next_us=100,
)
OUTCOME = ScheduleOutcome(90, 91, ScheduleResult.SKIPPED, "arn:t/template/1/run/1", "busy")


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_new_store(request.param, tmp_path)
    async with opened.writing() as rows:
        await rows.targets.add(TARGET)
        await rows.templates.add(TEMPLATE)
    yield opened
    await opened.close()


async def put(store: Store, *schedules: Schedule) -> None:
    async with store.writing() as rows:
        for schedule in schedules:
            await rows.schedules.put(schedule)


async def test_schedule_comes_back_and_is_replaced(store: Store) -> None:
    await put(store, NIGHTLY, replace(NIGHTLY, name="a-first"))
    changed = replace(NIGHTLY, is_paused=True, next_us=None, outcomes=(OUTCOME, OUTCOME))
    await put(store, changed)
    async with store.reading() as rows:
        assert await rows.schedules.get("nightly") == changed
        assert await rows.schedules.get("absent") is None
        assert [schedule.name for schedule in await rows.schedules.all()] == ["a-first", "nightly"]


async def test_due_schedules_are_those_whose_time_has_come(store: Store) -> None:
    later, paused = replace(NIGHTLY, name="later", next_us=101), replace(NIGHTLY, name="paused")
    await put(store, NIGHTLY, later, replace(paused, is_paused=True, next_us=None))
    async with store.reading() as rows:
        assert await rows.schedules.due(99) == []
        assert await rows.schedules.due(100) == [NIGHTLY]
        assert await rows.schedules.due(101) == [later, NIGHTLY]


async def test_deleted_schedule_is_gone(store: Store) -> None:
    await put(store, NIGHTLY)
    async with store.writing() as rows:
        assert await rows.schedules.delete("nightly")
        assert not await rows.schedules.delete("nightly")
        assert await rows.schedules.all() == []


@pytest.mark.parametrize("what", ["template", "target"])
async def test_schedule_goes_with_its_template(store: Store, what: str) -> None:
    await put(store, NIGHTLY)
    async with store.writing() as rows:
        if what == "template":
            await rows.templates.delete(TEMPLATE.arn)
        else:
            await rows.targets.delete(TARGET.arn)
    async with store.reading() as rows:
        assert await rows.schedules.all() == []


def message(n: int, *, topic: str = "", route: str = "") -> OutboxMessage:
    return OutboxMessage(
        id=f"m-{n}",
        created_us=n,
        event=EventKind.RUN_STARTED,
        template_arn=TEMPLATE.arn,
        target_arn=TARGET.arn,
        topic_arn=topic,
        route=route,
        payload="{}",
        next_attempt_us=10,
    )


async def test_outbox_leaves_out_what_waits_for_closed_lanes(store: Store) -> None:
    async with store.writing() as rows:
        await rows.events.send(
            [
                message(1, topic="t-1"),
                message(2, topic="t-2"),
                message(3, route="r"),
                message(4, topic="t-1"),
            ]
        )
    outbox = StoreOutbox(store)

    async def due(*without: str, limit: int = 9) -> list[str]:
        return [told.id for told in await outbox.due(10, limit=limit, without=without)]

    assert await due() == ["m-1", "m-2", "m-3", "m-4"]
    assert await due("t-1", limit=1) == ["m-2"]
    assert await due("t-1", "r") == ["m-2"]
    assert await due("t-1", "t-2", "r") == []
    assert await outbox.due(9, limit=9, without=()) == []


async def test_outbox_keeps_what_became_of_a_message(store: Store) -> None:
    async with store.writing() as rows:
        await rows.events.send([message(1, topic="t-1")])
    outbox = StoreOutbox(store)
    waiting = replace(message(1, topic="t-1"), attempts=1, next_attempt_us=20, error="away")
    await outbox.save(waiting)
    assert await outbox.due(19, limit=9, without=()) == []
    assert await outbox.due(20, limit=9, without=()) == [waiting]
    await outbox.save(replace(waiting, next_attempt_us=None))
    assert await outbox.due(99, limit=9, without=()) == []


async def test_outbox_lets_go_of_what_is_over_and_old(store: Store) -> None:
    async with store.writing() as rows:
        over = replace(message(2, topic="t-1"), next_attempt_us=None)
        await rows.events.send([message(1, topic="t-1"), over, replace(over, id="m-3")])
        await rows.events.send([replace(over, id="m-4", created_us=3)])
    await StoreOutbox(store).forget(3)
    async with store.reading() as rows:
        kept = [n for n in range(1, 5) if await rows.events.message(f"m-{n}") is not None]
    assert kept == [1, 4]


async def test_outbox_lets_go_of_what_was_told_after_its_run_had_gone(store: Store) -> None:
    there, gone = f"{TEMPLATE.arn}/run/0-a", f"{TEMPLATE.arn}/run/0-b"
    run = Run("0-a", "a", 180, (), 1, arn=there, template_arn=TEMPLATE.arn)
    over = replace(message(5, topic="t-1"), next_attempt_us=None)
    async with store.writing() as rows:
        await rows.runs.add(run)
        await rows.events.send(
            [
                replace(over, id="m-1", run_arn=there),
                replace(over, id="m-2", run_arn=gone),
                replace(message(3, topic="t-1"), run_arn=gone),  # it is on its way
                replace(over, id="m-4"),
            ]
        )
    await StoreOutbox(store).forget(0)
    async with store.reading() as rows:
        kept = [n for n in range(1, 5) if await rows.events.message(f"m-{n}") is not None]
    assert kept == [1, 3, 4]


async def test_outbox_knows_routes(store: Store) -> None:
    route = Route(name="soc", url="http://soc.test", options={"channel": "webhook"}, created_us=1)
    async with store.writing() as rows:
        await rows.events.put_route(route)
    assert await StoreOutbox(store).route("soc") == route
    assert await StoreOutbox(store).route("absent") is None
