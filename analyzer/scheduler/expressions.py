"""Schedule expressions as EventBridge writes them: ``rate(12 hours)``, ``cron(0 8 ? * MON *)``.

In: an expression, a zone, and when the schedule was made. Out: the next time after a given one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from analyzer.errors import ScheduleError
from analyzer.scheduler.cron import parse_cron

_RATE: Final = re.compile(r"([1-9][0-9]{0,5}) (minute|hour|day)s?")
_UNITS_US: Final = {"minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000}
_WRAPPED: Final = re.compile(r"\s*(rate|cron)\((.*)\)\s*")


class Expression(Protocol):
    """When a schedule is due."""

    def next_after(self, after_us: int) -> int | None:
        """Return the first time strictly after ``after_us``, or None if there is none left."""
        ...


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many microseconds, counted from ``anchor_us``; the first time is one period later.

    Days have 24 hours, whatever clocks do.
    """

    period_us: int
    anchor_us: int

    def next_after(self, after_us: int) -> int | None:
        """Return the first whole number of periods after the anchor that is past ``after_us``."""
        periods = max(1, (after_us - self.anchor_us) // self.period_us + 1)
        return self.anchor_us + periods * self.period_us


def parse_expression(text: str, *, zone: str = "UTC", anchor_us: int) -> Expression:
    """Return the expression that ``text`` writes; ``anchor_us`` is where a rate counts from.

    Raises:
        ScheduleError: It is none of EventBridge's, or the zone is unknown.
    """
    time_zone = parse_zone(zone)
    match = _WRAPPED.fullmatch(text)
    if match is None:
        raise ScheduleError(
            f"{text!r} is no schedule; write rate(12 hours) or cron(0 8 ? * MON-FRI *)"
        )
    kind, inner = match.groups()
    return parse_cron(inner, time_zone) if kind == "cron" else _parse_rate(inner, anchor_us)


def parse_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises:
        ScheduleError: There is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, a folder of zones, or a path
        raise ScheduleError(
            f"there is no time zone {name!r}; write one like Europe/Zurich"
        ) from error


def _parse_rate(inner: str, anchor_us: int) -> Rate:
    match = _RATE.fullmatch(" ".join(inner.split()))
    if match is None:
        raise ScheduleError(
            f"rate({inner}) is no rate; write a whole number and minutes, hours or days"
        )
    return Rate(period_us=int(match[1]) * _UNITS_US[match[2]], anchor_us=anchor_us)
