import json
from typing import Any

import msgspec
import pytest
from jsonschema import ValidationError

from analyzer.reports import document
from analyzer.results.document import Result
from rules.loader import Package
from tests.recordings import judged, lines_of, packages
from tests.report_results import one_finding, packages_of
from tests.report_schemas import sarif


def run_of(result: Result, known: list[Package]) -> dict[str, Any]:
    log = json.loads(document("sarif", result, known))
    sarif().validate(log)
    run = log["runs"][0]
    assert isinstance(run, dict)
    return run


def test_schema_refuses_what_is_wrong() -> None:
    log = json.loads(document("sarif", one_finding(), packages_of()))
    wrong: tuple[dict[str, object], ...] = ({"version": "2.0.0"}, {"extra": 1}, {"runs": [{}]})
    for change in wrong:
        with pytest.raises(ValidationError):
            sarif().validate(log | change)


def test_golden_recording() -> None:
    run = run_of(judged(lines_of()), packages())
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        "metadata-burst",
        "telnet-client",
        "unused-port",
    ]
    assert [item["level"] for item in run["results"]] == ["error", "warning", "note"]
    result = run["results"][1]
    assert result["message"]["text"] == "i-web: telnet connected to 10.0.9.8 port 23"
    assert result["partialFingerprints"] == {"proctorIssue/v1": "d7316757a1a6c748743c3647af94bf9f"}
    names = [place["name"] for place in result["locations"][0]["logicalLocations"]]
    assert names == ["i-web", "telnet"]
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [note["associatedRule"]["id"] for note in notes] == ["metadata-burst", "unused-port"]
    assert notes[0]["message"]["text"].startswith("Not evaluated on i-web: imds_request was not")


def test_place_of_a_rule_is_no_path_of_a_machine() -> None:
    run = run_of(one_finding(rule="imdsv1-burst"), packages_of())
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "aws-endpoints/imdsv1-burst.yaml"}
    assert place["region"]["startLine"] > 1


def test_rule_has_its_texts() -> None:
    rule = run_of(one_finding(rule="imdsv1-burst"), packages_of())["tool"]["driver"]["rules"][0]
    assert rule["name"] == "Imdsv1Burst"
    assert rule["properties"]["security-severity"] == "8.9"
    assert rule["properties"]["tags"] == ["security", "external/cwe/cwe-918", "T1552.005"]
    assert "What this rule cannot see:" in rule["help"]["markdown"]


def test_rule_that_is_gone_has_its_title() -> None:
    run = run_of(one_finding(rule="gone"), packages_of())
    assert run["tool"]["driver"]["rules"] == [
        {"id": "gone", "shortDescription": {"text": "Telnet was used"}}
    ]
    assert "physicalLocation" not in run["results"][0]["locations"][0]


def test_text_of_a_host_makes_no_link_and_no_placeholder() -> None:
    result = one_finding(rule="gone", title="{0} [x](1)", evidence=())
    item = run_of(result, [])["results"][0]
    assert item["message"]["text"] == "db.test: {{0}} [x]\\(1)"
    assert len(item["locations"][0]["logicalLocations"]) == 1


def test_run_without_findings() -> None:
    result = msgspec.structs.replace(one_finding(), findings=())
    assert run_of(result, [])["results"] == []
