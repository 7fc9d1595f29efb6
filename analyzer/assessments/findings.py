"""Use cases of findings: list, describe, and their user attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analyzer.arns import EntityKind, parse
from analyzer.assessments import limits
from analyzer.assessments.checks import (
    checked_attributes,
    checked_range,
    checked_tags,
    checked_text,
    checked_texts,
)
from analyzer.assessments.desk import Desk, existing
from analyzer.assessments.paging import checked_limit, page_of, position_of
from analyzer.model import FindingFilter, FindingRow, Found, Page, Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.store import Rows

_ALL: Final = FindingFilter()


class FindingDesk(Desk):
    """What it came to."""

    async def list_findings(
        self, what: FindingFilter = _ALL, *, token: str | None = None, limit: int = 100
    ) -> Page[str]:
        """Return a page of ARNs of findings, newest first; at most 100.

        Findings of a run are there from its end on.

        Raises:
            InvalidInputError: Filter, token or limit is none.
            NoSuchEntityError: A run of the filter does not exist.
        """
        _check(what)
        size = checked_limit(limit, limits.MAX_PAGE)
        listing = ("findings", what)
        after = position_of(listing, token)
        async with self._store.reading() as rows:
            for arn in what.run_arns:
                self._named(arn, EntityKind.RUN)
                existing(await rows.runs.get(arn), EntityKind.RUN, arn)
            placed = await rows.findings.page(what, after=after, limit=size + 1)
        return page_of(listing, placed, size)

    async def describe_findings(self, arns: Sequence[str]) -> Found[FindingRow]:
        """Return the findings of these ARNs."""
        async with self._store.reading() as rows:
            return await self._findings(rows, arns)

    async def add_attributes(
        self, arns: Sequence[str], attributes: Iterable[Tag]
    ) -> dict[str, str]:
        """Give user attributes to findings, in the place of those with the same keys.

        Returns:
            ARN → failure code, of findings that do not exist or would have more than 10.

        Raises:
            InvalidInputError: An attribute cannot be kept, or a key comes twice.
        """
        added = checked_attributes(attributes, number_code="INVALID_NUMBER_OF_ATTRIBUTES")
        async with self._store.writing() as rows:
            found = await self._findings(rows, arns)
            failed = dict(found.failed)
            for finding in found.items:
                kept = {item.key: item for item in (*finding.user_attributes, *added)}
                if len(kept) > limits.MAX_USER_ATTRIBUTES:
                    failed[finding.arn] = "LIMIT_EXCEEDED"
                else:
                    await self._set(rows, finding, tuple(kept.values()))
        return failed

    async def remove_attributes(self, arns: Sequence[str], keys: Iterable[str]) -> dict[str, str]:
        """Take user attributes from findings by their keys; those that are not there do not matter.

        Returns:
            ARN → failure code, of findings that do not exist.

        Raises:
            InvalidInputError: A key is none, or there are too many.
        """
        gone = checked_tags(
            map(Tag, keys),
            limits.MAX_USER_ATTRIBUTES,
            key_code="INVALID_USER_ATTRIBUTE_KEY",
            value_code="INVALID_USER_ATTRIBUTE_VALUE",
            number_code="INVALID_NUMBER_OF_USER_ATTRIBUTES",
        )
        names = {item.key for item in gone}
        async with self._store.writing() as rows:
            found = await self._findings(rows, arns)
            for finding in found.items:
                kept = tuple(item for item in finding.user_attributes if item.key not in names)
                await self._set(rows, finding, kept)
        return found.failed

    async def _set(self, rows: Rows, finding: FindingRow, attributes: tuple[Tag, ...]) -> None:
        if attributes != finding.user_attributes:
            now_us = self._clock.now_us()
            await rows.findings.set_user_attributes(finding.arn, attributes, updated_us=now_us)

    async def _findings(self, rows: Rows, arns: Sequence[str]) -> Found[FindingRow]:
        ours = [arn for arn in arns if (name := parse(arn)) is not None and self.arns.is_own(name)]
        kept = await rows.findings.get(ours)

        async def get(arn: str) -> FindingRow | None:
            return kept.get(arn)

        return await self._found(arns, EntityKind.FINDING, get)


def _check(what: FindingFilter) -> None:
    checked_texts(what.agent_ids, code="INVALID_AGENT_ID")
    checked_texts(what.auto_scaling_groups, code="INVALID_AUTO_SCALING_GROUP")
    checked_texts(what.rules, code="INVALID_RULE_NAME")
    checked_texts(what.severities, code="INVALID_SEVERITY")
    checked_range(what.created_us, code="INVALID_ASSESSMENT_RUN_COMPLETION_TIME_RANGE")
    for items, code in (
        (what.attributes, "INVALID_ATTRIBUTE"),
        (what.user_attributes, "INVALID_USER_ATTRIBUTE"),
    ):
        for item in items:
            checked_text(item.key, limits.MAX_KEY, code=code, what="a key")
            if item.value is not None:
                checked_text(item.value, limits.MAX_VALUE, code=code, what="a value")
