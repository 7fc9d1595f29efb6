"""Use cases of assessment runs that exist: stop, delete, find, and what came of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from analyzer.arns import EntityKind
from analyzer.assessments import limits
from analyzer.assessments.checks import checked_pattern, checked_range
from analyzer.assessments.desk import Desk, existing
from analyzer.assessments.paging import (
    checked_limit,
    page_of,
    position_of,
    text_after,
)
from analyzer.errors import RunInProgressError
from analyzer.model import (
    SEVERITIES,
    Found,
    MessageCount,
    OutboxMessage,
    Page,
    Run,
    RunAgent,
    RunAgentFilter,
    RunFilter,
    StopAction,
    evaluated,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from analyzer.store import Rows

_ALL: Final = RunFilter()
_ANY_AGENT: Final = RunAgentFilter()
TOTAL: Final = "Total"
_MAX_NOTIFICATIONS: Final = 50  # of one run that are shown


class RunDesk(Desk):
    """How it goes on."""

    async def stop_run(self, arn: str, *, action: StopAction = "START_EVALUATION") -> None:
        """Ask for the end of a run: judge what was collected, or cancel it at once.

        A run that does not collect yet is judged by what there is: nothing. One that has ended
        stays as it is.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The run does not exist.
        """
        async with self._store.writing() as rows:
            run = await self._run(rows, arn)
            await rows.runs.request_stop(run.id, action)

    async def delete_run(self, arn: str) -> None:
        """Delete a run that has ended, with its findings and reports.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The run does not exist.
            RunInProgressError: It is active.
        """
        async with self._store.writing() as rows:
            run = await self._run(rows, arn)
            if not run.state.is_final:
                raise RunInProgressError((arn,))
            await rows.runs.delete(arn)
            await rows.events.forget_messages_about(arn)

    async def describe_runs(self, arns: Sequence[str]) -> Found[Run]:
        """Return the runs of these ARNs."""
        async with self._store.reading() as rows:
            return await self._found(arns, EntityKind.RUN, rows.runs.get)

    async def run(self, arn: str) -> Run:
        """Return a run.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The run does not exist.
        """
        async with self._store.reading() as rows:
            return await self._run(rows, arn)

    async def finding_counts(self, arn: str) -> dict[str, int]:
        """Return how many findings of each severity a run has, zeros too; none before its end.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The run does not exist.
        """
        counts = dict.fromkeys(SEVERITIES, 0)
        for (_, severity), count in (await self._counts(arn)).items():
            counts[severity] += count
        return counts

    async def finding_counts_by_package(self, arn: str) -> dict[str, int]:
        """Return how many findings a run has, by ARN of each package it evaluates, zeros too.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The run does not exist.
        """
        async with self._store.reading() as rows:
            run = await self._run(rows, arn)
            counts = await rows.findings.counts(run.id)
        ids = evaluated(run.packages) or sorted(self._packages)
        return count_by_package(counts, {self.arns.rules_package(id_): id_ for id_ in ids})

    async def notifications(self, arn: str) -> list[OutboxMessage]:
        """Return the last 50 messages to topics about a run, oldest first.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The run does not exist.
        """
        async with self._store.reading() as rows:
            await self._run(rows, arn)
            return await rows.events.messages(arn, limit=_MAX_NOTIFICATIONS)

    async def list_runs(
        self, what: RunFilter = _ALL, *, token: str | None = None, limit: int = 100
    ) -> Page[Run]:
        """Return a page of runs, newest first; at most 100.

        Raises:
            InvalidInputError: Filter, token or limit is none.
            NoSuchEntityError: A template of the filter does not exist.
        """
        checked_pattern(what.name_pattern, code="INVALID_ASSESSMENT_TEMPLATE_NAME_PATTERN")
        checked_range(what.duration_s, code="INVALID_ASSESSMENT_RUN_DURATION_RANGE")
        for range_, name in (
            (what.started_us, "START"),
            (what.completed_us, "COMPLETION"),
            (what.state_changed_us, "STATE_CHANGE"),
        ):
            checked_range(range_, code=f"INVALID_ASSESSMENT_RUN_{name}_TIME_RANGE")
        size = checked_limit(limit, limits.MAX_PAGE)
        listing = ("runs", what)
        after = position_of(listing, token)
        async with self._store.reading() as rows:
            for arn in what.template_arns:
                await self._template(rows, arn)
            placed = await rows.runs.page(what, after=after, limit=size + 1)
        return page_of(listing, placed, size)

    async def list_run_agents(
        self,
        arn: str,
        what: RunAgentFilter = _ANY_AGENT,
        *,
        token: str | None = None,
        limit: int = 500,
    ) -> Page[RunAgent]:
        """Return a page of the hosts of a run's target, by id; at most 500.

        Raises:
            InvalidInputError: ARN, token or limit is none.
            NoSuchEntityError: The run does not exist.
        """
        size = checked_limit(limit, limits.MAX_AGENT_PAGE)
        listing = ("agents", arn, what)
        after = text_after(listing, token)
        async with self._store.reading() as rows:
            await self._run(rows, arn)
            agents = await rows.runs.agent_page(arn, what, after=after, limit=size + 1)
        return page_of(listing, [((agent.agent_id,), agent) for agent in agents], size)

    async def telemetry_of(self, arn: str) -> dict[str, MessageCount]:
        """Return what telemetry a run got, by type of message, with ``Total`` at the end.

        Raises:
            InvalidInputError: The ARN is none.
            NoSuchEntityError: The run does not exist.
        """
        async with self._store.reading() as rows:
            await self._run(rows, arn)
            agents = await rows.runs.agents(arn)
        return total_of(agent.telemetry for agent in agents)

    async def _counts(self, arn: str) -> dict[tuple[str, str], int]:
        async with self._store.reading() as rows:
            run = await self._run(rows, arn)
            return await rows.findings.counts(run.id)

    async def _run(self, rows: Rows, arn: str) -> Run:
        self._named(arn, EntityKind.RUN)
        return existing(await rows.runs.get(arn), EntityKind.RUN, arn)


def count_by_package(
    counts: Mapping[tuple[str, str], int], packages: Mapping[str, str]
) -> dict[str, int]:
    """Return how many findings each rules package has, by the ARN that it is given."""
    by_id = Counter[str]()
    for (package, _), count in counts.items():
        by_id[package] += count
    return {arn: by_id[package] for arn, package in packages.items()}


def total_of(hosts: Iterable[Mapping[str, MessageCount]]) -> dict[str, MessageCount]:
    """Return the sums over hosts by type of message, sorted, and ``Total`` over all types."""
    counts, sizes = Counter[str](), Counter[str]()
    for telemetry in hosts:
        for kind, amount in telemetry.items():
            counts[kind] += amount.count
            sizes[kind] += amount.size_bytes
    summed = {kind: MessageCount(counts[kind], sizes[kind]) for kind in sorted(counts)}
    summed[TOTAL] = MessageCount(counts.total(), sizes.total())
    return summed
