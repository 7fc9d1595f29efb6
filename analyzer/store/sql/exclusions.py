"""Rows of exclusions and previews."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from analyzer.arns import EntityKind, parse
from analyzer.model import Exclusion, ExclusionsPreview
from analyzer.store import schema
from analyzer.store.sql.session import Session, from_json, older, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import RowMapping

    from analyzer.store.protocol import Placed, Position

_exclusions, _previews = schema.exclusions, schema.exclusions_previews


class SqlExclusions:
    """Exclusions of runs, and previews."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def replace(self, run_arn: str, rows: Sequence[Exclusion]) -> None:
        """Put exclusions in the place of all that a run has."""
        await self._session.write(delete(_exclusions).where(_exclusions.c.run_arn == run_arn))
        values = [{"run_arn": run_arn, "id": row.id, "content": to_json(row)} for row in rows]
        await self._session.insert(_exclusions, values)

    async def get(self, arn: str) -> Exclusion | None:
        """Return an exclusion, or None."""
        name = parse(arn)
        if name is None or name.kind is not EntityKind.EXCLUSION:
            return None
        statement = select(_exclusions).where(
            _exclusions.c.run_arn == name.parent, _exclusions.c.id == name.id
        )
        row = await self._session.row(statement)
        return None if row is None else from_json(row["content"], Exclusion)

    async def page(
        self, run_arn: str, *, after: Position | None, limit: int
    ) -> list[Placed[Exclusion]]:
        """Return up to ``limit`` exclusions of a run after a position."""
        statement = select(_exclusions).where(_exclusions.c.run_arn == run_arn)
        if after is not None:
            statement = statement.where(older([_exclusions.c.seq], after))
        ordered = statement.order_by(_exclusions.c.seq.desc()).limit(limit)
        return [
            ((row["seq"],), from_json(row["content"], Exclusion))
            for row in await self._session.rows(ordered)
        ]

    async def put_preview(self, preview: ExclusionsPreview) -> None:
        """Insert or replace a preview."""
        made = preview.exclusions
        values = {
            "token": preview.token,
            "template_arn": preview.template_arn,
            "created_us": preview.created_us,
            "exclusions": None if made is None else to_json(made),
        }
        await self._session.upsert(_previews, values, key=["token"])

    async def preview(self, token: str) -> ExclusionsPreview | None:
        """Return a preview, or None."""
        row = await self._session.row(select(_previews).where(_previews.c.token == token))
        return None if row is None else _preview(row)

    async def pending_previews(self) -> list[ExclusionsPreview]:
        """Return the previews that are to be made, oldest first."""
        statement = select(_previews).where(_previews.c.exclusions.is_(None))
        ordered = statement.order_by(_previews.c.created_us, _previews.c.token)
        return [_preview(row) for row in await self._session.rows(ordered)]


def _preview(row: RowMapping) -> ExclusionsPreview:
    text = row["exclusions"]
    return ExclusionsPreview(
        token=row["token"],
        template_arn=row["template_arn"],
        created_us=row["created_us"],
        exclusions=None if text is None else from_json(text, tuple[Exclusion, ...]),
    )
