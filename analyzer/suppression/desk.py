"""The desk for suppressions: accept a risk, call an issue resolved, take either back.

In: a store, and what a person says. Out: the same kept, and the statuses that follow from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from analyzer.model import Resolution, Suppression
from analyzer.suppression.making import resolve, suppress
from analyzer.suppression.matching import FindingSubject, matches
from analyzer.suppression.review import Review, review
from analyzer.suppression.status import Statuses

if TYPE_CHECKING:
    from analyzer.model import Matcher
    from analyzer.store import Store
    from analyzer.suppression.matching import Subject
    from rules.telemetry import Clock


class SuppressionDesk:
    """Keeps what people say about findings."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        """Use a store that is open."""
        self._store = store
        self._clock = clock

    async def suppressions(self) -> list[Suppression]:
        """Return every suppression, oldest first; also those that expired or were taken back."""
        async with self._store.reading() as rows:
            return await rows.suppressions.all()

    async def statuses(self) -> Statuses:
        """Return what counts now."""
        async with self._store.reading() as rows:
            suppressions = await rows.suppressions.all()
            resolutions = await rows.suppressions.resolutions()
        return Statuses(suppressions, resolutions, now_us=self._clock.now_us())

    async def review(self) -> Review:
        """Return which suppressions to look at, by what the newest runs of each kind found."""
        suppressions, now_us = await self.suppressions(), self._clock.now_us()
        if not any(each.is_active(now_us) for each in suppressions):
            return review(suppressions, [], now_us=now_us)  # nothing to look for
        async with self._store.reading() as rows:
            newest = await rows.runs.newest_judged()
        findings = [row for run in newest for row in await self._store.findings(run.id)]
        subjects = [
            msgspec.json.decode(row.body, type=FindingSubject) for row in findings if row.body
        ]
        return review(suppressions, subjects, now_us=now_us)

    async def accept(
        self, matcher: Matcher, *, reason: str, owner: str, expires_us: int
    ) -> Suppression:
        """Accept the risk of the findings that match, until a moment.

        Raises:
            SuppressionError: It cannot be accepted so; the message names every problem.
        """
        made = suppress(
            matcher,
            reason=reason,
            owner=owner,
            now_us=self._clock.now_us(),
            expires_us=expires_us,
        )
        async with self._store.writing() as rows:
            await rows.suppressions.add(made)
        return made

    async def resolve(self, issue_id: str, *, owner: str, note: str = "") -> Resolution:
        """Say that an issue is resolved; a run that sees it later opens it again.

        Raises:
            SuppressionError: Nobody says so, or a text cannot be kept.
        """
        made = resolve(issue_id, owner=owner, note=note, now_us=self._clock.now_us())
        async with self._store.writing() as rows:
            await rows.suppressions.put_resolution(made)
        return made

    async def take_back(self, suppression_id: str) -> bool:
        """End a suppression; return whether it was there and had not been taken back."""
        async with self._store.writing() as rows:
            return await rows.suppressions.end(suppression_id, at_us=self._clock.now_us())

    async def reopen(self, finding: Subject) -> list[Suppression]:
        """Take back what is said about this issue alone; return what still accepts it."""
        now_us = self._clock.now_us()
        async with self._store.writing() as rows:
            await rows.suppressions.delete_resolution(finding.issue_id)
            kept = []
            for each in await rows.suppressions.all():
                if each.is_active(now_us) and matches(each.matcher, finding):
                    if each.matcher.issue_id:
                        await rows.suppressions.end(each.id, at_us=now_us)
                    else:
                        kept.append(each)
        return kept
