from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from analyzer.present.junit import to_junit
from analyzer.replay.expectations import Check, checks, read_expectations
from analyzer.results.document import HostResult, Result
from rules.errors import RuleFileError
from tests.recordings import judged, lines_of

RULES = ("metadata-burst", "telnet-client", "unused-port")


@pytest.fixture(scope="module")
def result() -> Result:
    return judged(lines_of())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "expected.yaml"


def check(path: Path, stated: object, result: Result) -> list[Check]:
    path.write_text(yaml.safe_dump(stated, sort_keys=False))
    return checks(read_expectations(path), result, RULES)


def test_counts_hold_or_not(path: Path, result: Result) -> None:
    stated = {
        "total": 3,
        "severities": {"High": 2},
        "rules": {"telnet-client": 1},
        "hosts": {"i-db": {"total": 2, "severities": {"Low": 0}, "rules": {"telnet-client": 1}}},
    }
    assert [
        (item.name, item.holds, len(item.findings)) for item in check(path, stated, result)
    ] == [
        ("all findings", True, 3),
        ("severity High", False, 1),
        ("rule telnet-client", True, 1),
        ("all findings on i-db", True, 2),
        ("severity Low on i-db", True, 0),
        ("rule telnet-client on i-db", False, 0),
    ]


def test_hosts_are_known_by_their_name_too(path: Path, result: Result) -> None:
    hosts = [
        HostResult(agent_id=host.agent_id, hostname="db", events=0, coverage=1)
        for host in result.hosts
        if host.agent_id == "i-db"
    ]
    named = Result(
        format=1,
        run=result.run,
        hosts=tuple(hosts),
        outcomes=result.outcomes,
        findings=result.findings,
        summary=result.summary,
    )
    (item,) = check(path, {"hosts": {"db": {"total": 2}}}, named)
    assert item.holds


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ({}, "1: expects nothing; state total, severities or rules"),
        ({"hosts": {"i-db": {}}}, "1: expects nothing"),
        ({"totl": 3}, "1: totl: unknown key; did you mean 'total'?"),
        ({"total": -1}, "1: total: "),
        ({"total": "many"}, "1: total: "),
        ({"severities": {"Hihg": 1}}, "2: severities.Hihg"),
        ({"total": 1, "rules": {"telnet-clent": 1}}, "3: there is no rule telnet-clent; did you"),
        ({"hosts": {"i-w": {"total": 1}}}, "2: there is no host i-w"),
        ({"hosts": {"i-db": {"rules": {"none": 1}}}}, "4: there is no rule none"),
        ("text", "1: "),
    ],
)
def test_errors_name_the_line(path: Path, result: Result, stated: Any, problem: str) -> None:  # noqa: ANN401
    with pytest.raises(RuleFileError) as caught:
        check(path, stated, result)
    assert f"{path}:{problem}" in str(caught.value)


def test_file_that_is_no_yaml_is_an_error(path: Path) -> None:
    path.write_text("total: [")
    with pytest.raises(RuleFileError):
        read_expectations(path)


def test_json_is_read_too(path: Path, result: Result) -> None:
    path.write_text('{"rules": {"telnet-client": 1}}')
    (item,) = checks(read_expectations(path), result, RULES)
    assert item.holds


def test_junit_has_a_case_per_check(path: Path, result: Result) -> None:
    made = check(path, {"total": 3, "rules": {"telnet-client": 2, "unused-port": 0}}, result)
    document = to_junit(made)
    assert document == to_junit(made)
    root = ET.fromstring(document)  # noqa: S314 (our own document)
    assert (root.tag, root.attrib) == ("testsuites", {"tests": "3", "failures": "2"})
    cases = root.findall("testsuite/testcase")
    assert [case.attrib["name"] for case in cases] == [
        "all findings: 3 findings",
        "rule telnet-client: 2 findings",
        "rule unused-port: 0 findings",
    ]
    failures = [case.find("failure") for case in cases]
    assert failures[0] is None
    assert failures[1] is not None
    assert failures[1].attrib["message"] == "rule telnet-client: expected 2 findings, found 1"
    assert str(failures[1].text).startswith("Medium telnet-client on i-web: {")


def test_junit_lists_so_many_findings_and_no_control_characters(result: Result) -> None:
    many = Check("rule a on \x00\x1b", 1, result.findings[:1] * 25)
    root = ET.fromstring(to_junit([many]))  # noqa: S314 (our own document)
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert str(failure.text).endswith("\nand 5 more")
    assert failure.attrib["message"] == "rule a on \\x00\\x1b: expected 1 finding, found 25"
