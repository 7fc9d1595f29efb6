"""The store in memory: the same behaviour without a disk, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.model import Agent, Run, StopAction
    from analyzer.store.protocol import StoredFinding


class MemoryStore:
    """Keeps everything in dictionaries; gone with the process."""

    def __init__(self) -> None:
        """Start empty."""
        self._agents: dict[str, Agent] = {}
        self._runs: dict[str, Run] = {}
        self._results: dict[str, bytes] = {}
        self._findings: dict[str, list[StoredFinding]] = {}

    async def put_agent(self, agent: Agent) -> None:
        """Insert or replace an agent."""
        self._agents[agent.agent_id] = agent

    async def agents(self) -> list[Agent]:
        """Return every known agent, by id."""
        return [self._agents[agent_id] for agent_id in sorted(self._agents)]

    async def add_run(self, run: Run) -> None:
        """Insert a new run."""
        if run.id in self._runs:
            raise StoreError(f"run {run.id} exists already")
        self._runs[run.id] = run

    async def run(self, run_id: str) -> Run | None:
        """Return a run, or None."""
        return self._runs.get(run_id)

    async def runs(self) -> list[Run]:
        """Return every run, newest first."""
        return sorted(self._runs.values(), key=lambda run: (run.created_us, run.id), reverse=True)

    async def active_runs(self) -> list[Run]:
        """Return the runs that have not ended, newest first."""
        return [run for run in await self.runs() if not run.state.is_final]

    async def save_run(self, run: Run) -> None:
        """Write everything but ``stop`` of a run that exists."""
        kept = self._runs.get(run.id)
        if kept is None:
            raise StoreError(f"run {run.id} does not exist")
        self._runs[run.id] = replace(run, stop=kept.stop)

    async def request_stop(self, run_id: str, action: StopAction) -> bool:
        """Ask for a stop of an active run."""
        run = self._runs.get(run_id)
        if run is None or run.state.is_final:
            return False
        self._runs[run_id] = replace(run, stop=action)
        return True

    async def finish_run(self, run: Run, result: bytes, findings: Sequence[StoredFinding]) -> None:
        """Write the last state, result and findings in one step."""
        await self.save_run(run)
        self._results[run.id] = result
        self._findings[run.id] = list(findings)

    async def result(self, run_id: str) -> bytes | None:
        """Return the result document of an ended run."""
        return self._results.get(run_id)

    async def findings(self, run_id: str) -> list[StoredFinding]:
        """Return a run's findings, highest severity first, then by occurrence id."""
        return sorted(
            self._findings.get(run_id, []),
            key=lambda finding: (-finding.numeric_severity, finding.occurrence_id),
        )

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""
