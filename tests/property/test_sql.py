"""SQL of rules against the reference: every group, its numbers, its times and what decided."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.format import Rule
from rules.telemetry.batch import Row
from rules.telemetry.kinds import INT64_MAX, INT64_MIN
from tests.duck import by_reference, by_sql, load
from tests.rule_documents import (
    EVENT,
    PERIODIC,
    SEQUENCE,
    THRESHOLD,
    Plain,
    changed,
    document,
    rule,
)
from tests.small_worlds import (
    MILLISECOND,
    RUN_US,
    detections,
    periodics,
    sequences,
    steady_worlds,
    thresholds,
    worlds,
)

pytestmark = pytest.mark.timeout(60)  # a statement takes milliseconds, a loaded machine more
HOSTS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "i-1": lambda rows: rows,
    "i-2": lambda rows: [{**row, "ts_us": RUN_US - row["ts_us"]} for row in rows],
    "i-3": lambda rows: rows[::2],
    "i-4": lambda rows: rows[1::2],
    "i-5": lambda rows: [{**row, "ts_us": row["ts_us"] // 2_000 * MILLISECOND} for row in rows],
    "i-6": lambda rows: [*rows[3:], *rows[5:]],
    "i-7": lambda rows: [{**row, "process_name": "a"} for row in rows],
    "i-8": lambda rows: [{**row, "telemetry": "connection", "pid": 1} for row in rows],
}
"""Host → what it sees of a world: all, backwards, each half, at double pace, much of it twice, of
one process, of one kind."""


def rules_of(kinds: st.SearchStrategy[Plain], count: int) -> st.SearchStrategy[list[Rule]]:
    rules = kinds.map(document).map(Rule.model_validate)
    return st.lists(rules, min_size=count, max_size=count)


def assert_equal(rules: Sequence[Rule], rows: Sequence[Row]) -> None:
    load(rows)
    for each in rules:
        assert by_sql(each) == by_reference(each, rows)


def on_hosts(world: list[Row]) -> list[Row]:
    return [{**row, "agent_id": host} for host, seen in HOSTS.items() for row in seen(world)]


@given(rules_of(detections, 2), worlds)
def test_sql_equals_reference(rules: list[Rule], world: list[Row]) -> None:
    assert_equal(rules, on_hosts(world))


@given(rules_of(thresholds, 1), worlds)
def test_sql_of_threshold_equals_reference(rules: list[Rule], world: list[Row]) -> None:
    assert_equal(rules, on_hosts(world))


@given(rules_of(sequences, 1), worlds)
def test_sql_of_sequence_equals_reference(rules: list[Rule], world: list[Row]) -> None:
    assert_equal(rules, on_hosts(world))


ALL: Plain = {"telemetry": "connection"}
of_all_rows = periodics.map(lambda detection: {**detection, "select": ALL})


def at(*times_ms: int) -> list[Row]:
    return [{"telemetry": "connection", "ts_us": ms * MILLISECOND} for ms in times_ms]


def steady(jitter: float, longest: str) -> Rule:
    every = {"min": "2ms", "max": longest}
    return rule(changed(PERIODIC, select=ALL, group_by=[], jitter=jitter, every=every))


@given(rules_of(of_all_rows, 1), steady_worlds)
@example([steady(0.5, "2ms"), steady(0.5, "3ms")], at(0, 2, 4, 6, 9, 12, 15))  # lower median: 2
@example([steady(0, "2ms"), steady(0.5, "2ms")], at(*range(0, 20, 2), 30))  # 9 of 10 are steady
def test_sql_of_periodic_equals_reference(rules: list[Rule], world: list[Row]) -> None:
    assert_equal(rules, on_hosts(world))


awkward_texts = st.text(
    st.sampled_from("aA'\"\\%_;-$\0\n\r\t \u00a0\u2028\u0301\u00e9\U0001f600/*")
    | st.characters(codec="utf-8"),
    max_size=4,
)


@given(st.lists(awkward_texts, min_size=2, max_size=4, unique=True))
def test_text_compares_exactly(texts: list[str]) -> None:
    whole = max(texts, key=len)
    predicates: list[Plain] = [
        {"in": texts[1:]},
        {"ne": whole},
        {"starts_with": whole[:2]},
        {"ends_with": whole[-2:]},
    ]
    rows: list[Row] = [
        {"telemetry": "connection", "ts_us": 0, "agent_id": "i-1", "process_name": text}
        for text in texts
    ]
    selectors = [
        {"telemetry": "connection", "where": {"process_name": predicate}}
        for predicate in predicates
    ]
    assert_equal([rule({**EVENT, "select": selector}) for selector in selectors], rows)


extremes = st.sampled_from(
    [INT64_MIN, INT64_MIN + 1, -1, 0, 1, 2**53 + 1, INT64_MAX - 1, INT64_MAX]
)
longest = f"{INT64_MAX // 86_400_000_000}d"
EXTREME_RULES = [
    rule(changed(THRESHOLD, select=ALL, within=longest, count={"gt": 1})),
    rule(
        changed(
            THRESHOLD,
            select=ALL,
            within=longest,
            count=None,
            sum={"column": "bytes_sent", "gt": INT64_MAX},
        )
    ),
    rule({**SEQUENCE, "first": ALL, "match_on": ["process_name"], "within": longest}),
    rule({**PERIODIC, "every": {"min": "0s", "max": longest}, "jitter": 0.5}),
]


@given(st.lists(st.tuples(extremes, extremes), max_size=12))
def test_numbers_do_not_overflow(drawn: list[tuple[int, int]]) -> None:
    rows: list[Row] = [
        {
            "telemetry": "connection",
            "ts_us": ts_us,
            "agent_id": "i-1",
            "process_name": "a",
            "bytes_sent": number,
        }
        for ts_us, number in drawn
    ]
    compared = [
        rule({**EVENT, "select": {**ALL, "where": {"bytes_sent": {operator: number}}}})
        for operator, number in zip(("le", "gt"), (n for _, n in drawn), strict=False)
    ]
    assert_equal([*EXTREME_RULES, *compared], rows)
