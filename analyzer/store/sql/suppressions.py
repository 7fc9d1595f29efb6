"""Rows of what people say about findings."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from analyzer.model import Matcher, Resolution, Suppression
from analyzer.store import schema
from analyzer.store.sql.session import Session, from_json, to_json

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

_suppressions, _resolutions = schema.suppressions, schema.resolutions


class SqlSuppressions:
    """Risks that are accepted, and issues that are called resolved."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def add(self, suppression: Suppression) -> None:
        """Insert a suppression."""
        values = {
            "id": suppression.id,
            "matcher": to_json(suppression.matcher),
            "reason": suppression.reason,
            "owner": suppression.owner,
            "created_us": suppression.created_us,
            "expires_us": suppression.expires_us,
            "ended_us": suppression.ended_us,
        }
        await self._session.insert(_suppressions, [values])

    async def all(self) -> list[Suppression]:
        """Return every suppression, oldest first."""
        rows = await self._session.rows(select(_suppressions).order_by(_suppressions.c.seq))
        return [_suppression(row) for row in rows]

    async def end(self, suppression_id: str, *, at_us: int) -> bool:
        """Take a suppression back; return whether it was there and had not been taken back."""
        statement = update(_suppressions).where(
            _suppressions.c.id == suppression_id, _suppressions.c.ended_us.is_(None)
        )
        return bool(await self._session.write(statement.values(ended_us=at_us)))

    async def put_resolution(self, resolution: Resolution) -> None:
        """Insert or replace what is said of an issue."""
        await self._session.upsert(_resolutions, asdict(resolution), key=["issue_id"])

    async def delete_resolution(self, issue_id: str) -> bool:
        """Remove what is said of an issue; return whether it was there."""
        statement = delete(_resolutions).where(_resolutions.c.issue_id == issue_id)
        return bool(await self._session.write(statement))

    async def resolutions(self) -> list[Resolution]:
        """Return every resolution, by issue."""
        rows = await self._session.rows(select(_resolutions).order_by(_resolutions.c.issue_id))
        return [Resolution(**row) for row in rows]


def _suppression(row: RowMapping) -> Suppression:
    return Suppression(
        id=row["id"],
        matcher=from_json(row["matcher"], Matcher),
        reason=row["reason"],
        owner=row["owner"],
        created_us=row["created_us"],
        expires_us=row["expires_us"],
        ended_us=row["ended_us"],
    )
