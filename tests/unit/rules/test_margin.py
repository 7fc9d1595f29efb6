import pytest

from rules.margin import limit_of, margin_of, measured_words
from tests.rule_documents import (
    ABSENCE,
    EVENT,
    PERIODIC,
    SEQUENCE,
    THRESHOLD,
    Plain,
    changed,
    rule,
)


@pytest.mark.parametrize(
    ("detection", "limit", "measured", "margin"),
    [
        (THRESHOLD, 2, 3, 1),
        (THRESHOLD, 2, 0, -2),
        (changed(THRESHOLD, count=None, sum={"column": "bytes_sent", "gt": 5}), 5, 9, 4),
        (changed(THRESHOLD, count=None, distinct={"column": "uid", "gt": 0}), 0, 1, 1),
        (SEQUENCE, 10_000_000, 10_000_000, 0),
        (SEQUENCE, 10_000_000, 12_000_000, -2_000_000),
        (THRESHOLD, 2, None, None),
        (EVENT, None, None, None),
        (ABSENCE, None, None, None),
        (PERIODIC, None, 30_000_000, None),
    ],
)
def test_margin_is_above_a_threshold_and_below_the_longest_time(
    detection: Plain, limit: int | None, measured: int | None, margin: int | None
) -> None:
    read = rule(detection).detection

    assert limit_of(read) == limit
    assert margin_of(read, measured) == margin


@pytest.mark.parametrize(
    ("detection", "measured", "words"),
    [
        (THRESHOLD, 1_024, "1,024 rows, 1,022 above the limit of 2"),
        (THRESHOLD, 2, "2 rows, at the limit of 2"),
        (
            changed(THRESHOLD, count=None, sum={"column": "bytes_sent", "gt": 5}),
            3,
            "bytes_sent adds up to 3, 2 below the limit of 5",
        ),
        (
            changed(THRESHOLD, count=None, distinct={"column": "uid", "gt": 0}),
            1,
            "uid has 1 value, 1 above the limit of 0",
        ),
        (SEQUENCE, 2_500_000, "2.5s apart, 7.5s less than the longest time of 10s"),
        (SEQUENCE, 12_000_000, "12s apart, 2s more than the longest time of 10s"),
        (PERIODIC, 30_000_000, "median gap 30s"),
    ],
)
def test_measured_in_words(detection: Plain, measured: int, words: str) -> None:
    assert measured_words(rule(detection).detection, measured) == words
