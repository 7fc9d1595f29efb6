"""A served process keeps to schedules, over a kill -9 as well."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.model import Run, Schedule, ScheduleResult
from analyzer.scheduler.desk import ScheduleDesk
from rules.telemetry.clock import SystemClock
from tests.served import Server, inspector, make_template

pytestmark = [pytest.mark.timeout(300), pytest.mark.allow_blocking]
MINUTE_US = 60_000_000


@pytest.fixture
async def server(service: Callable[[str], Path], tmp_path: Path) -> AsyncIterator[Server]:
    service("nats-server")
    made = Server(tmp_path, {})
    await asyncio.to_thread(made.start)
    yield made
    made.stop()


async def schedule(server: Server, *, due_ago_us: int) -> str:
    """Make an hourly schedule whose time has just come; return the template's ARN."""
    template = await asyncio.to_thread(lambda: make_template(inspector(server), "all"))
    async with server.store() as store:
        made = await ScheduleDesk(store, clock=SystemClock()).create(
            "hourly", template_arn=template, expression="rate(1 hour)", zone="UTC"
        )
        due_us = time.time_ns() // 1_000 - due_ago_us
        async with store.writing() as rows:
            await rows.schedules.put(
                replace(made, created_us=due_us - 60 * MINUTE_US, next_us=due_us)
            )
    return template


async def outcome(server: Server) -> tuple[Schedule, list[Run]]:
    """Return the schedule once its time has been dealt with, and all runs."""
    async with asyncio.timeout(60), server.store() as store:
        while True:
            async with store.reading() as rows:
                kept = await rows.schedules.get("hourly")
                runs = await rows.runs.all()
            assert kept is not None
            if kept.outcomes:
                return kept, runs
            await asyncio.sleep(0.1)


async def test_due_schedule_starts_a_run_and_a_restart_does_not_repeat_it(server: Server) -> None:
    template = await schedule(server, due_ago_us=0)
    kept, runs = await outcome(server)
    (run,) = runs
    assert (run.template_arn, run.name[:7]) == (template, "hourly ")
    assert [(o.result, o.run_arn) for o in kept.outcomes] == [(ScheduleResult.STARTED, run.arn)]
    server.kill()
    async with server.store() as store, store.writing() as rows:
        await rows.schedules.put(replace(kept, next_us=kept.outcomes[0].due_us, outcomes=()))
    await asyncio.to_thread(server.start)
    again, runs = await outcome(server)
    assert [known.id for known in runs] == [run.id]
    assert again.outcomes[0].run_arn == run.arn


@pytest.mark.parametrize(
    ("away_us", "result"),
    [(10 * MINUTE_US, ScheduleResult.STARTED), (20 * MINUTE_US, ScheduleResult.MISSED)],
)
async def test_time_that_passed_while_the_server_was_away(
    server: Server, away_us: int, result: ScheduleResult
) -> None:
    await schedule_while_away(server, away_us)
    await asyncio.to_thread(server.start)
    kept, runs = await outcome(server)
    assert [made.result for made in kept.outcomes] == [result]
    assert len(runs) == (1 if result is ScheduleResult.STARTED else 0)
    assert kept.next_us == kept.created_us + 120 * MINUTE_US


async def schedule_while_away(server: Server, away_us: int) -> None:
    template = await asyncio.to_thread(lambda: make_template(inspector(server), "all"))
    server.kill()
    due_us = time.time_ns() // 1_000 - away_us
    made = Schedule(
        name="hourly",
        template_arn=template,
        expression="rate(1 hour)",
        created_us=due_us - 60 * MINUTE_US,
        next_us=due_us,
    )
    async with server.store() as store, store.writing() as rows:
        await rows.schedules.put(made)
