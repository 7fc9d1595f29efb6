"""The choice of hosts: which of a target's hosts a run assesses, fixed when it starts.

In: every agent that is known, the tag selector, the runs that are active. Out: the hosts to collect
from, those that another run has, and all of them as the run sees them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.model import Agent, Run, RunAgent, selects

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Choice:
    """The hosts of a target at one moment, by id.

    Attributes:
        healthy: Those that can be assessed and are in no other run.
        busy: Those that could be, each with the ARN of the active run that has it.
        selected: All of them.
    """

    healthy: tuple[str, ...]
    busy: tuple[tuple[str, str], ...]
    selected: tuple[Agent, ...]

    def seen_by(self, run: Run, now_us: int) -> list[RunAgent]:
        """Return all of them as a run sees them that assesses ``run.agents``."""
        assessed = frozenset(run.agents)
        return [
            run_agent(run, agent, now_us, is_assessed=agent.agent_id in assessed)
            for agent in self.selected
        ]


def choose_hosts(run: Run, agents: Iterable[Agent], active: Iterable[Run], now_us: int) -> Choice:
    """Return the choice for a run by its selector; other active runs keep their hosts."""
    taken = {
        agent_id: other.arn or other.id
        for other in active
        if other.id != run.id and not other.state.is_final
        for agent_id in other.agents
    }
    selected = sorted(
        (agent for agent in agents if selects(run.selector, agent.tags)),
        key=lambda agent: agent.agent_id,
    )
    able = [agent.agent_id for agent in selected if agent.is_healthy(now_us)]
    return Choice(
        healthy=tuple(agent_id for agent_id in able if agent_id not in taken),
        busy=tuple((agent_id, taken[agent_id]) for agent_id in able if agent_id in taken),
        selected=tuple(selected),
    )


def run_agent(run: Run, agent: Agent, now_us: int, *, is_assessed: bool) -> RunAgent:
    """Return an agent as a run sees it now, without what came of it."""
    return RunAgent(
        run_arn=run.arn,
        agent_id=agent.agent_id,
        code=agent.code(now_us),
        details=agent.details(now_us),
        is_assessed=is_assessed,
        hostname=agent.hostname,
        auto_scaling_group=agent.auto_scaling_group,
        tags=agent.tags,
    )
