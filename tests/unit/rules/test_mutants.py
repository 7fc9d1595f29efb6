import pytest

from rules.mutants import mutants, try_mutants
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

ROW: Plain = {"at": "1s", "telemetry": "connection", "process_name": "a", "remote_port": 23}
BARE: Plain = {"kind": "event", "select": {"telemetry": "connection"}}


def changes(detection: Plain) -> list[str]:
    return [
        f"{'.'.join(map(str, mutant.place[1:]))}: {mutant.change}"
        for mutant in mutants(rule(detection).detection)
    ]


def selecting(**selector: object) -> Plain:
    return {"kind": "event", "select": {"telemetry": "connection", **selector}}


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        (BARE, []),
        (
            selecting(where={"remote_port": 23, "direction": "outbound"}),
            [
                "select.where.remote_port.eq: the condition on remote_port eq could be removed",
                "select.where.direction.eq: the condition on direction eq could be removed",
            ],
        ),
        (
            selecting(where={"remote_port": {"in": [21, 23]}}),
            [
                "select.where.remote_port.in: the condition on remote_port in could be removed",
                "select.where.remote_port.in.0: remote_port in: 21 could be removed",
                "select.where.remote_port.in.1: remote_port in: 23 could be removed",
            ],
        ),
        (
            selecting(where={"remote_port": {"in": [21]}}),
            ["select.where.remote_port.in: the condition on remote_port in could be removed"],
        ),
        (
            selecting(where={"uid": {"ge": 1000, "ne": 65534}}),
            [
                "select.where.uid.ge: the condition on uid ge could be removed",
                "select.where.uid.ge: uid ge: 1000 could be 999",
                "select.where.uid.ge: uid ge: 1000 could be 1001",
                "select.where.uid.ne: the condition on uid ne could be removed",
            ],
        ),
        (
            selecting(any_of=[{"remote_port": 23}, {"protocol": "tcp", "uid": 0}]),
            [
                "select.any_of.0: this group could be removed",
                "select.any_of.1: this group could be removed",
                "select.any_of.1.protocol.eq: the condition on protocol eq could be removed",
                "select.any_of.1.uid.eq: the condition on uid eq could be removed",
            ],
        ),
        (
            selecting(none_of=[{"remote_port": {"not_in": [1, 2]}}]),
            [
                "select.none_of.0: this group could be removed",
                "select.none_of.0.remote_port.not_in.0: remote_port not_in: 1 could be removed",
                "select.none_of.0.remote_port.not_in.1: remote_port not_in: 2 could be removed",
            ],
        ),
        (
            {**BARE, "group_by": ["pid", "uid"]},
            ["group_by.0: pid could be removed", "group_by.1: uid could be removed"],
        ),
        (
            changed(THRESHOLD, select=BARE["select"], group_by=[]),
            [
                "count.gt: 2 could be 1",
                "count.gt: 2 could be 3",
                "within: 10s could be 9s",
                "within: 10s could be 11s",
            ],
        ),
        (
            changed(
                THRESHOLD,
                select=BARE["select"],
                group_by=[],
                within="1s",
                count=None,
                distinct={"column": "pid", "gt": 0},
            ),
            ["distinct.gt: 0 could be 1", "within: 1s could be 2s"],
        ),
        (
            changed(
                THRESHOLD,
                select=BARE["select"],
                group_by=[],
                within="1500ms",
                count=None,
                sum={"column": "bytes_sent", "gt": 5},
            ),
            [
                "sum.gt: 5 could be 4",
                "sum.gt: 5 could be 6",
                "within: 1500ms could be 1499ms",
                "within: 1500ms could be 1501ms",
            ],
        ),
        (
            changed(ABSENCE, group_by=[]),
            [
                "unless.where.direction.eq: the condition on direction eq could be removed",
                "min_coverage: 0.95 could be 0.94",
                "min_coverage: 0.95 could be 0.96",
            ],
        ),
        (
            changed(
                ABSENCE,
                unless={"telemetry": "connection"},
                group_by=[],
                match_on=["local_port", "protocol"],
                min_coverage=1,
            ),
            [
                "match_on.0: local_port could be removed",
                "match_on.1: protocol could be removed",
                "min_coverage: 1.0 could be 0.99",
            ],
        ),
        (
            changed(
                SEQUENCE,
                first={"telemetry": "imds_request", "where": {"imds_version": 1}},
                group_by=[],
            ),
            [
                "first.where.imds_version.eq: the condition on imds_version eq could be removed",
                "within: 10s could be 9s",
                "within: 10s could be 11s",
            ],
        ),
        (
            changed(PERIODIC, group_by=[], jitter=0, every={"min": "0s", "max": "1m"}),
            [
                "at_least: 6 could be 5",
                "at_least: 6 could be 7",
                "jitter: 0.0 could be 0.01",
                "every.min: 0ms could be 1s",
                "every.max: 1m could be 59s",
                "every.max: 1m could be 61s",
            ],
        ),
    ],
)
def test_every_condition_is_changed_once(detection: Plain, expected: list[str]) -> None:
    assert changes(detection) == expected


def test_mutant_that_no_test_notices_survives() -> None:
    read = rule(
        EVENT,
        tests=[
            {"name": "fires", "events": [ROW], "expect": [{"process_name": "a"}]},
            {"name": "silent", "events": [{**ROW, "remote_port": 22}], "expect": []},
        ],
    )

    report = try_mutants(read)

    assert (report.killed, report.total) == (1, 2)
    assert [mutant.place for mutant in report.survivors] == [("detection", "group_by", 0)]


def test_mutants_leave_the_rule_as_it_is() -> None:
    read = rule(EVENT)

    list(mutants(read.detection))

    assert read == rule(EVENT)
