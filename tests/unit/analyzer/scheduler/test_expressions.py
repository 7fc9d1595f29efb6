from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analyzer.errors import ScheduleError
from analyzer.scheduler.expressions import parse_expression

HOUR_US = 3_600_000_000


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def times(expression: str, *, after: str, n: int, zone: str = "UTC") -> list[str]:
    parsed = parse_expression(expression, zone=zone, anchor_us=0)
    found = []
    at_us = us(after)
    for _ in range(n):
        due_us = parsed.next_after(at_us)
        if due_us is None:
            break
        at_us = due_us
        found.append(datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        # January 2026 starts on a Thursday.
        ("15 10 * * ? *", ["2026-01-01T10:15", "2026-01-02T10:15"]),
        ("0/15 8-17 ? * MON-FRI *", ["2026-01-01T08:00", "2026-01-01T08:15"]),
        ("50/5 23 31 12 ? *", ["2026-12-31T23:50", "2026-12-31T23:55"]),
        ("0 8 1 * ? *", ["2026-01-01T08:00", "2026-02-01T08:00"]),
        ("0 0 L * ? *", ["2026-01-31T00:00", "2026-02-28T00:00"]),
        ("0 0 L-3 * ? *", ["2026-01-28T00:00", "2026-02-25T00:00"]),
        ("0 0 LW * ? *", ["2026-01-30T00:00", "2026-02-27T00:00", "2026-03-31T00:00"]),
        ("0 0 3W * ? *", ["2026-01-02T00:00", "2026-02-03T00:00"]),  # 3 January is a Saturday
        ("0 0 1W 8 ? *", ["2026-08-03T00:00"]),  # Saturday the first: the Monday after it
        ("0 0 31W 5 ? *", ["2026-05-29T00:00"]),  # Sunday the last: the Friday before it
        ("0 0 ? * 6L *", ["2026-01-30T00:00", "2026-02-27T00:00"]),
        ("0 0 ? * FRIL *", ["2026-01-30T00:00", "2026-02-27T00:00"]),
        ("0 0 ? * L *", ["2026-01-03T00:00", "2026-01-10T00:00"]),
        ("0 0 ? * mon#2 *", ["2026-01-12T00:00", "2026-02-09T00:00"]),
        ("0 0 ? * 2#5 *", ["2026-03-30T00:00", "2026-06-29T00:00"]),
        ("0 0 ? JAN SUN,WED 2026", ["2026-01-04T00:00", "2026-01-07T00:00"]),
        ("0  12 29 2 ? *", ["2028-02-29T12:00", "2032-02-29T12:00"]),
        ("* * * * ? 2030", ["2030-01-01T00:00", "2030-01-01T00:01"]),
    ],
)
def test_cron_known_vectors(fields: str, expected: list[str]) -> None:
    assert times(f"cron({fields})", after="2025-12-31T23:59", n=len(expected)) == expected


@pytest.mark.parametrize(
    ("fields", "after"),
    [
        ("0 0 31 2 ? *", "2026-01-01T00:00"),
        ("0 0 1 1 ? 2020", "2026-01-01T00:00"),
        ("* * * * ? *", "2199-12-31T23:59"),
    ],
)
def test_cron_that_never_comes_has_no_next_time(fields: str, after: str) -> None:
    assert times(f"cron({fields})", after=after, n=1) == []


def test_cron_in_a_zone_keeps_the_hour_of_its_clocks() -> None:
    assert times("cron(0 8 ? * * *)", after="2026-03-28T00:00", n=2, zone="Europe/Zurich") == [
        "2026-03-28T07:00",
        "2026-03-29T06:00",
    ]


def test_cron_leaves_out_what_clocks_skip() -> None:
    assert times("cron(30 2 * * ? *)", after="2026-03-28T00:00", n=2, zone="Europe/Zurich") == [
        "2026-03-28T01:30",
        "2026-03-30T00:30",
    ]


def test_cron_counts_what_clocks_show_twice_once() -> None:
    found = times("cron(0/30 * * * ? *)", after="2026-10-24T23:59", n=4, zone="Europe/Zurich")
    assert found == ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T02:00", "2026-10-25T02:30"]


def test_cron_asked_in_the_second_showing_goes_on_after_it() -> None:
    found = times("cron(0/30 * * * ? *)", after="2026-10-25T01:10", n=1, zone="Europe/Zurich")
    assert found == ["2026-10-25T02:00"]


def test_cron_asked_within_a_minute_gives_the_next() -> None:
    parsed = parse_expression("cron(* * * * ? *)", anchor_us=0)
    assert parsed.next_after(us("2026-01-01T00:00") + 1) == us("2026-01-01T00:01")


@pytest.mark.parametrize(
    ("text", "period_us"),
    [
        ("rate(1 minute)", 60_000_000),
        ("rate(5 minutes)", 300_000_000),
        ("rate( 12  hours )", 12 * HOUR_US),
        (" rate(1 day)", 24 * HOUR_US),
    ],
)
def test_rate_counts_from_its_anchor(text: str, period_us: int) -> None:
    parsed = parse_expression(text, anchor_us=1_000)
    assert parsed.next_after(0) == 1_000 + period_us
    assert parsed.next_after(1_000) == 1_000 + period_us
    assert parsed.next_after(1_000 + period_us) == 1_000 + 2 * period_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12 hours",
        "rate(0 minutes)",
        "rate(1 week)",
        "rate(1.5 hours)",
        "rate(-1 hours)",
        "rate(1000000 days)",
        "at(2026-01-01T00:00:00)",
        "cron(* * * * *)",
        "cron(* * * * * *)",
        "cron(* * ? * ? *)",
        "cron(61 * * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0/0 * * * ? *)",
        "cron(0 0 32 * ? *)",
        "cron(0 0 ? * MON#6 *)",
        "cron(0 0 ? * 8 *)",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        parse_expression(text, anchor_us=0)


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "Europe", "../etc/passwd", "a\0b"])
def test_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ScheduleError, match="no time zone"):
        parse_expression("rate(1 day)", zone=zone, anchor_us=0)
