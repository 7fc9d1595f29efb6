"""The verdict on a run: from what its timeline and engine hold to a result for the store.

In: a live run whose collection is over. Out: the run in its last state, its result document,
its findings as rows and its exclusions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.model import Run, RunState
from analyzer.replay.judged import Judged, settings_digest
from analyzer.results.document import Digests, Result, RunInfo, assemble, to_json
from analyzer.results.exclusions import numbered, of_hosts, of_packages, of_result
from analyzer.results.finding_rows import finding_rows
from rules.loader import rules_digest
from rules.outcome import MAX_GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.model import Agent, Exclusion, FindingRow, RunAgent
    from analyzer.runs.live import LiveRun


@dataclass(frozen=True, slots=True)
class Finished:
    """An ended run and what it came to."""

    run: Run
    document: bytes
    findings: tuple[FindingRow, ...]
    exclusions: tuple[Exclusion, ...]
    judged: Judged
    """What it was made from."""


def finished(
    live: LiveRun,
    agents: Mapping[str, Agent],
    now_us: int,
    *,
    hosts: Sequence[RunAgent] = (),
) -> Finished:
    """Judge a run whose collection is over, and return what is to be stored.

    Args:
        live: The run; what is not sealed yet is sealed now.
        agents: The agents that are known, for their names.
        now_us: When it ends.
        hosts: Every host of its target, as the run saw it.
    """
    final = RunState.COMPLETED_WITH_ERRORS if live.run.message else RunState.COMPLETED
    run = live.run.entered(final, now_us)
    live.finish()
    silent = tuple(live.timeline.silent) if live.timeline else ()
    judged = _judged(live, run, agents)
    result = _result(live, judged)
    progress = replace(
        run.progress, events=result.summary.events, findings=dict(result.summary.findings)
    )
    assessed = {host.agent_id: host for host in hosts}
    interfaces = {agent_id: agent.interfaces for agent_id, agent in agents.items()}
    rows = finding_rows(run, result, live.packages, assessed, at_us=now_us, interfaces=interfaces)
    excluded = [
        *of_packages(run.packages),
        *(of_hosts(hosts) if hosts or not run.agents else ()),
        *of_result(result, live.packages, silent=silent),
    ]
    return Finished(
        run=replace(run, progress=progress),
        document=to_json(result),
        findings=tuple(rows),
        exclusions=tuple(numbered(run, excluded)),
        judged=judged,
    )


def _judged(live: LiveRun, run: Run, agents: Mapping[str, Agent]) -> Judged:
    from_us, to_us = run.interval
    digests = Digests(
        events=live.takings.events_digest(),
        rules=rules_digest(live.packages),
        settings=settings_digest(duration_s=run.duration_s, max_groups=MAX_GROUPS),
    )
    return Judged(
        format=1,
        run=RunInfo(
            id=run.id,
            name=run.name,
            state=run.state.value,
            from_us=from_us,
            to_us=to_us,
            digests=digests,
            arn=run.arn or None,
        ),
        duration_s=run.duration_s,
        max_groups=MAX_GROUPS,
        hosts={id_: agents[id_].hostname if id_ in agents else None for id_ in run.agents},
        segments=live.takings.segments,
        late=live.takings.late,
    )


def _result(live: LiveRun, judged: Judged) -> Result:
    return assemble(
        run=judged.run,
        packages=live.packages,
        outcomes=live.outcomes(),
        ledger=live.ledger,
        events=live.events,
        hostnames={agent_id: name for agent_id, name in judged.hosts.items() if name is not None},
    )
