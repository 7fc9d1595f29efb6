import json
from typing import Any

from analyzer.replay.explained import explained, explanation_json
from analyzer.replay.replayed import HostTelemetry
from rules.reference import group_rows
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Ledger
from tests.judging import EVENT, row, rule

S = 1_000_000
BURST = EVENT | {"kind": "threshold", "within": "10s", "count": {"gt": 2}}
PAIR = {
    "kind": "sequence",
    "first": {"telemetry": "listener"},
    "then": {"telemetry": "connection"},
    "match_on": ["local_port"],
    "within": "10s",
}


def document(detection: dict[str, Any], *rows: Row) -> dict[str, Any]:
    ledger = Ledger(0, 60 * S)
    ledger.add_host("i-1")
    host = HostTelemetry("0-abc", "i-1", None, group_rows(rows).get("i-1", {}), ledger)
    plain = json.loads(explanation_json(explained(rule(detection=detection), "site", host)))
    assert isinstance(plain, dict)
    return plain


def test_finding_stands_with_what_decided_and_every_witness() -> None:
    plain = document(BURST | {"count": {"gt": 29}}, *(row(ts_us * 1_000) for ts_us in range(40)))

    assert (plain["outcome"], plain["nearest"], plain["margin"]) == ("findings", None, None)
    (finding,) = plain["findings"]
    assert finding["text"] == "telnet connected to 10.0.9.8 port 23"
    assert (finding["count"], finding["measured"], finding["margin"]) == (40, 30, 1)
    assert [item["ts_us"] for item in finding["witnesses"]] == [ts * 1_000 for ts in range(30)]
    assert {"evidence", "occurrence_id"}.isdisjoint(finding)


def test_findings_beyond_ten_are_counted() -> None:
    plain = document(EVENT, *(row(port, remote_port=port) for port in range(1, 15)))

    assert (len(plain["findings"]), plain["and_more"]) == (10, 4)


def test_silence_stands_with_the_funnel_and_the_margin() -> None:
    plain = document(BURST, row(1), row(2), row(3, direction="inbound"))

    assert plain["outcome"] == "clean"
    assert plain["funnels"] == [
        {
            "role": "select",
            "telemetry": "connection",
            "rows": 3,
            "steps": [{"words": "direction is outbound", "left": 2, "seen": []}],
        }
    ]
    assert plain["nearest"] == {
        "groups": 1,
        "key": {"process_name": "telnet", "remote_address": "10.0.9.8", "remote_port": 23},
        "window": [2 - 10 * S, 2],
        "measured": 2,
    }
    assert (plain["limit"], plain["margin"]) == (2, 0)
    assert plain["unwatched"] == [{"telemetry": "connection", "gaps": [], "reasons": []}]


def test_margin_of_a_pair_is_how_much_it_came_too_late() -> None:
    plain = document(PAIR, row(0, "listener", local_port=1), row(12 * S, local_port=1))

    assert (plain["limit"], plain["margin"]) == (10 * S, -2 * S)


def test_kind_that_measures_nothing_has_no_margin() -> None:
    plain = document(EVENT)

    assert (plain["limit"], plain["margin"], plain["nearest"]) == (None, None, None)
