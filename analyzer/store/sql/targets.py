"""Rows of resource groups, assessment targets and assessment templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, or_, select, update

from analyzer.model import ResourceGroup, Tag, Target, Template
from analyzer.store import schema
from analyzer.store.sql.session import Session, from_json, older, to_json, within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping, Select

    from analyzer.model import TargetFilter, TemplateFilter
    from analyzer.store.protocol import Placed, Position

Tags = tuple[Tag, ...]
_groups, _targets, _templates = schema.resource_groups, schema.targets, schema.templates
_runs = schema.runs


class SqlTargets:
    """Resource groups and assessment targets."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def add_group(self, group: ResourceGroup) -> None:
        """Insert a resource group."""
        values = {"arn": group.arn, "tags": to_json(group.tags), "created_us": group.created_us}
        await self._session.write(insert(_groups).values(values))

    async def group(self, arn: str) -> ResourceGroup | None:
        """Return a resource group, or None."""
        row = await self._session.row(select(_groups).where(_groups.c.arn == arn))
        if row is None:
            return None
        return ResourceGroup(row["arn"], from_json(row["tags"], Tags), row["created_us"])

    async def count_groups(self) -> int:
        """Return how many resource groups there are."""
        return int(await self._session.value(select(func.count()).select_from(_groups)))

    async def add(self, target: Target) -> None:
        """Insert a target whose name is free."""
        values = {"arn": target.arn, "created_us": target.created_us, **_changing(target)}
        await self._session.write(insert(_targets).values(values))

    async def update(self, target: Target) -> None:
        """Write name, resource group and time of a target that exists."""
        statement = update(_targets).where(_targets.c.arn == target.arn)
        await self._session.write(statement.values(_changing(target)))

    async def get(self, arn: str) -> Target | None:
        """Return a target, or None."""
        row = await self._session.row(select(_targets).where(_targets.c.arn == arn))
        return None if row is None else _target(row)

    async def named(self, name: str) -> Target | None:
        """Return the target of a name, or None."""
        row = await self._session.row(select(_targets).where(_targets.c.name == name))
        return None if row is None else _target(row)

    async def delete(self, arn: str) -> None:
        """Delete a target with everything that lies in it."""
        await self._session.write(delete(_targets).where(_targets.c.arn == arn))

    async def page(
        self, what: TargetFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Target]]:
        """Return up to ``limit`` targets after a position."""
        statement = select(_targets).order_by(_targets.c.seq.desc()).limit(limit)
        if what.name_pattern is not None:
            statement = statement.where(self._session.matches(_targets.c.name, what.name_pattern))
        if after is not None:
            statement = statement.where(older([_targets.c.seq], after))
        return [((row["seq"],), _target(row)) for row in await self._session.rows(statement)]

    async def count(self) -> int:
        """Return how many targets there are."""
        return int(await self._session.value(select(func.count()).select_from(_targets)))


class SqlTemplates:
    """Assessment templates."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self._session = session

    async def add(self, template: Template) -> None:
        """Insert a template whose name is free in its target."""
        values = {
            "arn": template.arn,
            "target_arn": template.target_arn,
            "name": template.name,
            "duration_s": template.duration_s,
            "packages": to_json(template.packages),
            "user_attributes": to_json(template.user_attributes),
            "tags": to_json(template.tags),
            "created_us": template.created_us,
        }
        await self._session.write(insert(_templates).values(values))

    async def get(self, arn: str) -> Template | None:
        """Return a template with the number of its runs and the last of them, or None."""
        row = await self._session.row(_with_runs().where(_templates.c.arn == arn))
        return None if row is None else _template(row)

    async def named(self, target_arn: str, name: str) -> Template | None:
        """Return the target's template of a name, or None."""
        is_named = (_templates.c.target_arn == target_arn, _templates.c.name == name)
        row = await self._session.row(_with_runs().where(*is_named))
        return None if row is None else _template(row)

    async def set_tags(self, arn: str, tags: Sequence[Tag]) -> None:
        """Replace the tags of a template that exists."""
        statement = update(_templates).where(_templates.c.arn == arn)
        await self._session.write(statement.values(tags=to_json(tags)))

    async def delete(self, arn: str) -> None:
        """Delete a template with its runs and subscriptions."""
        await self._session.write(delete(_templates).where(_templates.c.arn == arn))

    async def page(
        self, what: TemplateFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Template]]:
        """Return up to ``limit`` templates after a position."""
        statement = _with_runs().where(*self._conditions(what))
        if after is not None:
            statement = statement.where(older([_templates.c.seq], after))
        ordered = statement.order_by(_templates.c.seq.desc()).limit(limit)
        return [((row["seq"],), _template(row)) for row in await self._session.rows(ordered)]

    async def count(self) -> int:
        """Return how many templates there are."""
        return int(await self._session.value(select(func.count()).select_from(_templates)))

    def _conditions(self, what: TemplateFilter) -> list[ColumnElement[bool]]:
        conditions = within(_templates.c.duration_s, what.duration_s)
        if what.target_arns:
            conditions.append(_templates.c.target_arn.in_(what.target_arns))
        if what.name_pattern is not None:
            conditions.append(self._session.matches(_templates.c.name, what.name_pattern))
        if what.packages:
            conditions.append(names_any(_templates.c.packages, what.packages))
        return conditions


def names_any(column: ColumnElement[str], packages: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a JSON list names any of these packages."""
    return or_(*(column.contains(to_json(package), autoescape=True) for package in packages))


def _with_runs() -> Select[tuple[object, ...]]:
    of_it = _runs.c.template_arn == _templates.c.arn
    count = select(func.count()).where(of_it).scalar_subquery()
    last = select(_runs.c.arn).where(of_it).order_by(_runs.c.seq.desc()).limit(1)
    return select(
        *_templates.c, count.label("run_count"), last.scalar_subquery().label("last_run_arn")
    )


def _changing(target: Target) -> dict[str, object]:
    return {
        "name": target.name,
        "resource_group_arn": target.resource_group_arn,
        "updated_us": target.updated_us,
    }


def _target(row: RowMapping) -> Target:
    return Target(
        arn=row["arn"],
        name=row["name"],
        resource_group_arn=row["resource_group_arn"],
        created_us=row["created_us"],
        updated_us=row["updated_us"],
    )


def _template(row: RowMapping) -> Template:
    return Template(
        arn=row["arn"],
        target_arn=row["target_arn"],
        name=row["name"],
        duration_s=row["duration_s"],
        packages=from_json(row["packages"], tuple[str, ...]),
        user_attributes=from_json(row["user_attributes"], Tags),
        tags=from_json(row["tags"], Tags),
        created_us=row["created_us"],
        run_count=row["run_count"],
        last_run_arn=row["last_run_arn"] or "",
    )
