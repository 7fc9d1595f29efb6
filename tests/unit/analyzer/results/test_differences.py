import json
from typing import Any

from analyzer.recording import read_recorded
from analyzer.recording.judgement import judge_recording
from analyzer.results.differences import Comparison, compare, to_diff_json
from analyzer.results.document import Result, merged, to_json
from tests.judging import package, rule
from tests.recordings import TWO_HOSTS, judged, lines_of, packages

EVENT: dict[str, Any] = {
    "telemetry": "connection",
    "ts_us": 5_000_000,
    "agent_id": "i-1",
    "direction": "outbound",
    "process_name": "telnet",
    "remote_address": "10.0.9.8",
    "remote_port": 23,
}
GROUPED = {
    "kind": "event",
    "select": {"telemetry": "connection", "where": {"direction": "outbound"}},
    "group_by": ["process_name"],
}


def result(*changes: dict[str, Any], **of_rule: object) -> Result:
    rules = [package(rule(**of_rule))]  # type: ignore[arg-type]
    return judged([EVENT | change for change in changes], rules=rules)


def states(comparison: Comparison) -> list[tuple[str, object]]:
    return [(item.state, item.group.get("remote_port")) for item in comparison.findings]


def test_findings_are_new_gone_or_the_same() -> None:
    before = result({"remote_port": 21}, {"remote_port": 22})
    after = result({"remote_port": 22}, {"remote_port": 23})
    comparison = compare(before, after)
    assert states(comparison) == [("gone", 21), ("same", 22), ("new", 23)]
    assert comparison.summary["new"] == {"High": 0, "Medium": 1, "Low": 0, "Informational": 0}
    assert (comparison.count("gone"), comparison.differs) == (1, True)
    assert not compare(before, before).differs


def test_other_words_of_the_same_finding_are_named() -> None:
    before = result({}, {"ts_us": 6_000_000})
    after = result({}, severity="High")
    (item,) = compare(before, after).findings
    assert (item.state, item.severity) == ("same", "High")
    assert item.changed == ("severity", "count", "last_seen_us")
    assert compare(before, after).differs


def test_rule_of_another_version_is_compared_on_the_same_telemetry_only() -> None:
    before = result({})
    same_telemetry = compare(before, result({}, version=4))
    assert states(same_telemetry) == [("same", 23)]
    assert [(c.version_before, c.version_after) for c in same_telemetry.rules] == [(3, 4)]
    (item,) = compare(before, result({}, {"ts_us": 7_000_000}, version=4)).findings
    assert item.state == "not_comparable"
    assert item.reason == "version 3 of the rule before, 4 now"


def test_rule_that_was_not_evaluated_on_one_side_compares_nothing() -> None:
    header = {
        "telemetry": "capture",
        "format": 1,
        "agent_id": "i-1",
        "from_us": 0,
        "to_us": 9_000_000,
        "kinds": ["listener"],
    }
    rules = [package(rule())]
    blind = judged([header], rules=rules)
    for before, after in ((result({}), blind), (blind, result({}))):
        (item,) = compare(before, after).findings
        assert item.state == "not_comparable"
        when = "now" if after is blind else "before"
        assert item.reason == f"not evaluated {when}: connection was not collected on this host"


def test_rule_that_groups_otherwise_compares_nothing() -> None:
    after = result({}, detection=GROUPED, summary="{process_name} connected")
    comparison = compare(result({}), after)
    assert {item.state for item in comparison.findings} == {"not_comparable"}
    assert {item.reason for item in comparison.findings} == {
        "the rule groups its findings otherwise now"
    }


def test_findings_of_a_new_rule_are_new_and_of_a_missing_rule_not_comparable() -> None:
    one, other = rule(), rule("other-rule")
    before = judged([EVENT], rules=[package(one)])
    after = judged([EVENT], rules=[package(other)])
    comparison = compare(before, after, rules=([one], [other]))
    assert {(item.rule, item.state) for item in comparison.findings} == {
        ("other-rule", "new"),
        ("telnet-used", "not_comparable"),
    }
    assert [(c.rule, c.version_before, c.version_after) for c in comparison.rules] == [
        ("other-rule", None, 3),
        ("telnet-used", 3, None),
    ]


def test_document_is_canonical() -> None:
    document = to_diff_json(compare(result({}), result({})))
    value = json.loads(document)
    assert value["summary"]["same"]["Medium"] == 1
    assert document == json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_merged_parts_are_the_whole() -> None:
    whole = judged(lines_of())
    recording = read_recorded(TWO_HOSTS)
    parts = [
        judge_recording(recording, packages(), digests=whole.run.digests, agents=[host.agent_id])
        for host in reversed(whole.hosts)
    ]
    assert merged(map(to_json, parts)) == whole
