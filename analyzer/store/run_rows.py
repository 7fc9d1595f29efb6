"""Rows of assessment runs, their agents and result documents: a part of ``protocol``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.model import Run, RunAgent, RunAgentFilter, RunFilter, StopAction
    from analyzer.store.protocol import Placed, Position


class RunRows(Protocol):
    """Assessment runs, their agents and result documents."""

    async def add(self, run: Run) -> None:
        """Insert a new run.

        Raises:
            StoreError: A run with that id exists.
        """
        ...

    async def get(self, arn: str) -> Run | None:
        """Return the run of an ARN, or None."""
        ...

    async def with_id(self, run_id: str) -> Run | None:
        """Return the run of an id, or None."""
        ...

    async def named(self, template_arn: str, name: str) -> Run | None:
        """Return the template's newest run of a name, or None."""
        ...

    async def all(self) -> list[Run]:
        """Return every run, newest first."""
        ...

    async def newest(self, *, id_start: str = "", limit: int) -> list[Run]:
        """Return up to ``limit`` runs whose ids start so, newest first."""
        ...

    async def judged_before(self, run: Run) -> Run | None:
        """Return the newest judged run before this one that is comparable with it, or None.

        That is one of its template; of a run without, one of the same packages.
        """
        ...

    async def newest_judged(self) -> list[Run]:
        """Return the newest judged run of each template and packages, oldest first."""
        ...

    async def ended_since(self, since_us: int) -> list[str]:
        """Return ids of ended runs whose interval reaches a moment, or that were made since."""
        ...

    async def active(self, *, within: str = "") -> list[Run]:
        """Return the runs that have not ended, newest first; those in a target or template."""
        ...

    async def save(self, run: Run) -> None:
        """Write everything but ``stop`` of a run that exists.

        Raises:
            StoreError: It does not exist.
        """
        ...

    async def request_stop(self, run_id: str, action: StopAction) -> bool:
        """Ask the run clock to stop a run; return whether it was there and still active."""
        ...

    async def delete(self, arn: str) -> None:
        """Delete a run with its agents, result, findings and exclusions."""
        ...

    async def page(
        self, what: RunFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Run]]:
        """Return up to ``limit`` runs that have an ARN, after a position."""
        ...

    async def count(self) -> int:
        """Return how many runs there are."""
        ...

    async def put_agents(self, agents: Iterable[RunAgent]) -> None:
        """Insert or replace agents of runs."""
        ...

    async def agents(self, run_arn: str) -> list[RunAgent]:
        """Return the agents of a run, by id."""
        ...

    async def agent_page(
        self, run_arn: str, what: RunAgentFilter, *, after: str, limit: int
    ) -> list[RunAgent]:
        """Return up to ``limit`` agents of a run whose ids are above ``after``, by id."""
        ...

    async def put_result(self, run_id: str, document: bytes) -> None:
        """Insert or replace the result document of a run."""
        ...

    async def result(self, run_id: str) -> bytes | None:
        """Return the result document of an ended run."""
        ...
