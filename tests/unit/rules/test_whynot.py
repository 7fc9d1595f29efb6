import pytest

from rules.pace import Pace
from rules.reference import group_rows
from rules.telemetry.batch import Coverage, Row
from rules.telemetry.ledger import Intervals, Ledger
from rules.whynot import (
    AbsenceMiss,
    PeriodicMiss,
    SequenceMiss,
    ThresholdMiss,
    Unwatched,
    WhyNot,
    why_not,
)
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


def row(at_s: float, telemetry: str = "connection", **columns: object) -> Row:
    given: Row = {"telemetry": telemetry, "ts_us": round(at_s * SECOND), "agent_id": "i-1"}
    return {**given, **columns}


def telnet(at_s: float, name: str = "a") -> Row:
    return row(at_s, process_name=name, remote_port=23)


def whole() -> Ledger:
    ledger = Ledger(0, RUN_US)
    ledger.add_host("i-1", watched=Intervals([(0, RUN_US)]))
    return ledger


def asked(detection: Plain, *rows: Row, ledger: Ledger | None = None) -> WhyNot:
    by_kind = group_rows(rows).get("i-1", {})
    return why_not(rule(detection).detection, "i-1", by_kind, ledger or whole())


def test_event_has_its_funnel_and_nothing_near() -> None:
    answer = asked(EVENT, row(1, remote_port=22))

    assert [(part.role, part.rows, part.selected) for part in answer.funnels] == [("select", 1, 0)]
    assert answer.nearest is None
    assert answer.unwatched == (Unwatched("connection", (), ()),)
    assert answer.lost == {}


def test_threshold_has_its_fullest_window_and_the_earliest_of_several() -> None:
    rows = [telnet(at, "b") for at in (1, 2, 50, 51)] + [telnet(at) for at in (1, 11, 12)]

    assert asked(THRESHOLD, *rows).nearest == ThresholdMiss(
        groups=2,
        key={"process_name": "b"},
        window=(-8 * SECOND, 2 * SECOND),
        measured=2,
    )


def test_threshold_without_a_row_has_nothing_near() -> None:
    assert asked(THRESHOLD).nearest is None


def test_absence_counts_what_became_of_each_row() -> None:
    answer = asked(
        ABSENCE,
        row(1, "listener", local_port=80),
        row(2, "listener", local_port=80),
        row(3, "listener"),
        row(4, "listener", local_port=81),
        row(5, local_port=80, direction="inbound"),
    )

    assert answer.nearest == AbsenceMiss(selected=4, null_keys=1, matched=2, unmatched=1)
    assert [(part.role, part.selected) for part in answer.funnels] == [("select", 4), ("unless", 1)]


def test_sequence_has_the_nearest_pair_on_both_sides() -> None:
    answer = asked(
        SEQUENCE,
        row(1, "imds_request", pid=7),
        row(5, "imds_request", pid=7),
        row(40, "imds_request", pid=7),
        row(41, "imds_request"),
        row(17, pid=7),
        row(38.5, pid=7),
        row(6, pid=8),
        row(6),
    )

    assert answer.nearest == SequenceMiss(
        firsts=4,
        thens=4,
        keyed=2,
        null_keys=2,
        too_late_us=12 * SECOND,
        too_early_us=1_500_000,
    )
    assert [part.role for part in answer.funnels] == ["first", "then"]


@pytest.mark.parametrize(
    ("at_s", "too_early_us"), [((1,), None), ((1, 1), 0), ((1, 20), 19 * SECOND)]
)
def test_row_that_is_first_and_then_does_not_follow_itself(
    at_s: tuple[int, ...], too_early_us: int | None
) -> None:
    detection = changed(SEQUENCE, first={"telemetry": "connection"})

    nearest = asked(detection, *(row(at, pid=7) for at in at_s)).nearest

    assert isinstance(nearest, SequenceMiss)
    assert nearest.too_early_us == too_early_us


def test_pace_is_that_of_the_group_with_the_most_times() -> None:
    rows = [telnet(at, "b") for at in (0, 10, 20, 90)] + [telnet(at) for at in (0, 0, 0, 10, 20)]

    assert asked(PERIODIC, *rows).nearest == PeriodicMiss(
        groups=2, key={"process_name": "b"}, pace=Pace(4, 10 * SECOND, 2)
    )
    assert asked(PERIODIC).nearest is None


def test_pace_of_one_time_has_no_gap() -> None:
    nearest = asked(PERIODIC, telnet(1)).nearest

    assert isinstance(nearest, PeriodicMiss)
    assert nearest.pace == Pace(1, None, 0)


def test_what_was_not_watched_has_its_gaps_and_reasons() -> None:
    ledger = whole()
    ledger.add_coverage("i-1", Coverage("perf", ("connection",), 0, 5, "on"))
    ledger.add_coverage("i-1", Coverage("perf", ("connection",), 7, RUN_US, "degraded", "polled"))
    ledger.add_lost("i-1", "late", 3)

    answer = asked(ABSENCE, ledger=ledger)

    assert answer.unwatched == (
        Unwatched("listener", (), ()),
        Unwatched("connection", ((5, RUN_US),), ("perf degraded (polled)",)),
    )
    assert asked(EVENT, ledger=ledger).unwatched[0].gaps == ((5, 7),)
    assert answer.lost == {"late": 3}


def test_gaps_of_two_selectors_of_one_kind_are_joined() -> None:
    ledger = whole()
    ledger.add_coverage("i-1", Coverage("probe", ("tls_session",), 0, RUN_US, "on"))
    inbound = {"telemetry": "tls_session", "where": {"direction": "inbound"}}
    detection = changed(SEQUENCE, first=inbound, then={"telemetry": "tls_session"})

    assert asked(detection, ledger=ledger).unwatched == (
        Unwatched("tls_session", ((0, RUN_US),), ()),
    )
