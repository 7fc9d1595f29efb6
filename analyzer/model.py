"""What the analyzer keeps: assessment runs with their states, and the agents it knows.

Plain frozen values. How they change is ``assessments``' business, where they are kept ``store``'s.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

_ID_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 8
AGENT_SILENT_US = 90_000_000  # three missed heartbeats of 30 s: its health is no longer known

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
    name: str
    duration_s: int
    packages: tuple[str, ...]
    """Ids of rules packages; empty = all that are shipped."""
    created_us: int
    state: RunState = RunState.CREATED
    from_us: int | None = None
    to_us: int | None = None
    agents: tuple[str, ...] = ()
    """The hosts it assesses, fixed when it starts."""
    changes: tuple[StateChange, ...] = ()
    stop: StopAction = ""
    message: str = ""
    """Why it failed, or what went wrong on the way; empty when all is well."""
    progress: Progress = field(default_factory=Progress)

    @property
    def interval(self) -> tuple[int, int]:
        """Return the interval that is judged; empty while collection has not begun."""
        return (self.from_us or 0, self.to_us or 0)

    def entered(self, state: RunState, at_us: int) -> Run:
        """Return the run in another state, with the step in its history."""
        return replace(self, state=state, changes=(*self.changes, StateChange(state, at_us)))


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as its last heartbeat described it."""

    agent_id: str
    boot_id: str
    hostname: str
    version: str
    tags: dict[str, str]
    is_online: bool
    is_collecting: bool
    last_seen_us: int
    clock_offset_us: int = 0
    """The agent's clock minus the analyzer's, measured."""

    def is_healthy(self, now_us: int) -> bool:
        """Tell whether it is connected and its heartbeat is recent."""
        return self.is_online and now_us - self.last_seen_us <= AGENT_SILENT_US


def new_run_id() -> str:
    """Return a fresh id: ``0-`` and eight letters or digits, as Inspector's ids look."""
    return "0-" + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
