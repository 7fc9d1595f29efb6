"""Rows of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from analyzer.model import Schedule, ScheduleOutcome
from analyzer.store import schema
from analyzer.store.sql.session import Session, from_json, to_json

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

_schedules = schema.schedules


class SqlSchedules:
    """Recurring runs."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def put(self, schedule: Schedule) -> None:
        """Insert or replace a schedule."""
        values = {
            "name": schedule.name,
            "template_arn": schedule.template_arn,
            "expression": schedule.expression,
            "zone": schedule.zone,
            "created_us": schedule.created_us,
            "next_us": schedule.next_us,
            "is_paused": int(schedule.is_paused),
            "outcomes": to_json(schedule.outcomes),
        }
        await self._session.upsert(_schedules, values, key=["name"])

    async def get(self, name: str) -> Schedule | None:
        """Return a schedule, or None."""
        row = await self._session.row(select(_schedules).where(_schedules.c.name == name))
        return None if row is None else _schedule(row)

    async def all(self) -> list[Schedule]:
        """Return every schedule, by name."""
        rows = await self._session.rows(select(_schedules).order_by(_schedules.c.name))
        return [_schedule(row) for row in rows]

    async def due(self, now_us: int) -> list[Schedule]:
        """Return the schedules whose time has come, by name."""
        statement = select(_schedules).where(_schedules.c.next_us <= now_us)
        ordered = statement.order_by(_schedules.c.name)
        return [_schedule(row) for row in await self._session.rows(ordered)]

    async def delete(self, name: str) -> bool:
        """Remove a schedule; return whether it was there."""
        statement = delete(_schedules).where(_schedules.c.name == name)
        return bool(await self._session.write(statement))


def _schedule(row: RowMapping) -> Schedule:
    return Schedule(
        name=row["name"],
        template_arn=row["template_arn"],
        expression=row["expression"],
        zone=row["zone"],
        created_us=row["created_us"],
        next_us=row["next_us"],
        is_paused=bool(row["is_paused"]),
        outcomes=from_json(row["outcomes"], tuple[ScheduleOutcome, ...]),
    )
