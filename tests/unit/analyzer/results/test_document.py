"""The contract "Results as JSON", line by line."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from analyzer.results.document import (
    Digests,
    Result,
    RunInfo,
    count_by_severity,
    from_json,
    host_coverage,
    to_json,
    to_ndjson,
)
from rules.telemetry.ledger import Intervals, Ledger
from tests.judging import package, rule
from tests.recordings import GOLDEN, SCHEMA, judged, lines_of, shuffled

HEADER = {"telemetry": "capture", "format": 1, "agent_id": "i-1", "from_us": 0, "to_us": 1000}
TELNET = {
    "telemetry": "connection",
    "agent_id": "i-1",
    "ts_us": 5,
    "process_name": "telnet",
    "direction": "outbound",
    "remote_address": "10.0.9.8",
    "remote_port": 23,
}
KINDS = ["connection", "listener"]


def telnet(ts_us: int, **values: object) -> dict[str, object]:
    return TELNET | {"ts_us": ts_us} | values


def document(result: Result) -> dict[str, Any]:
    plain = json.loads(to_json(result))
    jsonschema.validate(plain, json.loads(SCHEMA.read_text()))
    assert isinstance(plain, dict)
    return plain


def test_small_recording_gives_the_golden_result() -> None:
    """On a wanted change: `proctor check --events … --rules … -o json --out GOLDEN`."""
    result = judged(lines_of())
    document(result)
    assert to_json(result) == GOLDEN.read_bytes()


@pytest.mark.parametrize("seed", range(5))
def test_order_of_lines_does_not_matter(seed: int) -> None:
    assert to_json(judged(shuffled(lines_of(), seed))) == GOLDEN.read_bytes()


def test_derived_columns_and_defaults_do_not_matter() -> None:
    bare = judged([telnet(1), HEADER | {"kinds": KINDS}])
    given = judged(
        [
            HEADER | {"kinds": KINDS[::-1]},
            telnet(1, remote_scope="public", pid=None, remote_address="::ffff:10.0.9.8"),
        ]
    )
    assert to_json(bare) == to_json(given)


def test_json_is_canonical() -> None:
    data = to_json(judged(lines_of()))
    again = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert data == again.encode() + b"\n"
    assert "größe".encode() in to_json(
        judged([telnet(1, process_name="größe")], rules=[package(rule())])
    )


def test_document_can_be_read_back() -> None:
    data = GOLDEN.read_bytes()
    assert to_json(from_json(data)) == data
    with pytest.raises(msgspec.ValidationError):
        from_json(b'{"format":2}')


def test_every_change_of_input_changes_a_digest_and_the_run_id() -> None:
    rules = [package(rule())]
    base = judged([telnet(1)], rules=rules)
    other_events = judged([telnet(1), telnet(1)], rules=rules)
    other_header = judged([telnet(1), HEADER | {"kinds": KINDS}], rules=rules)
    other_rules = judged([telnet(1)], rules=[package(rule(version=9))])
    other_settings = judged([telnet(1)], rules=rules, max_groups=None)
    results = [base, other_events, other_header, other_rules, other_settings]
    assert len({result.run.id for result in results}) == 5
    assert len({result.run.digests.events for result in results}) == 3
    assert len({result.run.digests.rules for result in results}) == 2
    assert len({result.run.digests.settings for result in results}) == 2
    assert base.run.id == base.run.digests.run_id


def test_all_severities_are_listed() -> None:
    summary = document(judged([]))["summary"]
    assert summary == {
        "findings": {"High": 0, "Medium": 0, "Low": 0, "Informational": 0},
        "rules": 3,
        "evaluated_pairs": 0,
        "pairs": 0,
        "events": 0,
    }
    assert count_by_severity([]) == summary["findings"]


def test_header_and_coverage_rows_are_not_events() -> None:
    coverage = {
        "telemetry": "coverage",
        "agent_id": "i-1",
        "sensor": "sockets",
        "kinds": KINDS,
        "from_us": 0,
        "to_us": 500,
        "state": "on",
    }
    result = judged([HEADER | {"kinds": KINDS}, coverage, telnet(1), telnet(2, agent_id="i-2")])
    assert result.summary.events == 2
    assert [(host.agent_id, host.events) for host in result.hosts] == [("i-1", 1), ("i-2", 1)]


def test_hosts_are_those_of_headers_events_and_coverage() -> None:
    coverage = {
        "telemetry": "coverage",
        "agent_id": "i-3",
        "sensor": "sockets",
        "kinds": KINDS,
        "from_us": 0,
        "to_us": 1000,
        "state": "off",
    }
    result = judged(
        [telnet(2, agent_id="i-2"), coverage, HEADER | {"agent_id": "i-1", "kinds": KINDS}]
    )
    assert [host.agent_id for host in result.hosts] == ["i-1", "i-2", "i-3"]
    assert {host.hostname for host in result.hosts} == {None}
    assert result.summary.pairs == 9


def test_outcomes_are_by_rule_and_agent_and_say_why_not() -> None:
    outcomes = document(judged(lines_of()))["outcomes"]
    assert [(item["rule"], item["agent_id"]) for item in outcomes] == sorted(
        (item["rule"], item["agent_id"]) for item in outcomes
    )
    reasons = {item["reason"] is not None for item in outcomes if item["outcome"] != "clean"}
    assert reasons == {True, False}


def test_findings_of_an_outcome_are_counted_with_the_closing_one() -> None:
    rows = [telnet(ts_us, remote_port=ts_us) for ts_us in range(1, 105)]
    result = judged(rows, rules=[package(rule())])
    (outcome,) = result.outcomes
    assert (outcome.findings, len(result.findings)) == (101, 101)
    closing = result.findings[-1]
    assert (closing.group, closing.count, closing.and_more) == ({}, 4, 4)
    assert (closing.first_seen_us, closing.last_seen_us) == (101, 104)
    assert result.summary.findings["Medium"] == 101
    assert document(result)["findings"][-1]["evidence"] == []
    assert len(judged(rows, rules=[package(rule())], max_groups=None).findings) == 104


def test_run_is_the_hull_of_headers_and_events() -> None:
    header = HEADER | {"from_us": 100, "to_us": 200, "kinds": KINDS}
    assert judged([header]).run.from_us == 100
    early = judged([header, telnet(50), telnet(300)])
    assert (early.run.from_us, early.run.to_us) == (50, 300)
    (host,) = early.hosts
    # 100 of 250 were watched, of two of the three kinds that the rules need
    assert host.coverage == 0.266666


def test_host_without_header_was_watched_all_the_time() -> None:
    result = judged([telnet(50), telnet(300)])
    assert [host.coverage for host in result.hosts] == [1]
    assert result.summary.evaluated_pairs == 3


def test_shares_are_whole_numbers_where_they_can_be() -> None:
    plain = to_json(judged(lines_of())).decode()
    assert '"coverage":1,' in plain
    assert '"coverage":0,' in plain
    assert '"coverage":0.666666,' in plain


def test_coverage_of_a_host_is_the_mean_over_kinds_cut_to_six_digits() -> None:
    ledger = Ledger(0, 3)
    ledger.add_host("i-1", watched=Intervals([(0, 2)]), kinds=["connection"])
    assert host_coverage(ledger, "i-1", ["connection"]) == 0.666666
    assert host_coverage(ledger, "i-1", ["connection", "listener"]) == 0.333333
    assert host_coverage(ledger, "i-1", []) == 0


def test_skipped_lines_are_counted_only_where_they_may_be() -> None:
    assert "skipped" not in document(judged([telnet(1)]))["summary"]
    result = judged([telnet(1), b"{", b'{"telemetry":"nothing"}'], lenient=True)
    assert document(result)["summary"]["skipped"] == 2
    assert document(judged([telnet(1)], lenient=True))["summary"]["skipped"] == 0


def test_arn_stands_only_where_there_is_one() -> None:
    digests = Digests(events="e", rules="r", settings="s")
    run = RunInfo(id="0-1", name="n", state="COMPLETED", from_us=0, to_us=1, digests=digests)
    assert "arn" not in msgspec.to_builtins(run)
    assert msgspec.to_builtins(msgspec.structs.replace(run, arn="arn:x"))["arn"] == "arn:x"


def test_ndjson_is_the_findings_one_a_line() -> None:
    result = judged(lines_of())
    lines = to_ndjson(result).splitlines()
    assert [json.loads(line) for line in lines] == document(result)["findings"]
    assert to_ndjson(judged([])) == b""
