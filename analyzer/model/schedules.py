"""Recurring assessment runs: when runs of a template are started, and how that went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

KEPT_OUTCOMES: Final = 20  # of each schedule, the newest first


class ScheduleResult(StrEnum):
    """What came of a time of a schedule."""

    STARTED = "STARTED"
    SKIPPED = "SKIPPED"
    """A run of the same template was still active."""
    MISSED = "MISSED"
    """The server was away, for too long to make up for it."""
    FAILED = "FAILED"
    """No run could be started; the message says why."""


@dataclass(frozen=True, slots=True)
class ScheduleOutcome:
    """What came of one time of a schedule.

    Attributes:
        due_us: The time that the schedule names.
        at_us: When it was dealt with.
        result: What came of it.
        run_arn: The run that was started, or that stood in the way.
        message: More about it, in words.
    """

    due_us: int
    at_us: int
    result: ScheduleResult
    run_arn: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A recurring run.

    Attributes:
        name: Its name, unique.
        template_arn: What runs are made from; the schedule goes with it.
        expression: When, as EventBridge writes it.
        zone: The time zone of a cron expression.
        created_us: When it was made; a rate counts from there.
        next_us: The next time; None = paused, or there is none left.
        is_paused: Whether it waits to be resumed.
        outcomes: What came of its last times, the newest first.
    """

    name: str
    template_arn: str
    expression: str
    zone: str = "UTC"
    created_us: int
    next_us: int | None
    is_paused: bool = False
    outcomes: tuple[ScheduleOutcome, ...] = ()
