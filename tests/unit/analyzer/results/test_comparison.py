import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.results.comparison import (
    FATES,
    Judgement,
    RunComparison,
    compare_runs,
    to_comparison_json,
    to_comparison_ndjson,
)
from analyzer.results.document import Result
from rules.format import Rule
from tests.judging import ABSENCE, package, rule
from tests.recordings import judged

S = 1_000_000
GROUPED = {
    "kind": "event",
    "select": {"telemetry": "connection", "where": {"direction": "outbound"}},
    "group_by": ["process_name", "remote_address", "remote_port"],
}


def connection(port: int, agent_id: str = "i-1", at_s: int = 5) -> dict[str, Any]:
    return {
        "telemetry": "connection",
        "ts_us": at_s * S,
        "agent_id": agent_id,
        "direction": "outbound",
        "process_name": "telnet",
        "remote_address": "10.0.9.8",
        "remote_port": port,
    }


def capture(
    agent_id: str = "i-1", to_s: int = 10, kinds: tuple[str, ...] = ("connection",)
) -> dict[str, Any]:
    header = {"telemetry": "capture", "format": 1, "agent_id": agent_id, "kinds": list(kinds)}
    return header | {"from_us": 0, "to_us": to_s * S}


def run(*lines: dict[str, Any], rules: tuple[Rule, ...] = (), **options: Any) -> Judgement:  # noqa: ANN401
    known = rules or (rule(detection=GROUPED),)
    result: Result = judged(list(lines), rules=[package(*known)], **options)
    return Judgement(result, known)


def fates(comparison: RunComparison) -> list[tuple[str, object, str | None]]:
    return [
        (item.state, item.group.get("remote_port"), item.reason) for item in comparison.findings
    ]


def test_issues_are_new_persisting_or_resolved() -> None:
    before = run(capture(), connection(21), connection(22))
    after = run(capture(), connection(22), connection(22, at_s=6), connection(23))
    compared = compare_runs(before, after)
    assert fates(compared) == [
        ("resolved", 21, None),
        ("persisting", 22, None),
        ("new", 23, None),
    ]
    assert [(item.count_before, item.count) for item in compared.findings] == [
        (1, None),
        (1, 2),
        (None, 1),
    ]
    assert compared.summary["new"] == {"High": 0, "Medium": 1, "Low": 0, "Informational": 0}
    assert (compared.hosts_gone, compared.hosts_added, compared.rules) == ((), (), ())


def test_host_of_one_run_alone_compares_nothing() -> None:
    before = run(capture("i-1"), connection(21, "i-1"))
    after = run(capture("i-2"), connection(21, "i-2"))
    compared = compare_runs(before, after)
    assert fates(compared) == [
        ("not_comparable", 21, "the host was not in the later run"),
        ("not_comparable", 21, "the host was not in the earlier run"),
    ]
    assert (compared.hosts_gone, compared.hosts_added) == (("i-1",), ("i-2",))


def test_rule_of_one_run_alone_compares_nothing() -> None:
    other = rule("other", detection=GROUPED)
    compared = compare_runs(
        run(capture(), connection(21)), run(capture(), connection(21), rules=(other,))
    )
    assert {reason for _, _, reason in fates(compared)} == {
        "the rule was not in the later run",
        "the rule was not in the earlier run",
    }
    assert [change.rule for change in compared.rules] == ["other", "telnet-used"]


def test_rule_that_decides_otherwise_compares_nothing() -> None:
    before = run(capture(), connection(21))
    newer = rule(detection=GROUPED, version=4)
    (found,) = fates(compare_runs(before, run(capture(), connection(21), rules=(newer,))))
    assert found == ("not_comparable", 21, "version 3 of the rule before, 4 now")
    silent = rule(detection=GROUPED, severity="High")
    (found,) = fates(compare_runs(before, run(capture(), connection(21), rules=(silent,))))
    assert found[2] == "the rule decides otherwise now, still as version 3"
    worded = rule(detection=GROUPED, recommendation="Use SSH instead.")
    (found,) = fates(compare_runs(before, run(capture(), connection(21), rules=(worded,))))
    assert found == ("persisting", 21, None)


def test_what_was_not_evaluated_is_neither_new_nor_resolved() -> None:
    seen, blind = run(capture(), connection(21)), run(capture(kinds=("listener",)))
    reason = "connection was not collected on this host"
    assert fates(compare_runs(seen, blind)) == [
        ("not_comparable", 21, f"not evaluated in the later run: {reason}")
    ]
    assert fates(compare_runs(blind, seen)) == [
        ("not_comparable", 21, f"not evaluated before: {reason}")
    ]


def watched(to_s: int) -> dict[str, Any]:
    """Return a coverage row that says that connections were watched until a second."""
    return {
        "telemetry": "coverage",
        "agent_id": "i-1",
        "sensor": "x",
        "kinds": ["connection"],
        "from_us": 0,
        "to_us": to_s * S,
        "state": "on",
        "method": "",
        "sampled_one_in": 1,
        "lost": {},
        "cpu_ms": 0,
        "rss_bytes": 0,
    }


def test_less_watched_proves_nothing() -> None:
    before = run(capture(), connection(21))
    after = run(capture(), watched(6))
    assert fates(compare_runs(before, after)) == [
        ("not_comparable", 21, "60 % watched in the later run, 100 % when it was found")
    ]
    assert fates(compare_runs(before, run(capture(to_s=100), watched(96)))) == [
        ("resolved", 21, None)
    ]


def test_issue_above_the_cap_may_still_be_there() -> None:
    before = run(capture(), connection(1))
    after = run(capture(), connection(2), connection(3), connection(4), max_groups=1)
    states = {port: (state, why) for state, port, why in fates(compare_runs(before, after))}
    why = "the rule found more in the later run than are listed"
    assert states[1] == ("not_comparable", why)
    assert states[2] == ("new", None)


def test_rules_that_are_not_known_are_taken_as_they_are() -> None:
    before, after = run(capture(), connection(21)), run(capture(), connection(21))
    compared = compare_runs(Judgement(before.result, ()), Judgement(after.result, ()))
    assert fates(compared) == [("persisting", 21, None)]


def test_documents_are_canonical_and_hold_every_issue() -> None:
    compared = compare_runs(run(capture(), connection(21)), run(capture()))
    document = json.loads(to_comparison_json(compared))
    assert document["format"] == 1
    (line,) = to_comparison_ndjson(compared).splitlines()
    assert json.loads(line) == document["findings"][0]
    assert json.loads(line)["state"] == "resolved"


ports = st.lists(st.integers(1, 5), max_size=4)


@settings(max_examples=25)
@given(ports, ports, st.booleans())
def test_every_issue_has_one_fate_and_backwards_is_the_mirror(
    before: list[int],
    after: list[int],
    other: bool,  # noqa: FBT001
) -> None:
    rules = (rule(detection=GROUPED), rule("listeners", detection=ABSENCE))[: 1 + other]
    sides = [run(capture(), *map(connection, each), rules=rules) for each in (before, after)]
    compared, mirrored = compare_runs(*sides), compare_runs(*reversed(sides))
    issues = {item.issue_id for side in sides for item in side.result.findings}
    assert sorted(item.issue_id for item in compared.findings) == sorted(issues)
    assert sum(map(compared.count, FATES)) == len(issues)
    assert compared.count("new") == mirrored.count("resolved") == len({*after} - {*before})
    assert compared.count("persisting") == mirrored.count("persisting")
