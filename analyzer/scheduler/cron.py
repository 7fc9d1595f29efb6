"""EventBridge's ``cron(...)``: the minutes that its six fields name, in a time zone.

In: the text between the brackets and a zone. Out: the next such minute after a given time. The
fields are ``aws_croniter``'s business; zones, clock changes and what it cannot read are ours.

Where clocks go forward, a time that does not exist is left out; where they go back, a time that
comes twice counts the first time only. EventBridge Scheduler does the same.
Source: AWS, "Schedule types in EventBridge Scheduler".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from analyzer.errors import ScheduleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

FIELDS: Final = 6
_DAY_OF_MONTH: Final = 2
_DAY_OF_WEEK: Final = 4
_SATURDAY: Final = 5  # in Python's count of weekdays
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# EventBridge knows no later year.
_LAST: Final = datetime(2199, 12, 31, 23, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a time zone; make it with ``parse_cron``."""

    text: str
    zone: ZoneInfo
    _fields: Any = field(repr=False, compare=False)
    _is_last_weekday: bool = field(default=False, repr=False, compare=False)

    def next_after(self, after_us: int) -> int | None:
        """Return the first time strictly after ``after_us``, or None if there is none left."""
        if after_us >= _us(_LAST):
            return None
        for wall in self._wall_times(_EPOCH + timedelta(microseconds=after_us)):
            due = _first_instant(wall, self.zone)
            if due is not None and due > after_us:
                return due
        return None

    def _wall_times(self, after: datetime) -> Iterator[datetime]:
        """Yield what the clock on the wall shows when it is time, from ``after`` on."""
        start = after.astimezone(self.zone).replace(tzinfo=UTC, second=0, microsecond=0)
        while True:
            (wall,) = self._fields.get_next(start)
            if wall is None or wall > _LAST:
                return
            yield _last_weekday(wall) if self._is_last_weekday else wall
            start = wall


def parse_cron(text: str, zone: ZoneInfo) -> Cron:
    """Return the expression that six fields separated by spaces write.

    Raises:
        ScheduleError: They are no cron expression of EventBridge.
    """
    from aws_croniter import AwsCroniter
    from aws_croniter.exceptions import AwsCroniterExpressionError

    fields = text.upper().split()
    if len(fields) != FIELDS:
        raise ScheduleError(
            f"cron({text}) has {len(fields)} fields, not {FIELDS}: minute, hour, day of month, "
            "month, day of week, year"
        )
    is_last_weekday = fields[_DAY_OF_MONTH] == "LW"
    if is_last_weekday:
        fields[_DAY_OF_MONTH] = "L"
    if fields[_DAY_OF_WEEK] == "L":
        fields[_DAY_OF_WEEK] = "SAT"  # the last day of a week that starts on Sunday
    try:
        parsed = AwsCroniter(" ".join(fields))
    except (AwsCroniterExpressionError, ValueError) as error:
        raise ScheduleError(f"cron({text}): {error}") from error
    return Cron(text=text, zone=zone, _fields=parsed, _is_last_weekday=is_last_weekday)


def _last_weekday(last_day: datetime) -> datetime:
    return last_day - timedelta(days=max(0, last_day.weekday() - _SATURDAY + 1))


def _first_instant(wall: datetime, zone: ZoneInfo) -> int | None:
    """Return when the zone's clocks first show ``wall``, or None if they never do."""
    local = wall.replace(tzinfo=zone, fold=0)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
        return None
    return _us(instant)


def _us(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
