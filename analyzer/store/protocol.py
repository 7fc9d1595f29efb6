"""The seam to whatever keeps runs, agents and results: transactions, and in them rows by subject.

Implementations: ``sql.SqlStore`` (SQLite, PostgreSQL) and ``memory.MemoryStore`` (tests); one set
of contract tests holds all. Writers wait for each other, so what one reads holds until it has
written. Pages come newest first as pairs of a position and a value; the position of the last one
leads on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from analyzer.store.run_rows import RunRows
from analyzer.store.service_rows import ServiceRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from analyzer.model import (
        Agent,
        DomainEvent,
        Exclusion,
        ExclusionsPreview,
        FindingFilter,
        FindingRow,
        ResourceGroup,
        Run,
        RunAgent,
        StopAction,
        Tag,
        Target,
        TargetFilter,
        Template,
        TemplateFilter,
    )

T = TypeVar("T")
Position = tuple[int, ...]
"""Where a page ended: numbers that only the store understands."""
Placed = tuple[Position, T]


class TargetRows(Protocol):
    """Resource groups and assessment targets."""

    async def add_group(self, group: ResourceGroup) -> None:
        """Insert a resource group."""
        ...

    async def group(self, arn: str) -> ResourceGroup | None:
        """Return a resource group, or None."""
        ...

    async def count_groups(self) -> int:
        """Return how many resource groups there are."""
        ...

    async def add(self, target: Target) -> None:
        """Insert a target whose name is free."""
        ...

    async def update(self, target: Target) -> None:
        """Write name, resource group and time of a target that exists."""
        ...

    async def get(self, arn: str) -> Target | None:
        """Return a target, or None."""
        ...

    async def named(self, name: str) -> Target | None:
        """Return the target of a name, or None."""
        ...

    async def delete(self, arn: str) -> None:
        """Delete a target with everything that lies in it."""
        ...

    async def page(
        self, what: TargetFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Target]]:
        """Return up to ``limit`` targets after a position."""
        ...

    async def count(self) -> int:
        """Return how many targets there are."""
        ...


class TemplateRows(Protocol):
    """Assessment templates."""

    async def add(self, template: Template) -> None:
        """Insert a template whose name is free in its target."""
        ...

    async def get(self, arn: str) -> Template | None:
        """Return a template with the number of its runs and the last of them, or None."""
        ...

    async def named(self, target_arn: str, name: str) -> Template | None:
        """Return the target's template of a name, or None."""
        ...

    async def set_tags(self, arn: str, tags: Sequence[Tag]) -> None:
        """Replace the tags of a template that exists."""
        ...

    async def delete(self, arn: str) -> None:
        """Delete a template with its runs and subscriptions."""
        ...

    async def page(
        self, what: TemplateFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Template]]:
        """Return up to ``limit`` templates after a position."""
        ...

    async def count(self) -> int:
        """Return how many templates there are."""
        ...


class FindingRows(Protocol):
    """Findings and how many there are."""

    async def replace(self, run: Run, rows: Sequence[FindingRow]) -> None:
        """Put findings in the place of all that a run has; count them by package and severity."""
        ...

    async def get(self, arns: Sequence[str]) -> dict[str, FindingRow]:
        """Return the findings that exist of these, by ARN."""
        ...

    async def page(
        self, what: FindingFilter, *, after: Position | None, limit: int
    ) -> list[Placed[str]]:
        """Return ARNs of up to ``limit`` findings after a position."""
        ...

    async def of_run(self, run_id: str) -> list[FindingRow]:
        """Return a run's findings, highest severity first, then by occurrence and id."""
        ...

    async def set_user_attributes(
        self, arn: str, attributes: Sequence[Tag], *, updated_us: int
    ) -> None:
        """Replace the user attributes of a finding that exists."""
        ...

    async def counts(self, run_id: str) -> dict[tuple[str, str], int]:
        """Return how many findings a run has, by package and severity; without zeros."""
        ...


class ExclusionRows(Protocol):
    """Exclusions of runs, and previews."""

    async def replace(self, run_arn: str, rows: Sequence[Exclusion]) -> None:
        """Put exclusions in the place of all that a run has."""
        ...

    async def get(self, arn: str) -> Exclusion | None:
        """Return an exclusion, or None."""
        ...

    async def page(
        self, run_arn: str, *, after: Position | None, limit: int
    ) -> list[Placed[Exclusion]]:
        """Return up to ``limit`` exclusions of a run after a position."""
        ...

    async def put_preview(self, preview: ExclusionsPreview) -> None:
        """Insert or replace a preview."""
        ...

    async def preview(self, token: str) -> ExclusionsPreview | None:
        """Return a preview, or None."""
        ...

    async def pending_previews(self) -> list[ExclusionsPreview]:
        """Return the previews that are to be made, oldest first."""
        ...


class Rows(ServiceRows, Protocol):
    """What can be read, and within ``writing`` written, in one transaction."""

    @property
    def targets(self) -> TargetRows:
        """Return resource groups and targets."""
        ...

    @property
    def templates(self) -> TemplateRows:
        """Return the templates."""
        ...

    @property
    def runs(self) -> RunRows:
        """Return runs, their agents and results."""
        ...

    @property
    def findings(self) -> FindingRows:
        """Return the findings."""
        ...

    @property
    def exclusions(self) -> ExclusionRows:
        """Return exclusions and previews."""
        ...


class Store(Protocol):
    """Where the analyzer keeps what must survive a restart."""

    def reading(self) -> AbstractAsyncContextManager[Rows]:
        """Return a transaction that only reads.

        Raises:
            StoreError: The store cannot be read.
        """
        ...

    def writing(self) -> AbstractAsyncContextManager[Rows]:
        """Return a transaction that is written when its block ends, or not at all.

        Only one is open at a time, whichever process opens it.

        Raises:
            StoreError: The store cannot be written.
        """
        ...

    async def put_agent(self, agent: Agent) -> None:
        """Insert or replace an agent."""
        ...

    async def agents(self) -> list[Agent]:
        """Return every known agent, by id."""
        ...

    async def add_run(self, run: Run) -> None:
        """Insert a new run.

        Raises:
            StoreError: A run with that id exists.
        """
        ...

    async def run(self, run_id: str) -> Run | None:
        """Return a run, or None if there is none with that id."""
        ...

    async def runs(self) -> list[Run]:
        """Return every run, newest first."""
        ...

    async def active_runs(self) -> list[Run]:
        """Return the runs that have not ended, newest first."""
        ...

    async def save_run(
        self,
        run: Run,
        *,
        agents: Iterable[RunAgent] = (),
        exclusions: Sequence[Exclusion] = (),
        events: Sequence[DomainEvent] = (),
    ) -> None:
        """Write everything but ``stop`` of a run that exists, and what it tells, in one step."""
        ...

    async def request_stop(self, run_id: str, action: StopAction) -> bool:
        """Ask the run clock to stop a run; return whether it was there and still active."""
        ...

    async def finish_run(
        self,
        run: Run,
        result: bytes,
        findings: Sequence[FindingRow],
        *,
        agents: Iterable[RunAgent] = (),
        exclusions: Sequence[Exclusion] = (),
        events: Sequence[DomainEvent] = (),
    ) -> None:
        """Write the run's last state, what it came to, and what it tells, in one step.

        Doing it again replaces what was there, so that a restart in between makes no doubles.
        """
        ...

    async def result(self, run_id: str) -> bytes | None:
        """Return the result document of an ended run."""
        ...

    async def findings(self, run_id: str) -> list[FindingRow]:
        """Return a run's findings, highest severity first, then by occurrence and id."""
        ...

    async def close(self) -> None:
        """Release connections; the store is unusable afterwards."""
        ...
