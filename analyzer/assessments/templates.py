"""Use cases of assessment templates: tags, subscriptions, rules packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.arns import EntityKind, parse, template_arn
from analyzer.assessments import limits
from analyzer.assessments.checks import (
    checked_attributes,
    checked_pattern,
    checked_range,
    checked_tags,
    checked_text,
    require_unique,
)
from analyzer.assessments.desk import Desk, require_idle
from analyzer.assessments.paging import checked_limit, page_of, position_of
from analyzer.errors import (
    InvalidInputError,
    LimitExceededError,
    NoSuchEntityError,
)
from analyzer.model import (
    ABSENT_PACKAGES,
    Found,
    Page,
    RulesPackage,
    Tag,
    Template,
    TemplateFilter,
)
from analyzer.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ALL = TemplateFilter()


class TemplateDesk(Desk):
    """How it is assessed."""

    async def create_template(
        self,
        target_arn: str,
        *,
        name: str,
        duration_s: int,
        packages: Sequence[str],
        user_attributes: Iterable[Tag] = (),
    ) -> Template:
        """Return a new template; nothing but its tags can be changed afterwards.

        Args:
            target_arn: What is assessed.
            name: Unique among the target's templates.
            duration_s: How long a run collects, 180 to 86,400.
            packages: Rules packages, each by ARN or by id; at most 50, a run needs one.
            user_attributes: What every finding is given; at most 10.

        Raises:
            InvalidInputError: Something of it is not allowed, or the name is taken.
            NoSuchEntityError: The target or a rules package does not exist.
            LimitExceededError: There are too many templates.
        """
        _check_duration(duration_s)
        template = Template(
            arn=template_arn(target_arn, self._make_id()),
            target_arn=target_arn,
            name=_name(name),
            duration_s=duration_s,
            packages=self.package_ids(packages),
            user_attributes=checked_attributes(
                user_attributes, number_code="INVALID_NUMBER_OF_USER_ATTRIBUTES"
            ),
            created_us=self._clock.now_us(),
        )
        async with self._store.writing() as rows:
            await self._target(rows, target_arn)
            if await rows.templates.named(target_arn, name) is not None:
                raise _taken(name)
            if await rows.templates.count() >= self.limits.templates:
                raise LimitExceededError(
                    EntityKind.TEMPLATE, self.limits.templates, "assessment templates"
                )
            await rows.templates.add(template)
        return template

    async def describe_templates(self, arns: Sequence[str]) -> Found[Template]:
        """Return the templates of these ARNs."""
        async with self._store.reading() as rows:
            return await self._found(arns, EntityKind.TEMPLATE, rows.templates.get)

    async def list_templates(
        self, what: TemplateFilter = _ALL, *, token: str | None = None, limit: int = 100
    ) -> Page[Template]:
        """Return a page of templates, newest first; at most 100.

        Raises:
            InvalidInputError: Filter, token or limit is none.
            NoSuchEntityError: A target of the filter does not exist.
        """
        checked_pattern(what.name_pattern, code="INVALID_ASSESSMENT_TEMPLATE_NAME_PATTERN")
        checked_range(what.duration_s, code="INVALID_ASSESSMENT_TEMPLATE_DURATION_RANGE")
        size = checked_limit(limit, limits.MAX_PAGE)
        listing = ("templates", what)
        after = position_of(listing, token)
        async with self._store.reading() as rows:
            for arn in what.target_arns:
                await self._target(rows, arn)
            placed = await rows.templates.page(what, after=after, limit=size + 1)
        return page_of(listing, placed, size)

    async def delete_template(self, arn: str) -> None:
        """Delete a template with its runs, their findings and reports.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The template does not exist.
            RunInProgressError: A run of it is active.
        """
        async with self._store.writing() as rows:
            await self._template(rows, arn)
            await require_idle(rows, arn)
            await rows.templates.delete(arn)
            await rows.events.forget_messages_about(arn)

    async def set_tags(self, template_arn: str, tags: Iterable[Tag] = ()) -> None:
        """Replace all tags of a template; at most 10.

        Raises:
            InvalidInputError: The ARN is none, or a tag cannot be kept.
            NoSuchEntityError: The template does not exist.
        """
        kept = checked_tags(
            tags,
            limits.MAX_TEMPLATE_TAGS,
            key_code="INVALID_TAG_KEY",
            value_code="INVALID_TAG_VALUE",
            number_code="INVALID_NUMBER_OF_TAGS",
        )
        require_unique(kept, code="INVALID_TAG_KEY")
        async with self._store.writing() as rows:
            await self._template(rows, template_arn)
            await rows.templates.set_tags(template_arn, kept)

    async def tags_of(self, template_arn: str) -> tuple[Tag, ...]:
        """Return the tags of a template, as they were set.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The template does not exist.
        """
        async with self._store.reading() as rows:
            return (await self._template(rows, template_arn)).tags

    async def list_packages(
        self, *, token: str | None = None, limit: int = 100
    ) -> Page[RulesPackage]:
        """Return a page of the rules packages there are, by id; at most 100.

        Raises:
            InvalidInputError: Token or limit is none.
        """
        size = checked_limit(limit, limits.MAX_PAGE)
        after = position_of("packages", token) or (-1,)
        placed = [
            ((number,), self._described(package_id))
            for number, package_id in enumerate(sorted(self._packages))
            if number > after[0]
        ]
        return page_of("packages", placed, size)

    async def describe_packages(self, arns: Sequence[str]) -> Found[RulesPackage]:
        """Return the rules packages of these ARNs."""

        async def get(arn: str) -> RulesPackage | None:
            package_id = self.arns.package_of(arn, [*self._packages, *ABSENT_PACKAGES])
            return None if package_id is None else self._described(package_id)

        return await self._found(arns, EntityKind.RULES_PACKAGE, get)

    def package_ids(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the ids of rules packages that are named by ARN or by id, each once.

        Raises:
            InvalidInputError: A name is neither, or there are too many.
            NoSuchEntityError: An ARN is of no package here.
        """
        ids = tuple(dict.fromkeys(map(self._package_id, names)))
        if len(ids) > limits.MAX_PACKAGES:
            code = "INVALID_NUMBER_OF_RULES_PACKAGE_ARNS"
            raise InvalidInputError(code, f"at most {limits.MAX_PACKAGES}, not {len(ids)}")
        return ids

    def package_arns(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Return the ARNs of rules packages; of none, those of all: so runs name all of them."""
        return tuple(map(self.arns.rules_package, tuple(ids) or sorted(self._packages)))

    def _package_id(self, name: str) -> str:
        kind = EntityKind.RULES_PACKAGE
        if name in self._packages or name in ABSENT_PACKAGES:
            return name
        package_id = self.arns.package_of(name, [*self._packages, *ABSENT_PACKAGES])
        if package_id is not None:
            return package_id
        arn = parse(name)
        if arn is not None and arn.kind is kind:
            raise NoSuchEntityError(kind, name)
        known = listed(sorted(self._packages))
        text = f"{name!r} is neither the ARN nor the id of a rules package; there are {known}"
        raise InvalidInputError(f"INVALID_{kind.value}_ARN", text)

    def _described(self, package_id: str) -> RulesPackage:
        arn = self.arns.rules_package(package_id)
        package = self._packages.get(package_id)
        if package is None:
            absent = ABSENT_PACKAGES[package_id]
            what = "Not part of Proctor: runs evaluate nothing of it, and say so in an exclusion."
            return RulesPackage(arn, package_id, absent.title, "0", "Proctor", what)
        return RulesPackage(
            arn=arn,
            id=package_id,
            name=package.title,
            version=package.version,
            provider=package.provider,
            description=package.description,
        )


def _check_duration(duration_s: int) -> None:
    if not limits.MIN_DURATION_S <= duration_s <= limits.MAX_DURATION_S:
        raise InvalidInputError(
            "INVALID_ASSESSMENT_TEMPLATE_DURATION",
            f"a run lasts {limits.MIN_DURATION_S} s to {limits.MAX_DURATION_S} s, "
            f"not {duration_s} s",
        )


def _name(name: str) -> str:
    return checked_text(
        name, limits.MAX_NAME, code="INVALID_ASSESSMENT_TEMPLATE_NAME", what="a template's name"
    )


def _taken(name: str) -> InvalidInputError:
    code = "ASSESSMENT_TEMPLATE_NAME_ALREADY_TAKEN"
    return InvalidInputError(code, f"the target has a template with the name {name!r} already")
