"""The scheduler: starts runs when their time has come.

In: schedules of the store, and the clock. Out: runs, and in the store what came of each time, and
the next. It holds nothing itself: killed at any moment, it goes on where it was. A run is named
after its schedule and its time: one that was started before a crash is found, not started twice.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from analyzer.errors import AnalyzerError, ScheduleError, StoreError
from analyzer.model import KEPT_OUTCOMES, ScheduleOutcome, ScheduleResult
from analyzer.scheduler.desk import expression_of
from analyzer.scheduler.due import GRACE_US, decide

if TYPE_CHECKING:
    from analyzer.model import Run, Schedule
    from analyzer.store.protocol import Store
    from rules.telemetry import Clock

_LOG = logging.getLogger(__name__)
TICK_S: Final = 1.0
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class RunStarter(Protocol):
    """What starts a run of a template."""

    async def start_run(self, template_arn: str, *, name: str) -> Run:
        """Return a new run.

        Raises:
            AnalyzerError: It cannot be started now.
        """
        ...


class Scheduler:
    """Keeps to every schedule; use ``run`` in a task."""

    def __init__(self, *, store: Store, starter: RunStarter, clock: Clock) -> None:
        """Connect the parts; nothing happens before ``run``."""
        self._store = store
        self._starter = starter
        self._clock = clock

    async def run(self) -> None:
        """Start runs when they are due, for ever; ends by cancellation."""
        while True:
            try:
                await self.tick()
            except AnalyzerError as error:
                # The database refuses for now; the next tick tries again.
                _LOG.warning("scheduler.tick_failed", extra={"reason": str(error)})
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """Do what is due now.

        Raises:
            StoreError: The store cannot be read or written.
        """
        async with self._store.reading() as rows:
            due = await rows.schedules.due(self._clock.now_us())
        for schedule in due:
            await self._keep(schedule)

    async def _keep(self, schedule: Schedule) -> None:
        now_us = self._clock.now_us()
        due_us = schedule.next_us
        if due_us is None:
            return
        try:
            expression = await asyncio.to_thread(expression_of, schedule)  # may read its zone
            decision = decide(expression, due_us=due_us, now_us=now_us)
        except ScheduleError as error:  # a zone that this host does not know, after a move
            failed = ScheduleOutcome(due_us, now_us, ScheduleResult.FAILED, message=str(error))
            await self._record(schedule, [failed], next_us=None)
            return
        outcomes = []
        if decision.missed_us is not None:
            outcomes.append(_missed(decision.missed_us, now_us))
        if decision.start_us is not None:
            outcomes.append(await self._start(schedule, decision.start_us, now_us))
        await self._record(schedule, outcomes, next_us=decision.next_us)

    async def _start(self, schedule: Schedule, due_us: int, now_us: int) -> ScheduleOutcome:
        name = run_name(schedule.name, due_us)
        async with self._store.reading() as rows:
            started = await rows.runs.named(schedule.template_arn, name)
            active = await rows.runs.active(within=schedule.template_arn)
        if started is not None:
            return ScheduleOutcome(due_us, now_us, ScheduleResult.STARTED, started.arn)
        if active:
            return ScheduleOutcome(
                due_us,
                now_us,
                ScheduleResult.SKIPPED,
                active[0].arn,
                "a run of the template was still active",
            )
        try:
            run = await self._starter.start_run(schedule.template_arn, name=name)
        except StoreError:  # it is tried again, and found by its name if it was started
            raise
        except AnalyzerError as error:
            return ScheduleOutcome(due_us, now_us, ScheduleResult.FAILED, message=str(error))
        return ScheduleOutcome(due_us, now_us, ScheduleResult.STARTED, run.arn)

    async def _record(
        self, schedule: Schedule, outcomes: list[ScheduleOutcome], *, next_us: int | None
    ) -> None:
        """Write outcomes, oldest first, and the next time of a schedule that still waits for it."""
        for outcome in outcomes:
            _log(schedule, outcome)
        async with self._store.writing() as rows:
            kept = await rows.schedules.get(schedule.name)
            if kept is None or kept.created_us != schedule.created_us:
                return  # deleted meanwhile
            is_unchanged = kept.next_us == schedule.next_us
            await rows.schedules.put(
                replace(
                    kept,
                    next_us=next_us if is_unchanged else kept.next_us,
                    outcomes=(*reversed(outcomes), *kept.outcomes)[:KEPT_OUTCOMES],
                )
            )


def run_name(schedule: str, due_us: int) -> str:
    """Return the name of the run that a schedule starts for one of its times."""
    due = _EPOCH + timedelta(microseconds=due_us)
    return f"{schedule} {due:%Y-%m-%dT%H:%M:%SZ}"


def _missed(due_us: int, now_us: int) -> ScheduleOutcome:
    minutes = GRACE_US // 60_000_000
    message = f"the server was away; a run is made up for within {minutes} minutes"
    return ScheduleOutcome(due_us, now_us, ScheduleResult.MISSED, message=message)


def _log(schedule: Schedule, outcome: ScheduleOutcome) -> None:
    is_well = outcome.result is ScheduleResult.STARTED
    _LOG.log(
        logging.INFO if is_well else logging.WARNING,
        "scheduler.%s",
        outcome.result.lower(),
        extra={"schedule": schedule.name, "run": outcome.run_arn, "reason": outcome.message},
    )
