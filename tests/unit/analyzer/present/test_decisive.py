from typing import Any

import pytest

from analyzer.present.decisive import decisive_lines, histogram
from analyzer.results.findings import Finding
from rules.buckets import MINUTE_US
from tests.judging import ABSENCE, EVENT, package, row, rule
from tests.recordings import judged

BASE_US = 1_763_955_300_000_000
SECOND_US = 1_000_000


def lines(detection: dict[str, Any], *times_s: int, telemetry: str = "connection") -> list[str]:
    item = rule(detection=detection)
    rows = [row(BASE_US + at_s * SECOND_US, telemetry, local_port=22) for at_s in times_s]
    (finding,) = judged(rows, rules=[package(item)]).findings
    return list(decisive_lines(finding, item.detection))


def test_event_says_when_and_draws_a_line_of_the_minutes() -> None:
    assert lines(EVENT, 0, 1, 2, 3, 70, 300) == [
        "Seen 2025-11-24 03:35:00.000 to 2025-11-24 03:40:00.000; 100 % watched",
        "rows per 1m from 2025-11-24 03:35:00: █▂···▂",
    ]


def test_threshold_says_how_much_its_first_window_holds() -> None:
    burst = EVENT | {"kind": "threshold", "within": "10s", "count": {"gt": 1}}
    assert lines(burst, 0, 9) == [
        (
            "First window above 2025-11-24 03:34:59.000 to 2025-11-24 03:35:09.000: 2 rows, "
            "1 above the limit of 1; 100 % watched"
        )
    ]


def test_sequence_says_how_far_apart_its_first_pair_is() -> None:
    select = EVENT["select"]
    pair = {"kind": "sequence", "first": select, "then": select, "within": "10s"}
    assert lines(pair | {"match_on": ["remote_port"], "group_by": []}, 0, 9) == [
        (
            "First pair 2025-11-24 03:35:00.000 to 2025-11-24 03:35:09.000: 9s apart, "
            "1s less than the longest time of 10s; 100 % watched"
        )
    ]


def test_absence_says_what_was_searched() -> None:
    (line,) = lines(ABSENCE, 0, 9, telemetry="listener")
    assert line == "Searched 2025-11-24 03:35:00.000 to 2025-11-24 03:35:09.000; 100 % watched"


def test_rule_that_is_gone_leaves_the_window() -> None:
    result = judged([row(BASE_US)], rules=[package(rule())])
    finding: Finding = result.findings[0]
    assert list(decisive_lines(finding, None)) == [
        "Seen 2025-11-24 03:35:00.000 to 2025-11-24 03:35:00.000; 100 % watched"
    ]


@pytest.mark.parametrize(
    ("counts", "bars"),
    [
        (((0, 1), (MINUTE_US, 8)), "▁█"),
        (((0, 1_000), (2 * MINUTE_US, 1)), "█·▁"),
        (((0, 1), (23 * MINUTE_US, 1)), "█" + "·" * 22 + "█"),
        (((0, 1), (24 * MINUTE_US, 1)), ""),
    ],
)
def test_histogram_has_a_sign_for_each_bucket(
    counts: tuple[tuple[int, int], ...], bars: str
) -> None:
    assert histogram(counts, MINUTE_US) == bars
