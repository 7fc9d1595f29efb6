"""Pages of findings: read along an index whatever the filter is, no further than the page reaches.

In: a filter and a position. Out: time, number, id and run of some findings, newest first. Of the
filter's members the one with the fewest findings leads; each of its values is read in order along
the index, merged, and checked against the other members on the way. All findings of a run are of
one moment, or few, so that a filter by runs is one by time for every other index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Text, asc, desc, func, literal, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from analyzer.model import Range
from analyzer.store import schema
from analyzer.store.sql.finding_leads import EVERYTHING, Lead, leads_of, run_ids
from analyzer.store.sql.session import within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, RowMapping

    from analyzer.model import FindingFilter
    from analyzer.store.protocol import Position
    from analyzer.store.sql.session import Session

    _Order = Callable[[ColumnElement[Any]], ColumnElement[Any]]

_COUNTED: Final = 30_000  # rows of one lead; one that has more is not told from those with more
_FLOOR_ROWS: Final = 4  # rows that are read for each of a page, to know how far it reaches
_findings = schema.findings


class FindingPages:
    """Reads pages in a transaction."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def read(
        self, what: FindingFilter, *, after: Position | None, limit: int
    ) -> Sequence[RowMapping]:
        """Return ``created_us``, ``seq``, ``id`` and ``run_id`` of findings after a position."""
        leads = leads_of(what)
        if what.run_arns and not run_ids(what):
            return []
        await self._session.plan_once()
        times = [what.created_us]
        if after is not None:
            times.append(Range(high=after[0]))
        if len(leads) > 1 and what.run_arns:
            times.append(await self._times_of_runs(leads[-1]))
        lead = await self._best(leads, times)
        checks = [each.check for each in leads if each is not lead]
        if after is not None:
            checks.append(tuple_(lead.time, lead.seq) < tuple_(*after))
        checks += await self._floor(lead, times, checks, limit)
        return await self._session.rows(self._page(lead, times, checks, limit))

    async def _floor(
        self,
        lead: Lead,
        times: Sequence[Range],
        checks: Sequence[ColumnElement[bool]],
        limit: int,
    ) -> list[ColumnElement[bool]]:
        """Return a condition that the rows of a page meet, and few others of many values.

        PostgreSQL reads each value as far as the whole page might reach. The newest few of each
        show how far it reaches at most: up to as many rows as it has.
        """
        each = -(-_FLOOR_ROWS * limit // len(lead.combinations))
        if not self._session.is_postgresql or each >= limit:
            return []
        newest = await self._session.rows(self._page(lead, times, checks, limit, each=each))
        if len(newest) < limit:
            return []
        return [tuple_(lead.time, lead.seq) >= tuple_(newest[-1]["created_us"], newest[-1]["seq"])]

    async def _best(self, leads: Sequence[Lead], times: Sequence[Range]) -> Lead:
        if len(leads) < 2:  # noqa: PLR2004 (then there is nothing to choose)
            return leads[0] if leads else EVERYTHING
        best, fewest = leads[0], _COUNTED
        for lead in leads:
            count = await self._count(lead, times, fewest)
            if count < fewest:
                best, fewest = lead, count
        return best

    async def _count(self, lead: Lead, times: Sequence[Range], most: int) -> int:
        rows = self._from(lead, select(lead.seq)).where(lead.where, *_between(lead, times))
        counted = rows.limit(most).subquery()
        return int(await self._session.value(select(func.count()).select_from(counted)))

    async def _times_of_runs(self, lead: Lead) -> Range:
        """Return between which times the findings of a lead are; an empty range of none."""
        ends = []
        for order in (asc, desc):
            found = self._page(lead, [], [], 1, order=order)
            ends.append(await self._session.row(found))
        first, last = ends
        return (
            Range(1, 0) if not first or not last else Range(first["created_us"], last["created_us"])
        )

    def _page(
        self,
        lead: Lead,
        times: Sequence[Range],
        checks: Sequence[ColumnElement[bool]],
        limit: int,
        *,
        order: _Order = desc,
        each: int | None = None,
    ) -> Any:  # noqa: ANN401 (SQLAlchemy's statement type is generic)
        """Return the statement of a page; of each value of a lead no more than ``each`` rows."""
        conditions = [*_between(lead, times), *checks]
        if not self._session.is_postgresql or len(lead.combinations) == 1:
            # SQLite reads the values of an IN one by one, and each only as far as it must.
            return _ordered(self._rows(lead).where(lead.where, *conditions), lead, limit, order)
        # PostgreSQL would sort them all.
        wanted = func.unnest(*map(_array, zip(*lead.combinations, strict=True)))
        names = [column.name for column in lead.columns]
        value = wanted.table_valued(*names).render_derived(name="wanted")
        is_value = (column == value.c[column.name] for column in lead.columns)
        places = self._from(lead, select(lead.time, lead.seq)).where(*is_value, *conditions)
        found = _ordered(places, lead, each or limit, order).correlate(value).lateral("found")
        place = (found.c.created_us, found.c.seq)
        merged = select(*place).select_from(value.join(found, true()))
        first = merged.order_by(*map(order, place)).limit(limit).subquery("first")
        rows = select(first, _findings.c.id, _findings.c.run_id)
        rows = rows.join_from(first, _findings, _findings.c.seq == first.c.seq)
        return rows.order_by(order(first.c.created_us), order(first.c.seq))

    def _rows(self, lead: Lead) -> Any:  # noqa: ANN401
        columns = (lead.time.label("created_us"), lead.seq.label("seq"))
        rows = self._from(lead, select(*columns, _findings.c.id, _findings.c.run_id))
        if lead.table is _findings:
            return rows
        return rows.join_from(lead.table, _findings, _findings.c.seq == lead.seq)

    def _from(self, lead: Lead, statement: Any) -> Any:  # noqa: ANN401
        return statement.with_hint(lead.table, f"INDEXED BY {lead.index_name}", "sqlite")


def _between(lead: Lead, times: Sequence[Range]) -> list[ColumnElement[bool]]:
    return [condition for limits in times for condition in within(lead.time, limits)]


def _ordered(statement: Any, lead: Lead, limit: int, order: _Order) -> Any:  # noqa: ANN401
    return statement.order_by(order(lead.time), order(lead.seq)).limit(limit)


def _array(values: Sequence[str]) -> ColumnElement[Any]:
    return literal(list(values), ARRAY(Text))
