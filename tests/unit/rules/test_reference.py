from typing import Any

import pytest

from rules.outcome import Outcome
from rules.reference import group_rows, judge, matches
from rules.selector import Condition, Selector, parse_selector
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Intervals, Ledger
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

SECOND = 1_000_000
RUN_US = 3600 * SECOND


def row(telemetry: str, at_s: float, **columns: object) -> Row:
    ts_us = round(at_s * SECOND)
    return {"telemetry": telemetry, "ts_us": ts_us, "agent_id": "i-1", **columns}


def telnet(at_s: float, **columns: object) -> Row:
    return row("connection", at_s, **{"process_name": "a", "remote_port": 23, **columns})


def outcome(
    detection: Plain, *rows: Row, share: float = 1.0, max_groups: int | None = 100
) -> Outcome:
    ledger = Ledger(0, RUN_US)
    ledger.add_host("i-1", watched=Intervals([(0, round(share * RUN_US))]))
    by_kind = group_rows(rows).get("i-1", {})
    return judge(rule(detection), "i-1", by_kind, ledger, max_groups=max_groups)


def keys(detection: Plain, *rows: Row) -> list[dict[str, Any]]:
    return [group.key for group in outcome(detection, *rows).groups]


@pytest.mark.parametrize(
    ("predicate", "value", "holds"),
    [
        ({"eq": 23}, 23, True),
        ({"eq": 23}, 24, False),
        ({"ne": 23}, 24, True),
        ({"ne": 23}, 23, False),
        ({"in": [23, 24]}, 24, True),
        ({"in": [23, 24]}, 25, False),
        ({"not_in": [23]}, 24, True),
        ({"not_in": [23]}, 23, False),
        ({"lt": 23}, 22, True),
        ({"lt": 23}, 23, False),
        ({"le": 23}, 23, True),
        ({"le": 23}, 24, False),
        ({"gt": 23}, 24, True),
        ({"gt": 23}, 23, False),
        ({"ge": 23}, 23, True),
        ({"ge": 23}, 22, False),
        ({"is_null": True}, 23, False),
        ({"is_null": False}, 23, True),
        ({"ge": 20, "le": 25}, 23, True),
        ({"ge": 20, "le": 25}, 26, False),
    ],
)
def test_operator_on_a_value(predicate: Plain, value: int, *, holds: bool) -> None:
    selector = parse_selector({"telemetry": "connection", "where": {"remote_port": predicate}})

    assert matches(selector, row("connection", 0, remote_port=value)) is holds


@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        ({"eq": 23}, False),
        ({"ne": 23}, False),
        ({"in": [23]}, False),
        ({"not_in": [23]}, False),
        ({"lt": 23}, False),
        ({"ge": 0}, False),
        ({"is_null": True}, True),
        ({"is_null": False}, False),
    ],
)
def test_null_satisfies_no_operator_but_is_null(predicate: Plain, *, holds: bool) -> None:
    selector = parse_selector({"telemetry": "connection", "where": {"remote_port": predicate}})

    assert matches(selector, row("connection", 0)) is holds
    assert matches(selector, row("connection", 0, remote_port=None)) is holds


def test_text_compares_exactly() -> None:
    selector = Selector(
        "connection",
        (
            Condition("process_path", "starts_with", "/usr/%"),
            Condition("process_path", "ends_with", "/Nc"),
        ),
    )

    assert matches(selector, row("connection", 0, process_path="/usr/%/Nc"))
    assert not matches(selector, row("connection", 0, process_path="/usr/%/nc"))
    assert not matches(selector, row("connection", 0, process_path="/usr/x/Nc"))


def test_selector_takes_rows_of_its_kind_alone() -> None:
    assert not matches(Selector("listener"), row("connection", 0))


def test_one_group_of_any_of_and_none_of_none_of_must_hold() -> None:
    selector = parse_selector(
        {
            "telemetry": "connection",
            "any_of": [{"remote_port": 80, "protocol": "tcp"}, {"app_protocol": "http"}],
            "none_of": [{"remote_scope": "loopback", "protocol": "tcp"}],
        }
    )

    assert matches(selector, row("connection", 0, remote_port=80, protocol="tcp"))
    assert matches(selector, row("connection", 0, app_protocol="http"))
    assert matches(selector, row("connection", 0, app_protocol="http", remote_scope="loopback"))
    assert not matches(selector, row("connection", 0, remote_port=80))
    assert not matches(
        selector,
        row("connection", 0, app_protocol="http", remote_scope="loopback", protocol="tcp"),
    )


def test_event_fires_for_each_group_and_null_is_one() -> None:
    fired = outcome(
        EVENT,
        telnet(3),
        telnet(1),
        telnet(2, process_name="b"),
        row("connection", 4, remote_port=23),
        telnet(0, remote_port=22),
    )

    assert fired.outcome == "findings"
    assert [(group.key, group.count) for group in fired.groups] == [
        ({"process_name": "a"}, 2),
        ({"process_name": "b"}, 1),
        ({"process_name": None}, 1),
    ]
    assert (fired.groups[0].first_seen_us, fired.groups[0].last_seen_us) == (SECOND, 3 * SECOND)


def test_rule_without_group_by_has_one_group_per_host() -> None:
    fired = outcome(changed(EVENT, group_by=[]), telnet(1), telnet(2, process_name="b"))

    assert [(group.key, group.count) for group in fired.groups] == [({}, 2)]


def test_equal_rows_are_separate_events() -> None:
    assert outcome(EVENT, telnet(1), telnet(1)).groups[0].count == 2


def test_window_is_open_at_its_beginning() -> None:
    assert keys(THRESHOLD, telnet(0), telnet(5), telnet(9.999_999)) == [{"process_name": "a"}]
    assert keys(THRESHOLD, telnet(0), telnet(5), telnet(10)) == []


def test_rows_of_one_moment_are_in_the_same_window() -> None:
    assert keys(THRESHOLD, telnet(1), telnet(1), telnet(1)) == [{"process_name": "a"}]


def test_only_rows_in_crossing_windows_count() -> None:
    fired = outcome(
        THRESHOLD,
        *(telnet(at) for at in (0, 100, 104, 109, 112, 300, 1000, 1001, 1002)),
    )

    (group,) = fired.groups
    assert group.count == 7
    assert [evidence["ts_us"] // SECOND for evidence in group.evidence] == [
        100,
        104,
        109,
        112,
        1000,
        1001,
        1002,
    ]
    assert (group.first_seen_us, group.last_seen_us) == (100 * SECOND, 1002 * SECOND)


def test_first_crossing_window_decides_and_holds_its_whole_last_moment() -> None:
    at = (0, 100, 104, 109, 109, 112, 1000, 1001, 1002, 1003, 1004)

    (group,) = outcome(THRESHOLD, *map(telnet, at)).groups

    assert (group.window, group.measured) == ((99 * SECOND, 109 * SECOND), 4)
    assert group.buckets == ((60 * SECOND, 5), (960 * SECOND, 5))


def test_distinct_counts_values_that_are_there() -> None:
    detection = changed(THRESHOLD, count=None, distinct={"column": "remote_address", "gt": 1})

    assert keys(detection, telnet(0, remote_address="x"), telnet(1), telnet(2)) == []
    assert keys(detection, telnet(0, remote_address="x"), telnet(1, remote_address="x")) == []
    assert keys(detection, telnet(0, remote_address="x"), telnet(10, remote_address="y")) == []
    assert keys(detection, telnet(0, remote_address="x"), telnet(9, remote_address="y")) == [
        {"process_name": "a"}
    ]


def test_sum_takes_null_as_nothing() -> None:
    detection = changed(THRESHOLD, count=None, sum={"column": "bytes_sent", "gt": 100})

    assert keys(detection, telnet(0, bytes_sent=100), telnet(1)) == []
    assert keys(detection, telnet(0, bytes_sent=100), telnet(10, bytes_sent=1)) == []
    fired = outcome(detection, telnet(0, bytes_sent=100), telnet(1), telnet(2, bytes_sent=1))
    assert fired.groups[0].count == 3


def listener(at_s: float, **columns: object) -> Row:
    return row("listener", at_s, **{"local_port": 80, **columns})


def peer(at_s: float, **columns: object) -> Row:
    return row("connection", at_s, **{"local_port": 80, "direction": "inbound", **columns})


def test_absence_fires_where_nobody_came_at_any_time() -> None:
    assert keys(ABSENCE, listener(5), peer(1)) == []
    assert keys(ABSENCE, listener(1), peer(5)) == []
    assert keys(ABSENCE, listener(1), peer(5, direction="outbound")) == [{"local_port": 80}]
    assert keys(ABSENCE, listener(1), peer(5, local_port=81)) == [{"local_port": 80}]


def test_null_in_match_on_proves_nothing() -> None:
    nameless = listener(1, local_port=None)

    assert keys(ABSENCE, nameless) == []
    assert keys(ABSENCE, listener(1), peer(2, local_port=None)) == [{"local_port": 80}]


def test_absence_counts_unmatched_rows_of_the_group() -> None:
    detection = changed(ABSENCE, group_by=["process_name"])

    fired = outcome(
        detection,
        listener(1, process_name="a"),
        listener(2, process_name="a"),
        listener(3, process_name="a", local_port=81),
        peer(4, local_port=81),
    )

    assert [(group.key, group.count) for group in fired.groups] == [({"process_name": "a"}, 2)]


def imds(at_s: float, **columns: object) -> Row:
    return row("imds_request", at_s, **{"pid": 7, **columns})


def then(at_s: float, **columns: object) -> Row:
    return row("connection", at_s, **{"pid": 7, "process_name": "a", **columns})


@pytest.mark.parametrize(
    ("at_s", "fires"),
    [(9, False), (10, False), (10.000_001, True), (20, True), (20.000_001, False)],
)
def test_sequence_is_strictly_later_and_not_too_late(at_s: float, *, fires: bool) -> None:
    assert bool(keys(SEQUENCE, imds(10), then(at_s))) is fires


def test_sequence_matches_values_that_are_there() -> None:
    assert keys(SEQUENCE, imds(1), then(2, pid=8)) == []
    assert keys(SEQUENCE, imds(1, pid=None), then(2, pid=None)) == []


def test_sequence_counts_then_rows_and_shows_both_rows_of_each_pair_once() -> None:
    fired = outcome(SEQUENCE, imds(1), imds(2), imds(50), then(3), then(5), then(40))

    (group,) = fired.groups
    assert (group.key, group.count) == ({"process_name": "a"}, 2)
    assert (group.first_seen_us, group.last_seen_us) == (3 * SECOND, 5 * SECOND)
    assert [evidence["ts_us"] // SECOND for evidence in group.evidence] == [1, 2, 3, 5]


def test_first_pair_decides_and_of_one_moment_the_closest() -> None:
    rows = (imds(1), imds(2, pid=8), then(5), then(5, pid=8), imds(6), then(7))

    (group,) = outcome(SEQUENCE, *rows).groups

    assert (group.window, group.measured) == ((2 * SECOND, 5 * SECOND), 3 * SECOND)


def test_row_can_be_first_and_then() -> None:
    detection = changed(SEQUENCE, first={"telemetry": "connection"})

    (group,) = outcome(detection, then(1), then(2), then(3)).groups

    assert (group.count, len(group.evidence)) == (2, 3)


def test_same_row_given_twice_is_two_events() -> None:
    detection = changed(SEQUENCE, first={"telemetry": "connection"})
    once = then(1)

    (group,) = outcome(detection, once, once, then(2)).groups

    assert (group.count, len(group.evidence)) == (1, 3)


def steady(*times_s: float) -> list[Row]:
    return [row("connection", at_s, process_name="a") for at_s in times_s]


@pytest.mark.parametrize(
    ("times_s", "fires"),
    [
        ((0, 10, 20, 30, 40, 50), True),
        ((0, 10, 20, 30, 40), False),
        ((0, 0, 10, 10, 20, 30, 40), False),
        ((0, 60, 120, 180, 240, 300), True),
        ((0, 61, 122, 183, 244, 305), False),
        ((0, 9, 18, 27, 36, 45), False),
        ((0, 20, 40, 60, 80, 102), True),
        ((0, 20, 40, 60, 80, 103), False),
        ((*tuple(range(0, 200, 20)), 181 + 40), True),
        ((*tuple(range(0, 180, 20)), 161 + 40), False),
        # an even number of gaps: the lower middle one of 10, 10, 10, 11, 11, 11 is 10
        ((0, 10, 20, 30, 41, 52, 63), True),
        ((0, 9, 18, 27, 37, 47, 57), False),
    ],
)
def test_periodic_is_a_steady_pace(times_s: tuple[float, ...], *, fires: bool) -> None:
    assert bool(keys(PERIODIC, *steady(*times_s))) is fires


def test_periodic_counts_every_selected_row() -> None:
    (group,) = outcome(PERIODIC, *steady(0, 0, 10, 20, 30, 40, 50)).groups

    assert (group.count, group.first_seen_us, group.last_seen_us) == (7, 0, 50 * SECOND)
    assert (group.window, group.measured) == ((0, 50 * SECOND), 10 * SECOND)


def test_groups_above_the_cap_are_counted_unless_it_is_lifted() -> None:
    rows = [telnet(at, process_name=f"p{at}") for at in range(120)]

    groups = outcome(EVENT, *rows).groups
    assert (len(groups), groups[-1].key, groups[-1].count) == (101, {}, 20)
    assert len(outcome(EVENT, *rows, max_groups=None).groups) == 120


@pytest.mark.parametrize("detection", [EVENT, THRESHOLD, SEQUENCE, PERIODIC])
def test_silence_is_clean_from_half_of_the_run_on(detection: Plain) -> None:
    assert outcome(detection, share=0.5) == Outcome("some-rule", "i-1", "clean", None, 0.5)
    blind = outcome(detection, share=0.499999)
    assert (blind.outcome, blind.coverage) == ("not_evaluated", 0.499999)
    assert blind.reason is not None
    assert "watched for only 49.9 % of the run" in blind.reason


def test_finding_stands_whatever_was_watched() -> None:
    fired = outcome(EVENT, telnet(1), share=0)

    assert (fired.outcome, fired.reason, fired.coverage) == ("findings", None, 0.0)


def test_absence_is_claimed_over_watched_time_alone() -> None:
    assert outcome(ABSENCE, listener(1), share=0.95).outcome == "findings"
    assert outcome(ABSENCE, share=0.95).outcome == "clean"
    for rows in ([listener(1)], []):
        blind = outcome(ABSENCE, *rows, share=0.949999)
        assert (blind.outcome, blind.groups) == ("not_evaluated", ())


def test_rows_are_grouped_by_agent_and_kind() -> None:
    first, second = telnet(1), {**listener(1), "agent_id": "i-2"}

    assert group_rows([first, second]) == {
        "i-1": {"connection": [first]},
        "i-2": {"listener": [second]},
    }
