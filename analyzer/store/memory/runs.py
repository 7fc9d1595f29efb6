"""Assessment runs in memory."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from analyzer.errors import StoreError
from analyzer.model import JUDGED
from analyzer.store.memory.matching import passes_agent, passes_run
from analyzer.store.memory.state import State, newest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.model import Run, RunAgent, RunAgentFilter, RunFilter, StopAction
    from analyzer.store.protocol import Placed, Position


class MemoryRuns:
    """Assessment runs, their agents and result documents."""

    def __init__(self, state: State) -> None:
        """Use a state."""
        self._state = state

    async def add(self, run: Run) -> None:
        """Insert a new run."""
        if run.id in self._state.runs:
            raise StoreError(f"run {run.id} exists already")
        self._state.runs[run.id] = (self._state.next(), run)

    async def get(self, arn: str) -> Run | None:
        """Return the run of an ARN, or None."""
        return next((r for _, r in self._state.runs.values() if r.arn == arn), None)

    async def with_id(self, run_id: str) -> Run | None:
        """Return the run of an id, or None."""
        found = self._state.runs.get(run_id)
        return found[1] if found else None

    async def named(self, template_arn: str, name: str) -> Run | None:
        """Return the template's newest run of a name, or None."""
        wanted = (template_arn, name)
        rows = [
            row for row in self._state.runs.values() if (row[1].template_arn, row[1].name) == wanted
        ]
        return max(rows, key=lambda row: row[0])[1] if rows else None

    async def all(self) -> list[Run]:
        """Return every run, newest first."""
        rows = sorted(self._state.runs.values(), key=lambda row: (-row[1].created_us, -row[0]))
        return [run for _, run in rows]

    async def newest(self, *, id_start: str = "", limit: int) -> list[Run]:
        """Return up to ``limit`` runs whose ids start so, newest first."""
        return [run for run in await self.all() if run.id.startswith(id_start)][:limit]

    async def judged_before(self, run: Run) -> Run | None:
        """Return the newest judged run before this one that is comparable with it, or None."""
        for other in await self.all():
            is_before = (other.created_us, other.id) < (run.created_us, run.id)
            if is_before and other.state in JUDGED and _are_alike(other, run):
                return other
        return None

    async def newest_judged(self) -> list[Run]:
        """Return the newest judged run of each template and packages, oldest first."""
        found: dict[tuple[str, tuple[str, ...]], Run] = {}
        for run in await self.all():
            if run.state in JUDGED:
                found.setdefault((run.template_arn, run.packages), run)
        return list(reversed(found.values()))

    async def ended_since(self, since_us: int) -> list[str]:
        """Return ids of ended runs whose interval reaches a moment, or that were made since."""
        return [
            run.id
            for run in await self.all()
            if run.state.is_final
            and (run.created_us if run.to_us is None else run.to_us) >= since_us
        ]

    async def active(self, *, within: str = "") -> list[Run]:
        """Return the runs that have not ended, newest first; those in a target or template."""
        return [
            run
            for run in await self.all()
            if not run.state.is_final
            and (not within or within in (run.template_arn, run.target_arn))
        ]

    async def save(self, run: Run) -> None:
        """Write everything but ``stop`` of a run that exists."""
        if run.id not in self._state.runs:
            raise StoreError(f"run {run.id} does not exist")
        number, kept = self._state.runs[run.id]
        self._state.runs[run.id] = (number, replace(run, stop=kept.stop))

    async def request_stop(self, run_id: str, action: StopAction) -> bool:
        """Ask for a stop of an active run."""
        found = self._state.runs.get(run_id)
        if found is None or found[1].state.is_final:
            return False
        self._state.runs[run_id] = (found[0], replace(found[1], stop=action))
        return True

    async def delete(self, arn: str) -> None:
        """Delete a run with its agents, result, findings and exclusions."""
        run = await self.get(arn)
        if run is not None:
            self._state.forget_run(run)

    async def page(
        self, what: RunFilter, *, after: Position | None, limit: int
    ) -> list[Placed[Run]]:
        """Return up to ``limit`` runs that have an ARN, after a position."""
        return newest(self._state.runs, partial(passes_run, what), after=after, limit=limit)

    async def count(self) -> int:
        """Return how many runs there are."""
        return len(self._state.runs)

    async def put_agents(self, agents: Iterable[RunAgent]) -> None:
        """Insert or replace agents of runs."""
        for agent in agents:
            self._state.run_agents[agent.run_arn, agent.agent_id] = agent

    async def agents(self, run_arn: str) -> list[RunAgent]:
        """Return the agents of a run, by id."""
        of_it = [agent for agent in self._state.run_agents.values() if agent.run_arn == run_arn]
        return sorted(of_it, key=lambda agent: agent.agent_id)

    async def agent_page(
        self, run_arn: str, what: RunAgentFilter, *, after: str, limit: int
    ) -> list[RunAgent]:
        """Return up to ``limit`` agents of a run whose ids are above ``after``, by id."""
        return [
            agent
            for agent in await self.agents(run_arn)
            if agent.agent_id > after and passes_agent(what, agent)
        ][:limit]

    async def put_result(self, run_id: str, document: bytes) -> None:
        """Insert or replace the result document of a run."""
        self._state.results[run_id] = document

    async def result(self, run_id: str) -> bytes | None:
        """Return the result document of an ended run."""
        return self._state.results.get(run_id)


def _are_alike(other: Run, run: Run) -> bool:
    if run.template_arn:
        return other.template_arn == run.template_arn
    return other.packages == run.packages
