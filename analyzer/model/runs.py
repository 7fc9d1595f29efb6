"""Assessment runs: their states, their history, and the hosts they assess."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from analyzer.model.agents import HealthCode
from analyzer.model.tags import Tag

StopAction = Literal["", "START_EVALUATION", "SKIP_EVALUATION"]


class RunState(StrEnum):
    """The states of an assessment run, in the order in which a run passes them."""

    CREATED = "CREATED"
    START_DATA_COLLECTION_PENDING = "START_DATA_COLLECTION_PENDING"
    START_DATA_COLLECTION_IN_PROGRESS = "START_DATA_COLLECTION_IN_PROGRESS"
    COLLECTING_DATA = "COLLECTING_DATA"
    STOP_DATA_COLLECTION_PENDING = "STOP_DATA_COLLECTION_PENDING"
    DATA_COLLECTED = "DATA_COLLECTED"
    START_EVALUATING_RULES_PENDING = "START_EVALUATING_RULES_PENDING"
    EVALUATING_RULES = "EVALUATING_RULES"
    FAILED = "FAILED"
    ERROR = "ERROR"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Tell whether a run never leaves this state."""
        return self in _FINAL


_FINAL = frozenset(
    {
        RunState.FAILED,
        RunState.ERROR,
        RunState.COMPLETED,
        RunState.COMPLETED_WITH_ERRORS,
        RunState.CANCELED,
    }
)
JUDGED = (RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS)
"""The states of runs that have a result."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """One step of a run's history."""

    state: RunState
    at_us: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running assessment has seen so far; findings are provisional until it has ended."""

    events: int = 0
    batches: int = 0
    rejected: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    """Provisional findings by severity."""


@dataclass(frozen=True, slots=True)
class Run:
    """One assessment run: what was asked for, and how far it is.

    ``from_us`` and ``to_us`` bound the interval that is judged; they are set when collection
    starts, and ``to_us`` moves back when the run is stopped early.
    """

    id: str
    """The last part of its ARN, and the name of its folder."""
    name: str
    duration_s: int
    packages: tuple[str, ...]
    """Ids of rules packages; empty = all that are shipped."""
    created_us: int
    state: RunState = RunState.CREATED
    from_us: int | None = None
    to_us: int | None = None
    agents: tuple[str, ...] = ()
    """The hosts it assesses, by id: those that were healthy when it started."""
    changes: tuple[StateChange, ...] = ()
    stop: StopAction = ""
    message: str = ""
    """Why it failed, or what went wrong on the way; empty when all is well."""
    progress: Progress = field(default_factory=Progress)
    arn: str = ""
    template_arn: str = ""
    target_arn: str = ""
    selector: tuple[Tag, ...] = ()
    """A host with any of these tags is assessed; empty = every host. As it was at the start."""
    user_attributes: tuple[Tag, ...] = ()
    """What the template gives to every finding."""

    @property
    def started_us(self) -> int | None:
        """Return when collection began, or None."""
        return self._entered_us(RunState.COLLECTING_DATA)

    @property
    def completed_us(self) -> int | None:
        """Return when it ended, however it did, or None."""
        return self.changes[-1].at_us if self.changes and self.state.is_final else None

    @property
    def state_changed_us(self) -> int:
        """Return when it came into its present state."""
        return self.changes[-1].at_us if self.changes else self.created_us

    @property
    def data_collected(self) -> bool:
        """Tell whether its collection has ended."""
        return self._entered_us(RunState.DATA_COLLECTED) is not None

    @property
    def interval(self) -> tuple[int, int]:
        """Return the interval that is judged; empty while collection has not begun."""
        return (self.from_us or 0, self.to_us or 0)

    def entered(self, state: RunState, at_us: int) -> Run:
        """Return the run in another state, with the step in its history."""
        return replace(self, state=state, changes=(*self.changes, StateChange(state, at_us)))

    def _entered_us(self, state: RunState) -> int | None:
        return next((change.at_us for change in self.changes if change.state is state), None)


@dataclass(frozen=True, slots=True)
class MessageCount:
    """How much telemetry of one type came: messages and their size."""

    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgent:
    """A host of a run's target, as the run saw it.

    Attributes:
        run_arn: The run.
        agent_id: The host.
        code: Its health, of which HEALTHY, UNHEALTHY or UNKNOWN follows.
        details: Its health in words.
        is_assessed: Whether the run collects from it; others were not healthy or busy at the start.
        hostname: Its name; empty where no heartbeat said it.
        auto_scaling_group: The group it was started by; empty where its tags name none.
        tags: Its tags when the run started.
        telemetry: Type of message → what came of it in this run.
    """

    run_arn: str
    agent_id: str
    code: HealthCode
    details: str = ""
    is_assessed: bool = True
    hostname: str = ""
    auto_scaling_group: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    telemetry: dict[str, MessageCount] = field(default_factory=dict)
