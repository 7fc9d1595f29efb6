from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from rules.faults import dotted
from rules.format import Manifest, Rule
from tests.rule_documents import (
    ABSENCE,
    EVENT,
    PERIODIC,
    SEQUENCE,
    THRESHOLD,
    changed,
    document,
    rule,
)

ROW = {"at": "1s", "telemetry": "connection", "remote_port": 23}
CASE = {"name": "a", "events": [ROW], "expect": [{"process_name": None}]}
MANIFEST: dict[str, Any] = {
    "format": 1,
    "id": "my-package",
    "title": "My package",
    "version": "1.0.0",
    "provider": "me",
    "description": "Rules.",
    "telemetry": ["connection"],
    "rules": ["some-rule"],
}


def faults(plain: object, model: type[BaseModel] = Rule) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(plain)
    return [f"{dotted(error['loc'])}: {error['msg']}" for error in caught.value.errors()]


@pytest.mark.parametrize("detection", [EVENT, THRESHOLD, ABSENCE, SEQUENCE, PERIODIC])
def test_each_kind_of_detection_is_read(detection: dict[str, Any]) -> None:
    assert rule(detection).detection.kind == detection["kind"]


def test_defaults() -> None:
    read = rule(changed(ABSENCE, group_by=None))

    assert read.group_by == ()
    assert read.detection.min_coverage == 0.95  # type: ignore[union-attr]
    assert (read.limitations, read.tests, read.identity) == ((), (), None)


def test_durations_are_microseconds() -> None:
    detection = rule(PERIODIC).detection

    assert detection.every.min_us == 10_000_000  # type: ignore[union-attr]
    assert rule(SEQUENCE).detection.within_us == 10_000_000  # type: ignore[union-attr]


def test_severity_is_a_number_too() -> None:
    numbers = [
        rule(severity=severity).numeric_severity
        for severity in ("High", "Medium", "Low", "Informational")
    ]

    assert numbers == [9, 6, 3, 0]


def test_telemetry_is_every_kind_that_the_rule_needs() -> None:
    assert rule(ABSENCE).telemetry == ("connection", "listener")
    assert rule(EVENT).telemetry == ("connection",)


def test_grouped_selector_comes_first() -> None:
    assert rule(SEQUENCE).detection.selectors[0].telemetry == "connection"
    assert rule(ABSENCE).detection.selectors[0].telemetry == "listener"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"title": None}, "title: is missing"),
        ({"titl": "x"}, "titl: unknown key; did you mean 'title'?"),
        ({"id": "Some_Rule"}, "id: 'Some_Rule' is no id: lower case words and digits joined by -"),
        ({"id": "a" * 101}, "id: is longer than 100 characters"),
        ({"id": 7}, "id: 7 must be text"),
        ({"title": "x" * 101}, "title: is longer than 100 characters"),
        ({"title": ""}, "title: must not be empty"),
        (
            {"severity": "high"},
            "severity: 'high' is none of High, Medium, Low, Informational; did you mean 'High'?",
        ),
        ({"severity": 9}, "severity: 9 is none of High, Medium, Low, Informational"),
        ({"version": 0}, "version: 0 must be at least 1"),
        ({"version": "1"}, "version: '1' must be a whole number"),
        ({"version": 1.5}, "version: 1.5 must be a whole number"),
        ({"version": True}, "version: true must be a whole number"),
        (
            {"status": "stabl"},
            "status: 'stabl' is none of experimental, stable, deprecated; did you mean 'stable'?",
        ),
        ({"references": []}, "references: must not be empty"),
        ({"references": "x"}, "references: must be a list"),
        ({"references": ["x"]}, "references[0]: must be a map"),
        ({"references": [{"title": "x"}]}, "references[0].url: is missing"),
        (
            {"references": [{"title": "x", "url": "y", "link": "z"}]},
            "references[0].link: unknown key",
        ),
        ({"limitations": []}, "limitations: must not be empty"),
        ({"limitations": [""]}, "limitations[0]: must not be empty"),
        ({"identity": []}, "identity: must not be empty"),
        ({"identity": [7]}, "identity[0]: 7 must be text"),
        (
            {"identity": ["proces_name"]},
            "identity[0]: 'proces_name' is not in group_by; did you mean 'process_name'?",
        ),
        (
            {"identity": ["process_name", "process_name"]},
            "identity[1]: 'process_name' is listed twice",
        ),
        (
            {"attack": ["T15"]},
            "attack[0]: 'T15' is no ATT&CK technique, such as T1557 or T1557.002",
        ),
        ({"cwe": ["319"]}, "cwe[0]: '319' is no weakness id, such as CWE-319"),
        ({"cwe": []}, "cwe: must not be empty"),
        ({"tests": []}, "tests: must not be empty"),
        ({"tests": {}}, "tests: must be a list"),
        ({"tests": [7]}, "tests[0]: must be a map"),
        ({"detection": None}, "detection: is missing"),
        ({"detection": [1]}, "detection: must be a map"),
    ],
)
def test_fault_of_a_rule_is_a_sentence(changes: dict[str, Any], fault: str) -> None:
    plain = document(**changes)
    if changes.get("detection", 0) is None:
        del plain["detection"]

    assert faults(plain) == [fault]


@pytest.mark.parametrize(
    ("base", "changes", "fault"),
    [
        (EVENT, {"kind": None}, "detection.kind: is missing"),
        (
            EVENT,
            {"kind": "evnt"},
            (
                "detection.kind: 'evnt' is none of event, threshold, absence, sequence, "
                "periodic; did you mean 'event'?"
            ),
        ),
        (
            EVENT,
            {"kind": 3},
            "detection.kind: 3 is none of event, threshold, absence, sequence, periodic",
        ),
        (
            EVENT,
            {"kind": "first_seen"},
            "detection.kind: 'first_seen' is none of event, threshold, absence, sequence, periodic",
        ),
        (EVENT, {"select": None}, "detection.select: is missing"),
        (EVENT, {"within": "5m"}, "detection.within: unknown key"),
        (EVENT, {"grup_by": []}, "detection.grup_by: unknown key; did you mean 'group_by'?"),
        (EVENT, {"group_by": "pid"}, "detection.group_by: must be a list"),
        (
            EVENT,
            {"group_by": ["agent_id"]},
            "detection.group_by[0]: agent_id always comes first and is never written",
        ),
        (
            EVENT,
            {"group_by": ["pid", "pid"]},
            "detection.group_by[1]: 'pid' is listed twice",
        ),
        (
            EVENT,
            {"group_by": ["remote_adress"]},
            (
                "detection.group_by[0]: connection has no column 'remote_adress'; did you mean "
                "'remote_address'?"
            ),
        ),
        (EVENT, {"group_by": [7]}, "detection.group_by[0]: 7 must be text"),
        (THRESHOLD, {"within": None}, "detection.within: is missing"),
        (
            THRESHOLD,
            {"within": "5 minutes"},
            (
                "detection.within: '5 minutes' is no duration; write a whole number and ms, s, "
                "m, h or d, such as 5m"
            ),
        ),
        (
            THRESHOLD,
            {"within": "0s"},
            "detection.within: '0s' is no span of time; it must be more than 0",
        ),
        (
            THRESHOLD,
            {"count": None},
            "detection: needs exactly one of count, distinct and sum, and has none of them",
        ),
        (
            THRESHOLD,
            {"sum": {"column": "bytes_sent", "gt": 1}},
            "detection: needs exactly one of count, distinct and sum, and has count and sum",
        ),
        (THRESHOLD, {"count": {"gt": -1}}, "detection.count.gt: -1 must be at least 0"),
        (THRESHOLD, {"count": {"gt": 1.5}}, "detection.count.gt: 1.5 must be a whole number"),
        (THRESHOLD, {"count": {"gt": 1, "lt": 3}}, "detection.count.lt: unknown key"),
        (THRESHOLD, {"count": {}}, "detection.count.gt: is missing"),
        (THRESHOLD, {"count": 20}, "detection.count: must be a map"),
        (
            THRESHOLD,
            {"count": None, "distinct": {"column": "remote_adress", "gt": 1}},
            (
                "detection.distinct.column: connection has no column 'remote_adress'; did you mean "
                "'remote_address'?"
            ),
        ),
        (
            THRESHOLD,
            {"count": None, "sum": {"column": "process_name", "gt": 1}},
            "detection.sum.column: process_name holds no numbers to sum",
        ),
        (ABSENCE, {"match_on": None}, "detection.match_on: is missing"),
        (ABSENCE, {"match_on": []}, "detection.match_on: must not be empty"),
        (
            ABSENCE,
            {"match_on": ["remote_port"]},
            "detection.match_on[0]: listener has no column 'remote_port'",
        ),
        (
            ABSENCE,
            {"match_on": ["local_scope"]},
            (
                "detection.match_on[0]: connection has no column 'local_scope'; did you mean "
                "'local_port'?"
            ),
        ),
        (
            ABSENCE,
            {"match_on": ["state"]},
            "detection.match_on[0]: state holds different things in listener and connection",
        ),
        (
            ABSENCE,
            {"min_coverage": 1.01},
            "detection.min_coverage: 1.01 must be at most 1",
        ),
        (
            ABSENCE,
            {"min_coverage": 0.1234567},
            "detection.min_coverage: 0.1234567 has more than 6 digits after the point",
        ),
        (
            ABSENCE,
            {"min_coverage": "95 %"},
            "detection.min_coverage: '95 %' must be a number",
        ),
        (
            SEQUENCE,
            {"group_by": ["purpose"]},
            "detection.group_by[0]: connection has no column 'purpose'",
        ),
        (PERIODIC, {"at_least": 5}, "detection.at_least: 5 must be at least 6"),
        (PERIODIC, {"jitter": 0.51}, "detection.jitter: 0.51 must be at most 0.5"),
        (PERIODIC, {"jitter": -0.1}, "detection.jitter: -0.1 must be at least 0"),
        (PERIODIC, {"every": {"min": "1m"}}, "detection.every.max: is missing"),
        (
            PERIODIC,
            {"every": {"min": "2m", "max": "1m"}},
            "detection.every: min is above max",
        ),
    ],
)
def test_fault_of_a_detection_is_a_sentence(
    base: dict[str, Any], changes: dict[str, Any], fault: str
) -> None:
    assert faults(document(changed(base, **changes))) == [fault]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": None}, "tests[0].name: is missing"),
        ({"expect": None}, "tests[0].expect: is missing"),
        ({"expect": [7]}, "tests[0].expect[0]: must be a map"),
        (
            {"expect": [{"remote_port": 23}]},
            "tests[0].expect[0].remote_port: 'remote_port' is not in group_by",
        ),
        (
            {"expect": [{"process_name": 7}]},
            "tests[0].expect[0].process_name: 7 is no value of process_name, which holds text",
        ),
        (
            {"expect": [{"agent_id": "a b"}]},
            "tests[0].expect[0].agent_id: 'a b' is no agent id: letters, digits, _ and -",
        ),
        ({"coverage": 1.5}, "tests[0].coverage: 1.5 must be at most 1"),
        ({"not_evaluated": "no"}, "tests[0].not_evaluated: 'no' must be true or false"),
        (
            {"duration": "0s"},
            "tests[0].duration: '0s' is no span of time; it must be more than 0",
        ),
        (
            {"duration": "500ms"},
            "tests[0].events[0].at: lies after the end of the run, 500ms; set duration",
        ),
        (
            {"events": [{**ROW, "at": "3600s", "repeat": 2, "every": "1ms"}]},
            "tests[0].events[0].at: lies after the end of the run, 1h; set duration",
        ),
        (
            {"events": [{**ROW, "repeat": 60_000}] * 2},
            "tests[0].events: make 120000 rows; a test may have 100000",
        ),
        (
            {"events": [{**ROW, "repeat": 100_001}]},
            "tests[0].events[0].repeat: 100001 must be a whole number from 1 to 100000",
        ),
        (
            {"events": [{**ROW, "repeat": True}]},
            "tests[0].events[0].repeat: true must be a whole number from 1 to 100000",
        ),
        (
            {"events": [{**ROW, "every": "1s"}]},
            "tests[0].events[0].every: has no meaning without repeat",
        ),
        (
            {"events": [{**ROW, "at": 1}]},
            (
                "tests[0].events[0].at: 1 is no duration; write a whole number and ms, s, m, h "
                "or d, such as 5m"
            ),
        ),
        ({"events": [{"telemetry": "connection"}]}, "tests[0].events[0].at: is missing"),
        ({"events": [{"at": "1s"}]}, "tests[0].events[0].telemetry: is missing"),
        ({"events": ["row"]}, "tests[0].events[0]: must be a map with at, telemetry and columns"),
        (
            {"events": [{**ROW, "remote_prt": 1}]},
            (
                "tests[0].events[0].remote_prt: connection has no column 'remote_prt'; did you "
                "mean 'remote_port'?"
            ),
        ),
        (
            {"events": [{**ROW, "remote_port": 70000}]},
            "tests[0].events[0].remote_port: 70000 is outside of 0 to 65535",
        ),
        (
            {"events": [{**ROW, "agent_id": None}]},
            "tests[0].events[0].agent_id: null is no agent id: letters, digits, _ and -",
        ),
    ],
)
def test_fault_of_a_test_is_a_sentence(changes: dict[str, Any], fault: str) -> None:
    case = {key: value for key, value in {**CASE, **changes}.items() if value is not None}

    assert faults(document(tests=[case])) == [fault]


def test_null_is_no_value_of_a_key() -> None:
    plain = {**document(), "title": None, "limitations": [None], "identity": None}

    assert faults(plain) == [
        "title: is null; give it a value or leave the key out",
        "limitations[0]: is null; give it a value or leave the key out",
        "identity: is null; give it a value or leave the key out",
    ]


def test_all_faults_of_a_file_are_reported_at_once() -> None:
    plain = document(
        changed(THRESHOLD, within="x", group_by=["x"], count={"gt": 1, "gte": 2}),
        severity="Highest",
        tests=[{"events": []}],
        extra=1,
    )
    plain["detection"]["select"]["where"]["remote_port"] = 99999

    assert sorted(faults(plain)) == [
        "detection.count.gte: unknown key; did you mean 'gt'?",
        "detection.group_by[0]: connection has no column 'x'",
        "detection.select.where.remote_port: 99999 is outside of 0 to 65535",
        (
            "detection.within: 'x' is no duration; write a whole number and ms, s, m, h or d, "
            "such as 5m"
        ),
        "extra: unknown key",
        "severity: 'Highest' is none of High, Medium, Low, Informational; did you mean 'High'?",
        "tests[0].expect: is missing",
        "tests[0].name: is missing",
    ]


@pytest.mark.parametrize("plain", [None, [], "rule", 7])
def test_file_that_is_no_map_says_so(plain: object) -> None:
    assert faults(plain) == [": must be a map"]
    assert faults(plain, Manifest) == [": must be a map"]


@pytest.mark.parametrize("model", [Rule, Manifest])
def test_newer_format_is_the_only_fault(model: type[BaseModel]) -> None:
    assert faults({"format": 2, "unknown": 1}, model) == [
        "format: 2 is unknown; the newest format this version knows is 1"
    ]


@pytest.mark.parametrize("value", [0, -1, "1", 1.0, True])
def test_other_format_is_a_fault(value: object) -> None:
    (fault,) = faults({**document(), "format": value})

    assert fault.endswith("is no format; the newest format is 1")


def test_two_selectors_may_use_the_same_kind() -> None:
    detection = changed(SEQUENCE, first={"telemetry": "connection"}, match_on=["state"])

    assert rule(detection).telemetry == ("connection",)


@pytest.mark.parametrize("value", [{"kind": ["event"]}, {"select": 7}, {"group_by": {"a": 1}}])
def test_detection_of_wrong_shape_is_a_fault_and_no_crash(value: dict[str, Any]) -> None:
    assert faults(document(changed(EVENT, **value)))
    assert faults(document(tests=[{"events": 7, "expect": {}, "name": []}]))


def test_identity_is_group_by_without_what_changes_from_run_to_run() -> None:
    read = rule(
        changed(EVENT, group_by=["pid", "process_name", "remote_address", "local_port"]),
    )

    assert read.identity_columns == ("process_name", "local_port")
    assert read.issue_key(
        {"pid": 7, "process_name": "nc", "remote_address": "10.0.0.1", "local_port": 32768}
    ) == {"process_name": "nc"}
    assert read.issue_key({"process_name": None, "local_port": 32767}) == {
        "process_name": None,
        "local_port": 32767,
    }


def test_identity_can_be_named() -> None:
    read = rule(
        changed(EVENT, group_by=["process_name", "remote_address"]), identity=["remote_address"]
    )

    assert read.identity_columns == ("remote_address",)


def test_digest_is_of_everything_and_of_what_decides_findings() -> None:
    first, same, reworded, stricter = (
        rule(),
        Rule.model_validate(dict(reversed(document().items()))),
        rule(title="Something else is so"),
        rule(severity="High"),
    )

    assert first.digest == same.digest
    assert first.document == document()
    assert first.digest != reworded.digest
    assert first.detection_digest == reworded.detection_digest
    assert first.detection_digest != stricter.detection_digest
    assert len(first.digest) == 64


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"version": "1.0"}, "version: '1.0' is no version, such as 1.0.0"),
        ({"version": 1.0}, "version: 1.0 must be text"),
        ({"rules": []}, "rules: must not be empty"),
        ({"withdrawn": []}, "withdrawn: must not be empty"),
        ({"telemetri": []}, "telemetri: unknown key; did you mean 'telemetry'?"),
        ({"id": "My"}, "id: 'My' is no id: lower case words and digits joined by -"),
    ],
)
def test_fault_of_a_manifest_is_a_sentence(changes: dict[str, Any], fault: str) -> None:
    assert faults({**MANIFEST, **changes}, Manifest) == [fault]


def test_manifest_is_read() -> None:
    read = Manifest.model_validate({**MANIFEST, "withdrawn": ["old-rule"]})

    assert (read.id, read.rules, read.withdrawn) == ("my-package", ("some-rule",), ("old-rule",))


def test_validated_rule_is_validated_again_without_change() -> None:
    read = rule()

    assert Rule.model_validate(read) is read
