"""Rules, packages and rows for tests of the judging side, written in few words."""

from typing import Any

from rules.format import Rule
from rules.loader import Package
from rules.telemetry.batch import Row
from rules.telemetry.derive import derive

EVENT = {
    "kind": "event",
    "select": {"telemetry": "connection", "where": {"direction": "outbound"}},
    "group_by": ["process_name", "remote_address", "remote_port"],
}
ABSENCE = {
    "kind": "absence",
    "select": {"telemetry": "listener"},
    "unless": {"telemetry": "connection", "where": {"direction": "inbound"}},
    "match_on": ["local_port"],
    "group_by": ["process_name", "local_port"],
}


def rule(
    name: str = "telnet-used", detection: dict[str, Any] | None = None, **changes: object
) -> Rule:
    plain = {
        "format": 1,
        "id": name,
        "title": "Telnet was used",
        "severity": "Medium",
        "version": 3,
        "status": "stable",
        "description": "A process used Telnet.",
        "rationale": "It sends passwords in the clear.",
        "recommendation": "Use SSH.",
        "references": [{"title": "RFC 854", "url": "https://www.rfc-editor.org/rfc/rfc854"}],
        "detection": detection or EVENT,
        "summary": "{process_name} connected to {remote_address} port {remote_port}",
    }
    return Rule.model_validate(plain | changes)


def package(*rules: Rule, name: str = "runtime-behavior") -> Package:
    return Package(
        id=name,
        title=name,
        version="1.0.0",
        provider="tests",
        description="Rules of a test.",
        path=name,
        rules=tuple(sorted(rules, key=lambda rule: rule.id)),
        sources={},
    )


def row(ts_us: int, telemetry: str = "connection", **values: object) -> Row:
    given: Row = {"telemetry": telemetry, "ts_us": ts_us, "agent_id": "i-1"}
    if telemetry == "connection":
        given |= {
            "direction": "outbound",
            "process_name": "telnet",
            "remote_address": "10.0.9.8",
            "remote_port": 23,
        }
    return derive(given | values)
