from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import ScheduleError
from analyzer.scheduler.due import GRACE_US, decide
from analyzer.scheduler.expressions import parse_expression

MINUTE_US = 60_000_000
ZONES = ["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
INSTANTS = st.integers(
    round(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000,
    round(datetime(2030, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000,
)
OF_MONTH = st.sampled_from(["*", "L", "LW", "15W", "31"])
OF_WEEK = st.sampled_from(["MON-FRI", "6L", "MON#2", "L", "1,7"])
DAYS = st.one_of(st.tuples(OF_MONTH, st.just("?")), st.tuples(st.just("?"), OF_WEEK))


def is_on(day: datetime, of_month: str, of_week: str) -> bool:
    """Tell by the calendar, and not by the library, whether a day is meant."""
    last = calendar.monthrange(day.year, day.month)[1]
    if of_month == "LW":
        return day.day == max(d for d in range(1, last + 1) if day.replace(day=d).weekday() < 5)
    if of_month == "15W":
        nearest = {5: 14, 6: 16}.get(day.replace(day=15).weekday(), 15)
        return day.day == nearest
    by_month = {"*": True, "L": day.day == last, "31": day.day == 31, "?": True}[of_month]
    by_week = {
        "?": True,
        "MON-FRI": day.weekday() < 5,
        "6L": day.weekday() == 4 and day.day > last - 7,
        "MON#2": day.weekday() == 0 and 8 <= day.day <= 14,
        "L": day.weekday() == 5,
        "1,7": day.weekday() in {6, 5},
    }[of_week]
    return by_month and by_week


@given(
    days=DAYS,
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from(ZONES),
    after_us=INSTANTS,
)
def test_cron_next_is_the_first_minute_that_fits(
    days: tuple[str, str], hour: int, minute: int, zone: str, after_us: int
) -> None:
    text = f"cron({minute} {hour} {days[0]} * {days[1]} *)"
    due_us = parse_expression(text, zone=zone, anchor_us=0).next_after(after_us)
    assert due_us is not None
    assert due_us > after_us
    where = ZoneInfo(zone)
    local = datetime.fromtimestamp(due_us / 1e6, UTC).astimezone(where)
    assert (local.hour, local.minute, local.second, local.fold) == (hour, minute, 0, 0)
    assert is_on(local, *days)
    day = datetime.fromtimestamp(after_us / 1e6, UTC).astimezone(where).date()
    while day < local.date():
        wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=where)
        instant = wall.astimezone(UTC)
        is_real = instant.astimezone(where).replace(tzinfo=None) == wall.replace(tzinfo=None)
        is_past = round(instant.timestamp()) * 1_000_000 <= after_us
        assert is_past or not is_real or not is_on(wall, *days)
        day += timedelta(days=1)


@given(
    value=st.integers(1, 999_999),
    unit=st.sampled_from(["minutes", "hours", "days"]),
    anchor_us=INSTANTS,
    after_us=INSTANTS,
)
def test_rate_next_is_the_first_multiple_that_is_later(
    value: int, unit: str, anchor_us: int, after_us: int
) -> None:
    period_us = value * {"minutes": 1, "hours": 60, "days": 1440}[unit] * MINUTE_US
    due_us = parse_expression(f"rate({value} {unit})", anchor_us=anchor_us).next_after(after_us)
    assert due_us is not None
    assert due_us > after_us
    assert (due_us - anchor_us) % period_us == 0
    assert due_us - period_us <= max(after_us, anchor_us)


TOKENS = [*"*?015LW#/-,", "31", "59", "60", "MON", "JAN", "LW"]
FIELD = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4).map("".join)


@given(fields=st.lists(FIELD, min_size=5, max_size=7), after_us=INSTANTS)
def test_any_fields_are_refused_or_move_on(fields: list[str], after_us: int) -> None:
    try:
        parsed = parse_expression(f"cron({' '.join(fields)})", anchor_us=0)
    except ScheduleError:
        return
    due_us = parsed.next_after(after_us)
    assert due_us is None or due_us > after_us


@given(
    minutes=st.sampled_from(["*", "0", "59", "0/7", "5-9", "58-2", "1,30"]),
    hours=st.sampled_from(["*", "23", "0/5", "22-3"]),
    days=DAYS,
    months=st.sampled_from(["*", "FEB", "1/2", "NOV-MAR", "4,6"]),
    after_us=INSTANTS,
)
def test_every_mixture_moves_on(
    minutes: str, hours: str, days: tuple[str, str], months: str, after_us: int
) -> None:
    text = f"cron({minutes} {hours} {days[0]} {months} {days[1]} *)"
    due_us = parse_expression(text, zone="Europe/Zurich", anchor_us=0).next_after(after_us)
    assert due_us is None or due_us > after_us


@given(
    text=st.sampled_from(["rate(7 minutes)", "rate(2 hours)", "cron(0/10 * * * ? *)"]),
    start_us=INSTANTS,
    away_us=st.integers(0, 10**11),
)
def test_what_is_decided_starts_at_most_one_run_and_moves_on(
    text: str, start_us: int, away_us: int
) -> None:
    expression = parse_expression(text, zone="Europe/Zurich", anchor_us=0)
    due_us = expression.next_after(start_us)
    assert due_us is not None
    now_us = due_us + away_us
    made = decide(expression, due_us=due_us, now_us=now_us)
    assert made.next_us is not None
    assert made.next_us > now_us
    if made.start_us is None:
        assert made.missed_us == due_us
        assert expression.next_after(now_us - GRACE_US - 1) == made.next_us
    else:
        assert now_us - GRACE_US <= made.start_us <= now_us
        assert expression.next_after(made.start_us) == made.next_us
        assert made.missed_us in {None, due_us}
