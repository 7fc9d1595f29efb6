"""Use cases of resource groups and assessment targets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.arns import EntityKind
from analyzer.assessments import limits
from analyzer.assessments.checks import checked_pattern, checked_tags, checked_text
from analyzer.assessments.desk import Desk, existing, require_idle
from analyzer.assessments.paging import (
    checked_limit,
    page_of,
    position_of,
    text_after,
)
from analyzer.errors import InvalidInputError, LimitExceededError
from analyzer.model import (
    Agent,
    Found,
    Page,
    ResourceGroup,
    Tag,
    Target,
    TargetFilter,
    selects,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.store import Rows

_ALL = TargetFilter()


class TargetDesk(Desk):
    """What is assessed."""

    async def create_resource_group(self, tags: Iterable[Tag]) -> ResourceGroup:
        """Return a new resource group: hosts that have any of these tags.

        Raises:
            InvalidInputError: There are no tags or more than 10, or one cannot be kept.
            LimitExceededError: There are too many groups.
        """
        kept = checked_tags(
            tags,
            limits.MAX_GROUP_TAGS,
            least=1,
            key_code="INVALID_RESOURCE_GROUP_TAG_KEY",
            value_code="INVALID_RESOURCE_GROUP_TAG_VALUE",
            number_code="INVALID_NUMBER_OF_RESOURCE_GROUP_TAGS",
        )
        arn = self.arns.resource_group(self._make_id())
        group = ResourceGroup(arn, kept, self._clock.now_us())
        async with self._store.writing() as rows:
            if await rows.targets.count_groups() >= self.limits.resource_groups:
                most = self.limits.resource_groups
                raise LimitExceededError(EntityKind.RESOURCE_GROUP, most, "resource groups")
            await rows.targets.add_group(group)
        return group

    async def describe_resource_groups(self, arns: Sequence[str]) -> Found[ResourceGroup]:
        """Return the resource groups of these ARNs."""
        async with self._store.reading() as rows:
            return await self._found(arns, EntityKind.RESOURCE_GROUP, rows.targets.group)

    async def create_target(self, name: str, *, resource_group_arn: str | None = None) -> Target:
        """Return a new target; without resource group it is every host.

        Raises:
            InvalidInputError: The name cannot be kept or is taken, or the ARN is none.
            NoSuchEntityError: The resource group does not exist.
            LimitExceededError: There are too many targets.
        """
        now_us = self._clock.now_us()
        arn = self.arns.target(self._make_id())
        target = Target(arn, _name(name), resource_group_arn, now_us, now_us)
        async with self._store.writing() as rows:
            await self._require_group(rows, resource_group_arn)
            if await rows.targets.named(name) is not None:
                raise _taken(name)
            if await rows.targets.count() >= self.limits.targets:
                raise LimitExceededError(
                    EntityKind.TARGET, self.limits.targets, "assessment targets"
                )
            await rows.targets.add(target)
        return target

    async def update_target(
        self, arn: str, *, name: str, resource_group_arn: str | None = None
    ) -> Target:
        """Return a target with another name and other hosts; active runs keep theirs.

        Raises:
            InvalidInputError: The name cannot be kept or is taken, or an ARN is none.
            NoSuchEntityError: Target or resource group does not exist.
        """
        async with self._store.writing() as rows:
            before = await self._target(rows, arn)
            await self._require_group(rows, resource_group_arn)
            named = await rows.targets.named(_name(name))
            if named is not None and named.arn != arn:
                raise _taken(name)
            after = replace(
                before,
                name=name,
                resource_group_arn=resource_group_arn,
                updated_us=self._clock.now_us(),
            )
            await rows.targets.update(after)
        return after

    async def describe_targets(self, arns: Sequence[str]) -> Found[Target]:
        """Return the targets of these ARNs."""
        async with self._store.reading() as rows:
            return await self._found(arns, EntityKind.TARGET, rows.targets.get)

    async def list_targets(
        self, what: TargetFilter = _ALL, *, token: str | None = None, limit: int = 100
    ) -> Page[Target]:
        """Return a page of targets, newest first; at most 100.

        Raises:
            InvalidInputError: Filter, token or limit is none.
        """
        checked_pattern(what.name_pattern, code="INVALID_ASSESSMENT_TARGET_NAME_PATTERN")
        size = checked_limit(limit, limits.MAX_PAGE)
        listing = ("targets", what)
        after = position_of(listing, token)
        async with self._store.reading() as rows:
            placed = await rows.targets.page(what, after=after, limit=size + 1)
        return page_of(listing, placed, size)

    async def delete_target(self, arn: str) -> None:
        """Delete a target with its templates, their runs, findings and reports.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The target does not exist.
            RunInProgressError: A run of it is active.
        """
        async with self._store.writing() as rows:
            await self._target(rows, arn)
            await require_idle(rows, arn)
            await rows.targets.delete(arn)
            await rows.events.forget_messages_about(arn)

    async def preview_agents(
        self, target_arn: str, *, token: str | None = None, limit: int = 100
    ) -> Page[Agent]:
        """Return a page of the hosts that a target selects now, by id; at most 100.

        Raises:
            InvalidInputError: ARN, token or limit is none.
            NoSuchEntityError: The target does not exist.
        """
        size = checked_limit(limit, limits.MAX_PAGE)
        listing = ("preview", target_arn)
        after = text_after(listing, token)
        async with self._store.reading() as rows:
            selector = await selector_of(rows, await self._target(rows, target_arn))
            agents = await rows.agents.all()
        chosen = [a for a in agents if a.agent_id > after and selects(selector, a.tags)]
        return page_of(listing, [((agent.agent_id,), agent) for agent in chosen], size)

    async def _require_group(self, rows: Rows, arn: str | None) -> None:
        if arn is not None:
            self._named(arn, EntityKind.RESOURCE_GROUP)
            existing(await rows.targets.group(arn), EntityKind.RESOURCE_GROUP, arn)


async def selector_of(rows: Rows, target: Target) -> tuple[Tag, ...]:
    """Return the tags by which a target selects hosts; none = every host."""
    if target.resource_group_arn is None:
        return ()
    group = await rows.targets.group(target.resource_group_arn)
    return group.tags if group else ()


def _name(name: str) -> str:
    return checked_text(
        name, limits.MAX_NAME, code="INVALID_ASSESSMENT_TARGET_NAME", what="a target's name"
    )


def _taken(name: str) -> InvalidInputError:
    code = "ASSESSMENT_TARGET_NAME_ALREADY_TAKEN"
    return InvalidInputError(code, f"there is a target with the name {name!r} already")
