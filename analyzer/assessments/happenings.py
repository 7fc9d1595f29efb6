"""Happenings: the domain events that a step of a run means.

In: a run before and after, and what it came to. Out: events in the order in which they are told. A
run is told as started when collection begins, as completed when evaluation ends; one that was
canceled or failed changes its state and no more. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.model import DomainEvent, EventKind, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.model import FindingRow, Run


def changes_between(before: Run | None, after: Run) -> list[DomainEvent]:
    """Return what is told of a run's way from one moment to another; None = it did not exist."""
    if not after.template_arn:
        return []
    known = len(before.changes) if before else 0
    events = []
    for change in after.changes[known:]:
        if change.state is RunState.COLLECTING_DATA:
            events.append(_event(after, EventKind.RUN_STARTED, change.at_us))
        events.append(_event(after, EventKind.RUN_STATE_CHANGED, change.at_us, state=change.state))
    return events


def outcome_of(
    run: Run, findings: Iterable[FindingRow], counts: Mapping[str, int]
) -> list[DomainEvent]:
    """Return what is told of an evaluated run besides its states: each finding, and the end.

    Args:
        run: In its last state.
        findings: What it came to.
        counts: ARN of a rules package → its findings.
    """
    if not run.template_arn:
        return []
    at_us = run.state_changed_us
    reported = [
        replace(
            _event(run, EventKind.FINDING_REPORTED, at_us, finding_arn=finding.arn),
            severity=finding.severity,
            title=finding.title,
            rule=finding.rule,
            agent_id=finding.agent_id,
        )
        for finding in findings
    ]
    end = _event(run, EventKind.RUN_COMPLETED, at_us, findings_count=dict(counts))
    return [*reported, end]


def _event(
    run: Run,
    kind: EventKind,
    at_us: int,
    *,
    state: RunState | None = None,
    finding_arn: str = "",
    findings_count: dict[str, int] | None = None,
) -> DomainEvent:
    return DomainEvent(
        kind=kind,
        at_us=at_us,
        template_arn=run.template_arn,
        target_arn=run.target_arn,
        run_arn=run.arn,
        state=state,
        finding_arn=finding_arn,
        findings_count=findings_count,
    )
