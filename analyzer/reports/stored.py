"""Reports of stored runs: what a report is made from, read where a server keeps it.

In: the desk for runs, and the store. Out: the material of a report, for ``ReportDesk`` and the
command line.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from analyzer.errors import AssessmentError, RunInProgressError
from analyzer.reports.material import Material
from analyzer.reports.occasion import Excluded, Kind, Occasion, Trend
from analyzer.results.comparison import Judgement, compare_runs
from analyzer.suppression.desk import SuppressionDesk
from analyzer.suppression.review import review
from analyzer.words import time_text
from rules.format import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.model import Exclusion, Run
    from analyzer.results.document import Result
    from analyzer.runs.desk import RunDesk
    from analyzer.store import Store
    from rules.loader import Package
    from rules.telemetry import Clock

_VERSION_DIGITS: Final = 12
_MAX_EXCLUSIONS: Final = 1_000  # that are read; a report tells them by kind


class StoredReports:
    """Knows what there is to say about the runs of a server."""

    def __init__(self, runs: RunDesk, store: Store, *, clock: Clock) -> None:
        """Use a store that is open, and a desk on it."""
        self._runs = runs
        self._store = store
        self._suppressions = SuppressionDesk(store, clock=clock)
        self._clock = clock

    async def exists(self, run_id: str) -> bool:
        """Tell whether the run has not been deleted."""
        return await self._store.run(run_id) is not None

    async def version(self, run_id: str) -> str:
        """Return letters and digits that change whenever a report of the run would.

        But for remarks about suppressions that other runs no longer match: those are looked for
        when a report is made.

        Raises:
            RunInProgressError: It has not ended.
            AssessmentError: There is no such run.
        """
        run = await self._ended(run_id)
        earlier = await self._runs.before(run)
        now_us = self._clock.now_us()
        suppressions = await self._suppressions.suppressions()
        due = review(suppressions, (), now_us=now_us)
        active = [each for each in suppressions if each.is_active(now_us)]
        told = [[each.id for each in part] for part in (active, due.expired, due.expiring)]
        about = [run.id, earlier.id if earlier else None, await self._names(run), told]
        return digest_of(about)[:_VERSION_DIGITS]

    async def material(self, run_id: str, kind: Kind) -> Material:
        """Return what a report of an ended run is made from.

        Raises:
            RunInProgressError: It has not ended.
            AssessmentError: There is no such run, or it has no result.
        """
        run = await self._ended(run_id)
        result = await self._runs.result(run)
        if result is None:
            raise AssessmentError(f"run {run.id} is {run.state} and has no result to report")
        packages = await asyncio.to_thread(self._runs.packages, run)
        template, target = await self._names(run)
        exclusions = await self._exclusions(run)
        statuses = await self._suppressions.statuses()
        occasion = Occasion(
            kind=kind,
            template=template,
            target=target,
            selector=_selector_text(run) if run.target_arn else "",
            excluded=excluded_of(exclusions, result),
            accepted={
                finding.issue_id: status.text()
                for finding in result.findings
                if (status := statuses.of(finding)).state == "accepted"
            },
            duration_s=run.duration_s,
            started_us=run.started_us,
            ended_us=run.completed_us,
            generated_us=self._clock.now_us(),
            trend=await self._trend(run, result, packages),
            remarks=tuple((await self._suppressions.review()).lines()),
        )
        return Material(result, tuple(packages), occasion)

    async def _names(self, run: Run) -> list[str]:
        """Return the names of a run's template and target, empty where it has none."""
        async with self._store.reading() as rows:
            template = await rows.templates.get(run.template_arn) if run.template_arn else None
            target = await rows.targets.get(run.target_arn) if run.target_arn else None
        return [each.name if each else "" for each in (template, target)]

    async def _exclusions(self, run: Run) -> list[Exclusion]:
        async with self._store.reading() as rows:
            placed = await rows.exclusions.page(run.arn, after=None, limit=_MAX_EXCLUSIONS)
        return [item for _, item in placed]

    async def _ended(self, run_id: str) -> Run:
        run = await self._store.run(run_id)
        if run is None:
            raise AssessmentError(f"run {run_id} does not exist")
        if not run.state.is_final:
            raise RunInProgressError((run.arn or run.id,))
        return run

    async def _trend(self, run: Run, result: Result, packages: list[Package]) -> Trend | None:
        earlier = await self._runs.before(run)
        before = await self._runs.result(earlier) if earlier else None
        if earlier is None or before is None:
            return None
        judged = await asyncio.to_thread(self._runs.packages, earlier)
        compared = await asyncio.to_thread(
            compare_runs, Judgement.of(before, judged), Judgement.of(result, packages)
        )
        begin = time_text(before.run.from_us).split(".")[0]
        return Trend(
            against=f"run {earlier.id} of {begin} UTC",
            new=frozenset(item.issue_id for item in compared.findings if item.state == "new"),
            resolved=compared.summary["resolved"],
        )


def excluded_of(exclusions: Iterable[Exclusion], result: Result) -> tuple[Excluded, ...]:
    """Return exclusions by their title, each with the hosts that it is about."""
    names = {host.agent_id: host.hostname or host.agent_id for host in result.hosts}
    by_title: dict[str, list[Exclusion]] = defaultdict(list)
    for item in exclusions:
        by_title[item.title].append(item)
    return tuple(
        Excluded(
            title=title,
            description=_description(items),
            recommendation=items[0].recommendation,
            hosts=tuple(
                sorted(
                    {
                        names.get(scope.value, scope.value)
                        for item in items
                        for scope in item.scopes
                        if scope.key == "INSTANCE_ID" and scope.value != "*"
                    }
                )
            ),
        )
        for title, items in sorted(by_title.items())
    )


def _description(items: Sequence[Exclusion]) -> str:
    texts = list(dict.fromkeys(item.description for item in items))
    return texts[0] if len(texts) == 1 else f"{len(items)} times, such as: {texts[0]}"


def _selector_text(run: Run) -> str:
    if not run.selector:
        return "every host"
    pairs = [f"{tag.key} = {'any' if tag.value is None else tag.value}" for tag in run.selector]
    return f"any of {', '.join(pairs)}"
