"""What the store in memory holds, and pages of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from analyzer.model import (
    Agent,
    Exclusion,
    ExclusionsPreview,
    FindingRow,
    OutboxMessage,
    Resolution,
    ResourceGroup,
    Route,
    Run,
    RunAgent,
    Schedule,
    Subscription,
    Suppression,
    Target,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analyzer.store.protocol import Placed, Position

T = TypeVar("T")
Numbered = dict[str, tuple[int, T]]
"""Values by their name, each with the number that it was given when it came."""


@dataclass
class State:
    """Every row, by the name it is known by; runs and what lies in them by the run's id."""

    counter: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    groups: Numbered[ResourceGroup] = field(default_factory=dict)
    targets: Numbered[Target] = field(default_factory=dict)
    templates: Numbered[Template] = field(default_factory=dict)
    runs: Numbered[Run] = field(default_factory=dict)
    run_agents: dict[tuple[str, str], RunAgent] = field(default_factory=dict)
    results: dict[str, bytes] = field(default_factory=dict)
    findings: Numbered[FindingRow] = field(default_factory=dict)
    finding_counts: dict[str, dict[tuple[str, str], int]] = field(default_factory=dict)
    exclusions: Numbered[Exclusion] = field(default_factory=dict)
    previews: dict[str, ExclusionsPreview] = field(default_factory=dict)
    subscriptions: dict[tuple[str, str, str], Subscription] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    outbox: dict[str, OutboxMessage] = field(default_factory=dict)
    suppressions: dict[str, Suppression] = field(default_factory=dict)
    resolutions: dict[str, Resolution] = field(default_factory=dict)

    def next(self) -> int:
        """Return the next number."""
        self.counter += 1
        return self.counter

    def copy(self) -> State:
        """Return a state that changes apart from this one; values never change."""
        twin = State(self.counter)
        for name, value in vars(self).items():
            if isinstance(value, dict):
                setattr(twin, name, value.copy())
        return twin

    def forget_run(self, run: Run) -> None:
        """Remove a run and what lies in it."""
        self.runs.pop(run.id, None)
        self.results.pop(run.id, None)
        self.finding_counts.pop(run.id, None)
        if run.arn:
            self.run_agents = {key: v for key, v in self.run_agents.items() if key[0] != run.arn}
            self.exclusions = _outside(self.exclusions, run.arn)
            self.findings = _outside(self.findings, run.arn)

    def forget_template(self, arn: str) -> None:
        """Remove a template and what lies in it."""
        self.schedules = {k: v for k, v in self.schedules.items() if v.template_arn != arn}
        self.templates.pop(arn, None)
        for _, run in list(self.runs.values()):
            if run.template_arn == arn:
                self.forget_run(run)
        self.subscriptions = {key: v for key, v in self.subscriptions.items() if key[0] != arn}
        self.previews = {k: v for k, v in self.previews.items() if v.template_arn != arn}


def _outside(rows: Numbered[T], arn: str) -> Numbered[T]:
    return {name: row for name, row in rows.items() if not name.startswith(f"{arn}/")}


def newest(
    rows: Mapping[str, tuple[int, T]],
    passes: Callable[[T], bool],
    *,
    after: Position | None,
    limit: int,
) -> list[Placed[T]]:
    """Return up to ``limit`` of the rows that pass, after a position, newest first."""
    found: list[Placed[T]] = [
        ((number,), value)
        for number, value in sorted(rows.values(), key=lambda row: -row[0])
        if passes(value) and (after is None or number < after[0])
    ]
    return found[:limit]
