"""Use cases of exclusions, and of previews of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from analyzer.arns import EntityKind
from analyzer.assessments import limits
from analyzer.assessments.choice import choose_hosts
from analyzer.assessments.desk import Desk, existing
from analyzer.assessments.paging import checked_limit, page_of, position_of
from analyzer.assessments.targets import selector_of
from analyzer.errors import InvalidInputError, PreviewInProgressError
from analyzer.model import Exclusion, ExclusionsPreview, Found, Page, Run
from analyzer.results.exclusions import of_hosts, of_packages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.store import Rows


class ExclusionDesk(Desk):
    """What it could not do."""

    async def list_exclusions(
        self, run_arn: str, *, token: str | None = None, limit: int = 100
    ) -> Page[Exclusion]:
        """Return a page of the exclusions of a run; at most 100.

        Raises:
            InvalidInputError: ARN, token or limit is none.
            NoSuchEntityError: The run does not exist.
        """
        size = checked_limit(limit, limits.MAX_PAGE)
        listing = ("exclusions", run_arn)
        after = position_of(listing, token)
        async with self._store.reading() as rows:
            self._named(run_arn, EntityKind.RUN)
            existing(await rows.runs.get(run_arn), EntityKind.RUN, run_arn)
            placed = await rows.exclusions.page(run_arn, after=after, limit=size + 1)
        return page_of(listing, placed, size)

    async def describe_exclusions(self, arns: Sequence[str]) -> Found[Exclusion]:
        """Return the exclusions of these ARNs."""
        async with self._store.reading() as rows:
            return await self._found(arns, EntityKind.EXCLUSION, rows.exclusions.get)

    async def create_exclusions_preview(self, template_arn: str) -> str:
        """Ask for what a run of a template would exclude now; return the token of the answer.

        The server makes it within a second: ``make_previews``.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The template does not exist.
            PreviewInProgressError: One of this template is being made.
        """
        async with self._store.writing() as rows:
            await self._template(rows, template_arn)
            pending = await rows.exclusions.pending_previews()
            if any(preview.template_arn == template_arn for preview in pending):
                raise PreviewInProgressError(template_arn)
            token = str(uuid4())
            preview = ExclusionsPreview(token, template_arn, self._clock.now_us())
            await rows.exclusions.put_preview(preview)
        return token

    async def exclusions_preview(
        self, template_arn: str, preview_token: str, *, token: str | None = None, limit: int = 100
    ) -> Page[Exclusion] | None:
        """Return a page of a preview, at most 100; None while it is being made.

        Raises:
            InvalidInputError: ARN, token or limit is none, or the template has no such preview.
            NoSuchEntityError: The template does not exist.
        """
        size = checked_limit(limit, limits.MAX_PAGE)
        listing = ("exclusions preview", preview_token)
        after = position_of(listing, token) or (-1,)
        async with self._store.reading() as rows:
            await self._template(rows, template_arn)
            preview = await rows.exclusions.preview(preview_token)
        if preview is None or preview.template_arn != template_arn:
            code = "INVALID_PAGINATION_TOKEN"  # Inspector has none for a preview's token
            raise InvalidInputError(code, "the template has no such preview")
        if preview.exclusions is None:
            return None
        rest = [
            ((number,), item) for number, item in enumerate(preview.exclusions) if number > after[0]
        ]
        return page_of(listing, rest, size)

    async def make_previews(self) -> None:
        """Make every preview that was asked for; the server calls this now and then."""
        async with self._store.reading() as rows:
            if not await rows.exclusions.pending_previews():
                return
        async with self._store.writing() as rows:
            for preview in await rows.exclusions.pending_previews():
                made = tuple(await self._preview(rows, preview.template_arn))
                await rows.exclusions.put_preview(replace(preview, exclusions=made))

    async def _preview(self, rows: Rows, template_arn: str) -> list[Exclusion]:
        now_us = self._clock.now_us()
        template = await self._template(rows, template_arn)
        target = await self._target(rows, template.target_arn)
        draft = Run(
            id="",
            name="",
            duration_s=template.duration_s,
            packages=template.packages,
            created_us=now_us,
            selector=await selector_of(rows, target),
        )
        active = await rows.runs.active()
        choice = choose_hosts(draft, await rows.agents.all(), active, now_us)
        hosts = choice.seen_by(replace(draft, agents=choice.healthy), now_us)
        busy = [agent_id for agent_id, _ in choice.busy]
        return [*of_packages(template.packages), *of_hosts(hosts, busy=busy)]
