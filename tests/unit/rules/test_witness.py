from itertools import accumulate

from rules.outcome import Group
from rules.reference import group_rows, judge
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Ledger
from rules.witness import witnesses
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
SUM: Plain = changed(THRESHOLD, count=None, sum={"column": "bytes_sent", "gt": 100})


def row(at_s: float, telemetry: str = "connection", **columns: object) -> Row:
    given: Row = {"telemetry": telemetry, "ts_us": round(at_s * SECOND), "agent_id": "i-1"}
    if telemetry == "connection":
        given |= {"process_name": "a", "remote_port": 23, "pid": 7}
    return {**given, **columns}


def witnessed(detection: Plain, *rows: Row) -> list[Row]:
    """Return the witnesses of the only group."""
    ledger = Ledger(0, 3600 * SECOND)
    ledger.add_host("i-1")
    rows_by_kind = group_rows(rows)["i-1"]
    read = rule(detection)
    group: Group
    (group,) = judge(read, "i-1", rows_by_kind, ledger).groups
    return list(witnesses(read.detection, group, rows_by_kind))


def seconds(rows: list[Row]) -> list[float]:
    return [row["ts_us"] / SECOND for row in rows]


def test_event_has_its_first_row_without_null_columns() -> None:
    assert witnessed(EVENT, row(5), row(2, uid=None)) == [row(2)]


def test_count_has_as_many_rows_as_are_too_many() -> None:
    few = witnessed(THRESHOLD, *(row(at) for at in (0, 100, 104, 109, 109, 109, 112)))

    assert seconds(few) == [100, 104, 109]


def test_distinct_has_the_first_row_of_each_value_it_takes() -> None:
    detection = changed(THRESHOLD, count=None, distinct={"column": "uid", "gt": 1})

    few = witnessed(detection, row(1), row(2, uid=5), row(3, uid=5), row(4, uid=6), row(4, uid=7))

    assert few == [row(2, uid=5), row(4, uid=6)]


def test_sum_has_its_largest_rows() -> None:
    sizes = (10, 60, 20, 5, 60)

    few = witnessed(SUM, *(row(at, bytes_sent=size) for at, size in enumerate(sizes)), row(4))

    assert seconds(few) == [1, 4]


def test_absence_has_the_first_row_that_nothing_matches() -> None:
    few = witnessed(
        changed(ABSENCE, group_by=[]),
        row(1, "listener", local_port=80),
        row(2, "listener", local_port=81),
        row(3, "listener", local_port=81),
        row(9, local_port=80, direction="inbound"),
    )

    assert few == [row(2, "listener", local_port=81)]


def test_sequence_has_every_row_of_few_pairs() -> None:
    few = witnessed(SEQUENCE, row(1, "imds_request", pid=7), row(2), row(3), row(20))

    assert seconds(few) == [1, 2, 3]


def test_sequence_of_many_pairs_has_the_first() -> None:
    firsts = [row(at, "imds_request", pid=pid) for at, pid in ((1, 8), (1.5, 8), (1.5, None))]
    thens = [row(4, pid=9), row(4, pid=8), *(row(5 + at / 10, pid=8) for at in range(30))]

    assert witnessed(SEQUENCE, *firsts, *thens) == [firsts[1], row(4, pid=8)]


def test_pace_has_the_first_times_that_are_just_enough() -> None:
    times = (0, 3, 13, 23, 33, 33, 43, 53, 63, 73, 83, 93, 103, 113)

    assert seconds(witnessed(PERIODIC, *map(row, times))) == [3, 13, 23, 33, 43, 53]


def test_pace_that_no_few_times_keep_has_all_of_them() -> None:
    """One gap of ten is too long for any five around it, and the last five differ too much."""
    times = list(accumulate((10, 10, 10, 12, 50, 8, 8, 8, 12, 12), initial=0))

    assert seconds(witnessed(changed(PERIODIC, jitter=0.2), *map(row, times))) == times
