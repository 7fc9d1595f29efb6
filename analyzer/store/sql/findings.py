"""Rows of findings, their attributes and their numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, func, select, update

from analyzer.arns import EntityKind, parse
from analyzer.model import FindingRow, Interface, Tag
from analyzer.store import schema
from analyzer.store.sql.finding_pages import FindingPages
from analyzer.store.sql.session import Session, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import RowMapping

    from analyzer.model import FindingFilter, Run
    from analyzer.store.protocol import Placed, Position

_findings, _attributes, _counts = (
    schema.findings,
    schema.finding_attributes,
    schema.finding_counts,
)
_runs = schema.runs
_CHUNK = 5_000  # findings that are made into rows at once


class _Content(msgspec.Struct, frozen=True):
    """What no list asks for."""

    hostname: str
    host_tags: dict[str, str]
    title: str
    description: str
    recommendation: str
    attributes: tuple[Tag, ...]
    interfaces: tuple[Interface, ...] = ()


class SqlFindings:
    """Findings and how many there are."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def replace(self, run: Run, rows: Sequence[FindingRow]) -> None:
        """Put findings in the place of all that a run has; count them."""
        await self._session.write(delete(_findings).where(_findings.c.run_id == run.id))
        await self._session.write(delete(_counts).where(_counts.c.run_id == run.id))
        for start in range(0, len(rows), _CHUNK):
            await self._insert(run.id, rows[start : start + _CHUNK])
        counts = Counter((row.package, row.severity) for row in rows)
        await self._session.insert(
            _counts,
            [
                {"run_id": run.id, "package": package, "severity": severity, "count": count}
                for (package, severity), count in sorted(counts.items())
            ],
        )

    async def get(self, arns: Sequence[str]) -> dict[str, FindingRow]:
        """Return the findings that exist of these, by ARN."""
        by_run: dict[str, list[str]] = {}
        for arn in arns:
            name = parse(arn)
            if name is not None and name.kind is EntityKind.FINDING:
                by_run.setdefault(name.parent, []).append(name.id)
        found = {}
        for run_arn, ids in by_run.items():
            statement = _with_run().where(_runs.c.arn == run_arn, _findings.c.id.in_(ids))
            for row in await self._session.rows(statement):
                finding = _finding(row)
                found[finding.arn] = finding
        return found

    async def page(
        self, what: FindingFilter, *, after: Position | None, limit: int
    ) -> list[Placed[str]]:
        """Return ARNs of up to ``limit`` findings after a position."""
        found = await FindingPages(self._session).read(what, after=after, limit=limit)
        ids = {row["run_id"] for row in found}
        runs = select(_runs.c.id, _runs.c.arn).where(_runs.c.id.in_(ids))
        arns = {row["id"]: row["arn"] for row in await self._session.rows(runs)}
        return [
            ((row["created_us"], row["seq"]), f"{arns[row['run_id']]}/finding/{row['id']}")
            for row in found
        ]

    async def of_run(self, run_id: str) -> list[FindingRow]:
        """Return a run's findings, highest severity first, then by occurrence and id."""
        statement = _with_run().where(_findings.c.run_id == run_id)
        found = [_finding(row) for row in await self._session.rows(statement)]
        return sorted(found, key=lambda row: (-row.numeric_severity, row.occurrence_id, row.id))

    async def set_user_attributes(
        self, arn: str, attributes: Sequence[Tag], *, updated_us: int
    ) -> None:
        """Replace the user attributes of a finding that exists."""
        name = parse(arn)
        if name is None:
            return
        is_it = (_findings.c.run_id == name.parents[-1], _findings.c.id == name.id)
        statement = select(_findings.c.seq, _findings.c.created_us).where(*is_it)
        row = await self._session.row(statement)
        if row is None:
            return
        values = {"user_attributes": to_json(attributes), "updated_us": updated_us}
        await self._session.write(update(_findings).where(*is_it).values(values))
        of_it = (_attributes.c.finding_seq == row["seq"], _attributes.c.is_user == 1)
        await self._session.write(delete(_attributes).where(*of_it))
        rows = _attribute_rows(row["seq"], row["created_us"], attributes, is_user=True)
        await self._session.insert(_attributes, rows)

    async def counts(self, run_id: str) -> dict[tuple[str, str], int]:
        """Return how many findings a run has, by package and severity; without zeros."""
        rows = await self._session.rows(select(_counts).where(_counts.c.run_id == run_id))
        return {(row["package"], row["severity"]): row["count"] for row in rows}

    async def _insert(self, run_id: str, rows: Sequence[FindingRow]) -> None:
        # Numbered here, since nobody else writes meanwhile: their attributes need the numbers.
        last = await self._session.value(select(func.max(_findings.c.seq))) or 0
        numbered = list(enumerate(rows, last + 1))
        values = [{"seq": seq, **_values(run_id, row)} for seq, row in numbered]
        await self._session.insert(_findings, values)
        attributes = []
        for seq, row in numbered:
            attributes += _attribute_rows(seq, row.created_us, row.attributes, is_user=False)
            attributes += _attribute_rows(seq, row.created_us, row.user_attributes, is_user=True)
        await self._session.insert(_attributes, attributes)


def _attribute_rows(
    seq: int, created_us: int, attributes: Iterable[Tag], *, is_user: bool
) -> list[dict[str, Any]]:
    return [
        {
            "finding_seq": seq,
            "is_user": int(is_user),
            "key": item.key,
            "value": item.value,
            "created_us": created_us,
        }
        for item in attributes
    ]


def _with_run() -> Any:  # noqa: ANN401 (SQLAlchemy's statement type is generic)
    return select(*_findings.c, _runs.c.arn.label("run_arn")).join(
        _runs, _runs.c.id == _findings.c.run_id
    )


def _values(run_id: str, row: FindingRow) -> dict[str, Any]:
    content = _Content(
        row.hostname,
        row.host_tags,
        row.title,
        row.description,
        row.recommendation,
        row.attributes,
        row.interfaces,
    )
    return {
        "run_id": run_id,
        "id": row.id,
        "package": row.package,
        "rule": row.rule,
        "agent_id": row.agent_id,
        "auto_scaling_group": row.auto_scaling_group,
        "severity": row.severity,
        "numeric_severity": row.numeric_severity,
        "created_us": row.created_us,
        "updated_us": row.updated_us,
        "occurrence_id": row.occurrence_id,
        "issue_id": row.issue_id,
        "user_attributes": to_json(row.user_attributes),
        "content": to_json(content),
        "body": row.body,
    }


def _finding(row: RowMapping) -> FindingRow:
    content = from_json(row["content"], _Content)
    return FindingRow(
        id=row["id"],
        run_arn=row["run_arn"] or "",
        package=row["package"],
        rule=row["rule"],
        agent_id=row["agent_id"],
        hostname=content.hostname,
        auto_scaling_group=row["auto_scaling_group"],
        host_tags=content.host_tags,
        interfaces=content.interfaces,
        severity=row["severity"],
        numeric_severity=row["numeric_severity"],
        title=content.title,
        description=content.description,
        recommendation=content.recommendation,
        attributes=content.attributes,
        user_attributes=from_json(row["user_attributes"], tuple[Tag, ...]),
        created_us=row["created_us"],
        updated_us=row["updated_us"],
        occurrence_id=row["occurrence_id"],
        issue_id=row["issue_id"],
        body=row["body"],
    )
