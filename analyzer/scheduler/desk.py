"""The schedules' desk: makes them, and changes them for whoever asks.

In: what an operator wants. Out: schedules in the store, which the scheduler then keeps to.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from analyzer.errors import ScheduleError
from analyzer.model import Schedule
from analyzer.scheduler.expressions import parse_expression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.scheduler.expressions import Expression
    from analyzer.store.protocol import Rows, Store
    from rules.telemetry import Clock

# A run is named after its schedule and its time, and has 140 characters at most.
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class ScheduleDesk:
    """Schedules of one store."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        """Use a store that is open."""
        self._store = store
        self._clock = clock

    async def create(self, name: str, *, template_arn: str, expression: str, zone: str) -> Schedule:
        """Add a schedule; its first time lies in the future.

        Raises:
            ScheduleError: The name is taken or odd, the template does not exist, or the expression
                cannot be read or names no time that is to come.
        """
        if NAME.fullmatch(name) is None:
            raise ScheduleError(
                f"{name!r} is no name; use letters, digits, dots, dashes, underscores"
            )
        now_us = self._clock.now_us()
        parsed = await asyncio.to_thread(parse_expression, expression, zone=zone, anchor_us=now_us)
        next_us = _next_us(parsed, now_us)
        made = Schedule(
            name=name,
            template_arn=template_arn,
            expression=" ".join(expression.split()),
            zone=zone,
            created_us=now_us,
            next_us=next_us,
        )
        async with self._store.writing() as rows:
            if await rows.schedules.get(name) is not None:
                raise ScheduleError(f"there is a schedule {name} already")
            if await rows.templates.get(template_arn) is None:
                raise ScheduleError(f"no assessment template has the ARN {template_arn}")
            await rows.schedules.put(made)
        return made

    async def all(self) -> list[Schedule]:
        """Return every schedule, by name."""
        async with self._store.reading() as rows:
            return await rows.schedules.all()

    async def get(self, name: str) -> Schedule:
        """Return a schedule.

        Raises:
            ScheduleError: There is none of that name.
        """
        async with self._store.reading() as rows:
            return await _existing(rows, name)

    async def pause(self, name: str) -> Schedule:
        """Let no more runs be started until it is resumed.

        Raises:
            ScheduleError: There is none of that name.
        """
        async with self._store.writing() as rows:
            paused = replace(await _existing(rows, name), is_paused=True, next_us=None)
            await rows.schedules.put(paused)
        return paused

    async def resume(self, name: str) -> Schedule:
        """Go on with the next time to come; what passed meanwhile is not made up for.

        Raises:
            ScheduleError: There is none of that name, or no time of it is to come.
        """
        now_us = self._clock.now_us()
        async with self._store.writing() as rows:
            kept = await _existing(rows, name)
            if not kept.is_paused:
                return kept
            expression = await asyncio.to_thread(expression_of, kept)
            resumed = replace(kept, is_paused=False, next_us=_next_us(expression, now_us))
            await rows.schedules.put(resumed)
        return resumed

    async def delete(self, name: str) -> None:
        """Remove a schedule; runs that it started stay.

        Raises:
            ScheduleError: There is none of that name.
        """
        async with self._store.writing() as rows:
            await _existing(rows, name)
            await rows.schedules.delete(name)


def expression_of(schedule: Schedule) -> Expression:
    """Return the expression of a schedule.

    Raises:
        ScheduleError: Its time zone is unknown on this host.
    """
    return parse_expression(schedule.expression, zone=schedule.zone, anchor_us=schedule.created_us)


def next_times(expression: Expression, *, after_us: int, count: int) -> list[int]:
    """Return up to ``count`` times after a given one."""
    return list(islice(_times(expression, after_us), count))


def _times(expression: Expression, after_us: int) -> Iterator[int]:
    next_us = expression.next_after(after_us)
    while next_us is not None:
        yield next_us
        next_us = expression.next_after(next_us)


def _next_us(expression: Expression, now_us: int) -> int:
    next_us = expression.next_after(now_us)
    if next_us is None:
        raise ScheduleError("this schedule names no time that is to come")
    return next_us


async def _existing(rows: Rows, name: str) -> Schedule:
    found = await rows.schedules.get(name)
    if found is None:
        raise ScheduleError(f"there is no schedule {name}; list them with 'proctor schedules list'")
    return found
