"""Rule files as plain values, for tests: a small valid one, and ways to change it."""

from copy import deepcopy
from typing import Any

from rules.format import Rule

Plain = dict[str, Any]

EVENT: Plain = {
    "kind": "event",
    "select": {"telemetry": "connection", "where": {"remote_port": 23}},
    "group_by": ["process_name"],
}
THRESHOLD: Plain = {**EVENT, "kind": "threshold", "within": "10s", "count": {"gt": 2}}
ABSENCE: Plain = {
    "kind": "absence",
    "select": {"telemetry": "listener"},
    "unless": {"telemetry": "connection", "where": {"direction": "inbound"}},
    "match_on": ["local_port"],
    "group_by": ["local_port"],
}
SEQUENCE: Plain = {
    "kind": "sequence",
    "first": {"telemetry": "imds_request"},
    "then": {"telemetry": "connection"},
    "match_on": ["pid"],
    "within": "10s",
    "group_by": ["process_name"],
}
PERIODIC: Plain = {
    "kind": "periodic",
    "select": {"telemetry": "connection"},
    "group_by": ["process_name"],
    "at_least": 6,
    "jitter": 0.1,
    "every": {"min": "10s", "max": "60s"},
}


def document(detection: Plain | None = None, **changes: object) -> Plain:
    """Return a valid rule file with some top-level keys changed; None removes a key."""
    plain: Plain = {
        "format": 1,
        "id": "some-rule",
        "title": "Something is so",
        "severity": "Low",
        "version": 1,
        "status": "stable",
        "description": "A process did something.",
        "rationale": "A standard says no.",
        "recommendation": "Stop it.",
        "references": [{"title": "A standard", "url": "https://standard.example/1"}],
        "detection": deepcopy(EVENT if detection is None else detection),
        "summary": "something happened {count} times",
        **deepcopy(changes),
    }
    return {key: value for key, value in plain.items() if value is not None}


def rule(detection: Plain | None = None, **changes: object) -> Rule:
    """Return the rule that ``document`` describes."""
    return Rule.model_validate(document(detection, **changes))


def changed(detection: Plain, **changes: object) -> Plain:
    """Return a copy of a detection with some keys changed; None removes a key."""
    plain = {**deepcopy(detection), **deepcopy(changes)}
    return {key: value for key, value in plain.items() if value is not None}
