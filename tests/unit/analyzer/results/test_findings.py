import pytest

from analyzer.results.findings import (
    DecisiveWindow,
    Finding,
    Histogram,
    id_of,
    make_findings,
    ranked,
    share_of,
    text_of,
)
from rules.format import Rule
from rules.reference import group_rows, judge
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Intervals, Ledger
from tests.judging import ABSENCE, EVENT, row, rule


def findings_of(
    item: Rule,
    *rows: Row,
    run_id: str = "r1",
    max_groups: int | None = 100,
    watched_us: int = 100,
) -> tuple[Finding, ...]:
    ledger = Ledger(0, 100)
    ledger.add_host("i-1", watched=Intervals([(0, watched_us)]))
    by_kind = group_rows(rows)["i-1"]
    outcome = judge(item, "i-1", by_kind, ledger, max_groups=max_groups)
    return make_findings(outcome, item, package="runtime-behavior", run_id=run_id, ledger=ledger)


def test_finding_says_what_rule_host_and_rows_say() -> None:
    (finding,) = findings_of(rule(), row(5), row(2))
    assert finding.rule == "telnet-used"
    assert (finding.rule_version, finding.package) == (3, "runtime-behavior")
    assert finding.agent_id == "i-1"
    assert (finding.severity, finding.numeric_severity) == ("Medium", 6)
    assert finding.title == "Telnet was used"
    assert finding.group == {
        "process_name": "telnet",
        "remote_address": "10.0.9.8",
        "remote_port": 23,
    }
    assert (finding.count, finding.first_seen_us, finding.last_seen_us) == (2, 2, 5)
    assert (finding.coverage, finding.and_more) == (1, 0)
    assert finding.evidence == (row(2), row(5))
    assert not finding.is_closing


def test_finding_of_an_event_says_when_and_how_much_was_watched_then() -> None:
    (finding,) = findings_of(rule(), row(50), row(70_000_000), watched_us=75)
    assert finding.window == DecisiveWindow(from_us=50, to_us=70_000_000, coverage=0.5)
    assert (finding.measured, finding.limit, finding.margin) == (None, None, None)
    assert finding.buckets == Histogram(width_us=60_000_000, counts=((0, 1), (60_000_000, 1)))


def test_finding_of_a_threshold_says_by_how_much_it_is_above() -> None:
    burst = EVENT | {"kind": "threshold", "within": "1ms", "count": {"gt": 1}}
    (finding,) = findings_of(rule(detection=burst), row(5), row(7), row(7), row(9))
    assert finding.window == DecisiveWindow(from_us=-993, to_us=7, coverage=1)
    assert (finding.measured, finding.limit, finding.margin) == (3, 1, 2)


def test_finding_of_a_sequence_says_how_much_earlier_than_the_longest_time() -> None:
    select = EVENT["select"]
    pair = {"kind": "sequence", "first": select, "then": select, "within": "1ms"}
    detection = pair | {"match_on": ["remote_port"], "group_by": ["process_name"]}
    (finding,) = findings_of(rule(detection=detection), row(5), row(7), row(9))
    assert finding.window == DecisiveWindow(from_us=5, to_us=7, coverage=1)
    assert (finding.measured, finding.limit, finding.margin) == (2, 1_000, 998)


def test_absence_was_searched_in_the_whole_run() -> None:
    listener = row(5, "listener", process_name="sshd", local_port=22)
    (finding,) = findings_of(rule(detection=ABSENCE), listener, watched_us=96)
    assert finding.window == DecisiveWindow(from_us=0, to_us=100, coverage=0.96)


@pytest.mark.parametrize(
    ("severity", "number"), [("High", 9), ("Medium", 6), ("Low", 3), ("Informational", 0)]
)
def test_severity_has_a_number(severity: str, number: int) -> None:
    (finding,) = findings_of(rule(severity=severity), row(1))
    assert finding.numeric_severity == number


def test_evidence_is_the_first_ten_and_the_last_ten() -> None:
    (finding,) = findings_of(rule(), *(row(ts_us) for ts_us in range(25, 0, -1)))
    assert [item["ts_us"] for item in finding.evidence] == [*range(1, 11), *range(16, 26)]
    assert finding.count == 25


def test_evidence_leaves_null_columns_out_and_puts_scopes_in() -> None:
    (finding,) = findings_of(rule(), row(1, process_path=None))
    assert "process_path" not in finding.evidence[0]
    assert finding.evidence[0]["remote_scope"] == "private"


def test_groups_above_the_cap_are_one_closing_finding() -> None:
    rows = [row(ts_us, remote_port=ts_us) for ts_us in range(1, 6)]
    *shown, closing = findings_of(rule(), *rows, max_groups=2)
    assert [item.group["remote_port"] for item in shown] == [1, 2]
    assert closing.is_closing
    assert (closing.group, closing.evidence) == ({}, ())
    assert (closing.count, closing.and_more) == (3, 3)
    assert (closing.first_seen_us, closing.last_seen_us) == (3, 5)
    assert closing.window == DecisiveWindow(from_us=3, to_us=5, coverage=1)
    assert (closing.measured, closing.limit, closing.margin) == (None, None, None)
    assert closing.buckets.counts == ()
    assert text_of(closing, rule()) == "3 more findings of this rule on this host"
    assert len(findings_of(rule(), *rows, max_groups=None)) == 5


def test_occurrence_is_of_run_rule_host_and_group() -> None:
    (first,) = findings_of(rule(), row(1))
    (again,) = findings_of(rule(), row(7), row(9))
    (other_run,) = findings_of(rule(), row(1), run_id="r2")
    (other_rule,) = findings_of(rule("ftp-used"), row(1))
    (other_group,) = findings_of(rule(), row(1, remote_address="10.0.9.9"))
    assert first.occurrence_id == again.occurrence_id
    others = {item.occurrence_id for item in (other_run, other_rule, other_group)}
    assert len(others | {first.occurrence_id}) == 4


def test_issue_is_the_same_in_every_run_and_at_every_address() -> None:
    (first,) = findings_of(rule(), row(1))
    (other_run,) = findings_of(rule(), row(1, remote_address="10.0.9.9"), run_id="r2")
    (other_port,) = findings_of(rule(), row(1, remote_port=21))
    (other_process,) = findings_of(rule(), row(1, process_name="nc"))
    assert first.issue_id == other_run.issue_id
    assert len({first.issue_id, other_port.issue_id, other_process.issue_id}) == 3


def test_issue_leaves_volatile_columns_out() -> None:
    grouped = {
        "kind": "event",
        "select": {"telemetry": "connection"},
        "group_by": ["process_name", "pid", "process_start_us", "remote_port"],
    }
    item = rule(detection=grouped, summary="{process_name}")
    (first,) = findings_of(item, row(1, pid=10, process_start_us=5, remote_port=40_000))
    (later,) = findings_of(item, row(1, pid=11, process_start_us=6, remote_port=50_000))
    (fixed,) = findings_of(item, row(1, pid=11, process_start_us=6, remote_port=32_767))
    assert first.issue_id == later.issue_id
    assert first.issue_id != fixed.issue_id
    assert first.occurrence_id != later.occurrence_id


def test_issue_can_be_named_by_the_rule() -> None:
    item = rule(identity=["remote_address"])
    (first,) = findings_of(item, row(1))
    (other,) = findings_of(item, row(1, remote_port=21, process_name="nc"))
    assert first.issue_id == other.issue_id


def test_closing_finding_is_told_from_a_rule_without_groups() -> None:
    ungrouped = {"kind": "event", "select": {"telemetry": "connection"}, "group_by": []}
    (only,) = findings_of(rule(detection=ungrouped, summary="seen"), row(1))
    *_, closing = findings_of(rule(), row(1), row(2, remote_port=1), max_groups=1)
    assert only.group == closing.group == {}
    assert only.issue_id != closing.issue_id
    assert only.occurrence_id != closing.occurrence_id


def test_summary_is_filled_with_the_group() -> None:
    (finding,) = findings_of(rule(), row(1))
    assert text_of(finding, rule()) == "telnet connected to 10.0.9.8 port 23"


def test_title_stands_in_for_the_text_of_another_version() -> None:
    (finding,) = findings_of(rule(), row(1))
    assert text_of(finding, rule(version=4)) == "Telnet was used"
    assert text_of(finding, None) == "Telnet was used"


def test_findings_are_ranked_by_severity_rule_host_and_group() -> None:
    findings = [
        *findings_of(rule("b", severity="High"), row(1)),
        *findings_of(rule("a", severity="Low"), row(1)),
        *findings_of(
            rule("a", severity="High"),
            row(1, remote_port=9),
            row(1, remote_port=10),
            row(2, remote_port=11),
            max_groups=2,
        ),
    ]
    assert [
        (item.severity, item.rule, item.group.get("remote_port")) for item in ranked(findings)
    ] == [
        ("High", "a", 10),
        ("High", "a", 9),
        ("High", "a", None),
        ("High", "b", 23),
        ("Low", "a", 23),
    ]


def test_ids_are_hashes_of_canonical_json() -> None:
    assert id_of("a", {"x": 1, "y": None}) == id_of("a", {"y": None, "x": 1})
    assert id_of("a", "b") != id_of("ab")
    assert len(id_of()) == 32


@pytest.mark.parametrize(
    ("share", "shown"), [(1.0, "1"), (0.0, "0"), (0.5, "0.5"), (0.123456, "0.123456")]
)
def test_shares_have_no_floats_where_an_integer_will_do(share: float, shown: str) -> None:
    assert repr(share_of(share)) == shown
