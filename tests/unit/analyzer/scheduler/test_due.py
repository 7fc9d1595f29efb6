from __future__ import annotations

import pytest

from analyzer.scheduler.due import Decision, decide
from analyzer.scheduler.expressions import parse_expression

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def at(hours: float) -> int:
    return round(hours * HOUR)


@pytest.mark.parametrize(
    ("expression", "due", "now", "expected"),
    [
        ("rate(1 hour)", 1, 1, Decision(at(1), None, at(2))),
        ("rate(1 hour)", 1, 1.2, Decision(at(1), None, at(2))),
        ("rate(1 hour)", 1, 1.25, Decision(at(1), None, at(2))),
        ("rate(1 hour)", 1, 1.26, Decision(None, at(1), at(2))),
        ("rate(1 hour)", 1, 5.1, Decision(at(5), at(1), at(6))),
        ("rate(1 hour)", 1, 5.5, Decision(None, at(1), at(6))),
        ("rate(6 minutes)", 0.1, 0.31, Decision(at(0.3), at(0.1), at(0.4))),
        ("cron(* * * * ? *)", 1, 9_000, Decision(at(9_000), at(1), at(9_000) + MINUTE)),
        ("cron(0 8 * * ? 1970)", 8, 8.1, Decision(at(8), None, at(32))),
        ("cron(0 8 1 1 ? 1970)", 8, 8.1, Decision(at(8), None, None)),
        ("cron(0 8 1 1 ? 1970)", 8, 9, Decision(None, at(8), None)),
    ],
)
def test_the_last_time_is_made_up_for_within_a_quarter_of_an_hour(
    expression: str, due: float, now: float, expected: Decision
) -> None:
    parsed = parse_expression(expression, anchor_us=0)
    assert decide(parsed, due_us=at(due), now_us=at(now)) == expected
