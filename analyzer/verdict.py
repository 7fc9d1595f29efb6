"""The verdict on a run: from what its timeline and engine hold to a result for the store.

In: a live run whose collection is over. Out: the run in its last state, its result document and
its findings as rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.model import Run, RunState
from analyzer.results import Digests, Result, RunInfo, assemble, finding_json, to_json
from analyzer.store import StoredFinding
from rules.format import digest_of
from rules.loader import rules_digest
from rules.outcome import MAX_GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.live import LiveRun
    from analyzer.model import Agent


@dataclass(frozen=True, slots=True)
class Finished:
    """An ended run and what it came to."""

    run: Run
    document: bytes
    findings: tuple[StoredFinding, ...]


def finished(live: LiveRun, agents: Mapping[str, Agent], now_us: int) -> Finished:
    """Judge a run whose collection is over, and return what is to be stored.

    Args:
        live: The run; everything that came is sealed.
        agents: The agents that are known, for their names.
        now_us: When it ends.
    """
    final = RunState.COMPLETED_WITH_ERRORS if live.run.message else RunState.COMPLETED
    run = live.run.entered(final, now_us)
    result = _result(live, run, agents)
    progress = replace(
        run.progress, events=result.summary.events, findings=dict(result.summary.findings)
    )
    return Finished(
        run=replace(run, progress=progress),
        document=to_json(result),
        findings=tuple(
            StoredFinding(
                occurrence_id=finding.occurrence_id,
                issue_id=finding.issue_id,
                rule=finding.rule,
                agent_id=finding.agent_id,
                numeric_severity=finding.numeric_severity,
                body=finding_json(finding).decode(),
            )
            for finding in result.findings
        ),
    )


def _result(live: LiveRun, run: Run, agents: Mapping[str, Agent]) -> Result:
    from_us, to_us = run.interval
    return assemble(
        run=RunInfo(
            id=run.id,
            name=run.name,
            state=run.state.value,
            from_us=from_us,
            to_us=to_us,
            digests=Digests(
                events=live.events_digest(),
                rules=rules_digest(live.packages),
                settings=digest_of({"duration_s": run.duration_s, "max_groups": MAX_GROUPS}),
            ),
        ),
        packages=live.packages,
        outcomes=live.outcomes(),
        ledger=live.ledger,
        events=live.events,
        hostnames={id_: agents[id_].hostname for id_ in run.agents if id_ in agents},
    )
