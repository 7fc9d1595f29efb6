"""The seam to whatever keeps runs, agents and results.

Implementations: ``sql.SqlStore`` (SQLite) and ``memory.MemoryStore`` (tests); one set of contract
tests holds both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import Agent, Run, StopAction


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding as a row: what lists sort and filter by, and its whole body as JSON text."""

    occurrence_id: str
    issue_id: str
    rule: str
    agent_id: str
    numeric_severity: int
    body: str


class Store(Protocol):
    """Where the analyzer keeps what must survive a restart."""

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

    async def save_run(self, run: Run) -> None:
        """Write everything but ``stop`` of a run that exists."""
        ...

    async def request_stop(self, run_id: str, action: StopAction) -> bool:
        """Ask the run clock to stop a run; return whether it was there and still active."""
        ...

    async def finish_run(self, run: Run, result: bytes, findings: Sequence[StoredFinding]) -> None:
        """Write the run's last state, its result document and its findings in one step.

        Doing it again replaces what was there, so that a restart in between makes no doubles.
        """
        ...

    async def result(self, run_id: str) -> bytes | None:
        """Return the result document of an ended run."""
        ...

    async def findings(self, run_id: str) -> list[StoredFinding]:
        """Return a run's findings, highest severity first, then by occurrence id."""
        ...

    async def close(self) -> None:
        """Release connections; the store is unusable afterwards."""
        ...
