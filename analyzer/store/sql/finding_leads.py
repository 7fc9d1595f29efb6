"""Leads: the members of a filter that a page of findings can be read along, each by its index.

In: a filter. Out: one lead for each member, and the conditions on time that the rest of it states.
Every index ends with time and number, so what it has for one value is in the order of pages; behind
those stand the columns that other members ask for, so that a row is checked without being fetched.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, literal_column, select, true

from analyzer.arns import parse
from analyzer.model import SEVERITIES
from analyzer.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Column, ColumnElement, Table

    from analyzer.model import FindingFilter, Tag

    _Values = tuple[Sequence[str | int | None], ...]

_findings, _attributes = schema.findings, schema.finding_attributes


class Lead(NamedTuple):
    """An index, and which values in it a filter asks for.

    Attributes:
        table: Whose index it is.
        index_name: Its name.
        columns: What it begins with.
        values: What each of these columns may be; all combinations are asked for.
        check: The same as a condition on a finding, where another member leads.
    """

    table: Table
    index_name: str
    columns: tuple[Column[Any], ...]
    values: _Values
    check: ColumnElement[bool]

    @property
    def time(self) -> Column[int]:
        """Return the column of time behind those that it begins with."""
        return self.table.c.created_us

    @property
    def seq(self) -> Column[int]:
        """Return the column with the number of a finding."""
        return self.table.c.seq if self.table is _findings else self.table.c.finding_seq

    @property
    def combinations(self) -> list[tuple[str | int | None, ...]]:
        """Return what may stand in its columns together."""
        return list(product(*self.values))

    @property
    def where(self) -> ColumnElement[bool]:
        """Return the condition on its own columns."""
        return and_(
            true(), *(_is_any(*each) for each in zip(self.columns, self.values, strict=True))
        )


EVERYTHING = Lead(_findings, "findings_by_time", (), (), true())
"""What leads where a filter has no member but time."""


def leads_of(what: FindingFilter) -> list[Lead]:
    """Return a lead for each member of a filter, those first that mostly have fewer findings."""
    c = _findings.c
    return [
        *_leads("findings_by_agent", (c.agent_id, what.agent_ids)),
        *(_attribute(item, 0) for item in what.attributes),
        *(_attribute(item, 1) for item in what.user_attributes),
        *_leads("findings_by_rule", (c.rule, what.rules)),
        *_leads("findings_by_group", (c.auto_scaling_group, what.auto_scaling_groups)),
        *_package_and_severity(what),
        *_leads("findings_by_run", (c.run_id, run_ids(what))),
    ]


def run_ids(what: FindingFilter) -> tuple[str, ...]:
    """Return the ids of the runs that a filter names."""
    return tuple(arn.id for arn in map(parse, what.run_arns) if arn is not None)


def _package_and_severity(what: FindingFilter) -> list[Lead]:
    # A package seldom has every severity: read together, nothing is looked through in vain.
    if not what.packages:
        return _leads("findings_by_severity", (_findings.c.severity, what.severities))
    severities = what.severities or SEVERITIES
    both = (_findings.c.package, what.packages), (_findings.c.severity, severities)
    return _leads("findings_by_package", *both)


def _leads(index: str, *members: tuple[Column[Any], Iterable[str]]) -> list[Lead]:
    columns = tuple(column for column, _ in members)
    values = tuple(sorted(set(values)) for _, values in members)
    if not all(values):
        return []
    check = and_(*(_is_any(*each) for each in zip(columns, values, strict=True)))
    return [Lead(_findings, index, columns, values, check)]


def _attribute(item: Tag, is_user: int) -> Lead:
    columns = (_attributes.c.key, _attributes.c.value, _attributes.c.is_user)
    values: _Values = ([item.key], [item.value], [is_user])
    # Of another finding than the one that leads, and yet found by the same index.
    other = _attributes.alias("has")
    is_it = (
        _is_any(other.c[column.name], each) for column, each in zip(columns, values, strict=True)
    )
    check = (
        select(other.c.finding_seq)
        .where(
            *is_it,
            other.c.created_us == _findings.c.created_us,
            other.c.finding_seq == _findings.c.seq,
        )
        .correlate(_findings)
        .offset(literal_column("0"))  # or PostgreSQL might begin with all findings that have it
        .exists()
    )
    name = "finding_attributes_by_value"
    return Lead(_attributes, name, columns, values, check)


def _is_any(column: ColumnElement[Any], values: Sequence[str | int | None]) -> ColumnElement[bool]:
    if len(values) > 1:
        return column.in_(values)
    return column.is_(None) if values[0] is None else column == values[0]
