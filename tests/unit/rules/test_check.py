"""Of ``rules.lint`` and ``rules.check``: each problem a rule or package can have, in its words."""

from pathlib import Path
from typing import Any

import pytest

from rules.check import check
from tests.rule_documents import ABSENCE, EVENT, changed
from tests.rule_files import TESTS, write_package, write_rule


def problems(folder: Path) -> list[str]:
    report = check([folder])
    return [
        str(problem).removeprefix(f"{folder}/") for problem in (*report.malformed, *report.problems)
    ]


def texts(folder: Path) -> list[str]:
    return [problem.split(": ", 1)[1] for problem in problems(folder)]


def test_good_rule_has_no_problem(tmp_path: Path) -> None:
    write_rule(tmp_path)

    report = check([tmp_path])

    assert (report.malformed, report.problems) == ((), ())
    assert (len(report.rules), len(report.packages)) == (1, 1)
    assert (report.tests, report.mutants, report.killed) == (2, 2, 2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": "other-id"}, ["id: other-id differs from the file's name, some-rule"]),
        ({"title": "ensure that it is so"}, ["title: says what should be; state what is so"]),
        ({"title": " "}, ["title: is blank"]),
        (
            {"rationale": "FILL IN: why it matters"},
            ["rationale: still has to be written: why it matters"],
        ),
        ({"limitations": ["a", "b", "a"]}, ["limitations[2]: 'a' is there already"]),
        ({"attack": ["T1040", "T1040"]}, ["attack[1]: 'T1040' is there already"]),
        ({"cwe": ["CWE-1", "CWE-1"]}, ["cwe[1]: 'CWE-1' is there already"]),
        (
            {"summary": "{proces_name} at {first_sen} or {pid}"},
            [
                (
                    "summary: {first_sen} is neither in group_by nor one of count, first_seen, "
                    "last_seen; did you mean 'first_seen'?"
                ),
                "summary: {pid} is neither in group_by nor one of count, first_seen, last_seen",
                (
                    "summary: {proces_name} is neither in group_by nor one of count, first_seen, "
                    "last_seen; did you mean 'process_name'?"
                ),
            ],
        ),
        ({"summary": "{process_name"}, ["summary: has a brace that belongs to no placeholder"]),
        (
            {"tests": None},
            [
                "tests: no test shows a near miss that stays silent",
                "tests: no test shows that the rule fires",
            ],
        ),
    ],
)
def test_problem_of_the_texts(tmp_path: Path, changes: dict[str, Any], expected: list[str]) -> None:
    write_rule(tmp_path, **changes)

    assert texts(tmp_path) == expected


@pytest.mark.parametrize(
    "url",
    [
        "standard.example/1",
        "ftp://standard.example",
        "https://",
        "https://localhost",
        "https://standard.example/a b",
        "https://standard.example/\u00e9",
        "https://[::1",
        "javascript:alert(1)",
    ],
)
def test_link_must_be_a_web_address(tmp_path: Path, url: str) -> None:
    write_rule(tmp_path, references=[{"title": "x", "url": url}])

    assert texts(tmp_path) == [f"references[0].url: {url!r} is no web address"]


def test_volatile_identity_is_a_problem(tmp_path: Path) -> None:
    case = {"name": "silent", "events": [], "expect": []}
    write_rule(
        tmp_path,
        detection=changed(EVENT, group_by=["process_name", "pid"]),
        identity=["process_name", "pid"],
        tests=[case],
    )

    assert "identity[1]: pid changes from run to run and identifies nothing" in texts(tmp_path)


def test_values_that_never_occur_are_problems(tmp_path: Path) -> None:
    select = {
        "telemetry": "tls_session",
        "where": {
            "server_name": {"in": ["a.example", "B.example", "a.example"]},
            "remote_address": "::ffff:10.0.0.1",
            "remote_port": {"in": [1, 2], "eq": 3},
        },
        "any_of": [{"server_name": {"ends_with": ".COM"}}],
        "none_of": [{"server_name": {"starts_with": "WWW."}}],
    }
    write_rule(tmp_path, detection={"kind": "event", "select": select}, tests=None, summary="x")

    assert [text for text in texts(tmp_path) if text.startswith("detection")] == [
        (
            "detection.select.where.server_name.in: 'B.example' never occurs; telemetry has "
            "'b.example'"
        ),
        "detection.select.where.server_name.in[2]: 'a.example' is there already",
        (
            "detection.select.where.remote_address.eq: '::ffff:10.0.0.1' never occurs; telemetry "
            "has '10.0.0.1'"
        ),
        "detection.select.where.remote_port: no value satisfies all its conditions",
        (
            "detection.select.any_of[0].server_name.ends_with: '.COM' never occurs; telemetry has "
            "'.com'"
        ),
        (
            "detection.select.none_of[0].server_name.starts_with: 'WWW.' never occurs; telemetry "
            "has 'www.'"
        ),
    ]


def test_derived_column_of_a_test_event_must_agree_with_the_others(tmp_path: Path) -> None:
    event = {
        "at": "1s",
        "telemetry": "connection",
        "process_name": "c",
        "remote_port": 22,
        "remote_address": "127.0.0.1",
        "remote_scope": "public",
    }
    write_rule(tmp_path, tests=[*TESTS, {"name": "x", "events": [event], "expect": []}])

    assert texts(tmp_path) == [
        (
            "tests[2].events[0].remote_scope: 'public' contradicts other columns; they make it "
            "'loopback'"
        )
    ]


def test_name_of_a_test_is_used_once(tmp_path: Path) -> None:
    write_rule(tmp_path, tests=[*TESTS, TESTS[1]])

    assert texts(tmp_path) == ["tests[2]: 'silent' is there already"]


def test_test_that_fails_is_a_problem_and_stops_the_mutants(tmp_path: Path) -> None:
    write_rule(tmp_path, tests=[TESTS[0], {**TESTS[1], "expect": [{"process_name": "a"}]}])

    report = check([tmp_path])

    assert texts(tmp_path) == [
        "tests: no test shows a near miss that stays silent",
        (
            "tests[1]: test 'silent' fails: expected and did not fire: "
            '{"agent_id":"i-test","process_name":"a"}'
        ),
    ]
    assert report.mutants == 0


def test_test_that_is_not_evaluated_is_no_near_miss(tmp_path: Path) -> None:
    blind = {"name": "blind", "events": [], "expect": [], "coverage": 0, "not_evaluated": True}
    write_rule(tmp_path, tests=[TESTS[0], blind])

    assert "tests: no test shows a near miss that stays silent" in texts(tmp_path)


def test_surviving_mutant_names_the_untested_condition(tmp_path: Path) -> None:
    write_rule(tmp_path, tests=[TESTS[0], {**TESTS[1], "events": []}])

    assert problems(tmp_path) == [
        (
            "some-rule.yaml:18: detection.select.where.remote_port.eq: without a test: the "
            "condition on remote_port eq could be removed and every test still passes"
        )
    ]


def test_absence_rule_is_linted_in_both_selectors(tmp_path: Path) -> None:
    detection = changed(
        ABSENCE, unless={"telemetry": "connection", "where": {"remote_address": "::ffff:1.2.3.4"}}
    )
    write_rule(tmp_path, detection=detection, tests=None)

    assert any(text.startswith("detection.unless.where.rem") for text in texts(tmp_path))


def test_package_that_agrees_with_its_folder_has_no_problem(tmp_path: Path) -> None:
    write_package(tmp_path / "my-package", "one-rule", "two-rule")

    assert problems(tmp_path) == []


def test_manifest_that_disagrees_is_a_problem(tmp_path: Path) -> None:
    write_package(
        tmp_path / "my-package",
        "one-rule",
        "two-rule",
        id="other-package",
        rules=["one-rul", "one-rule", "one-rule"],
        telemetry=["listener"],
    )

    assert texts(tmp_path) == [
        "id: other-package differs from the folder's name, my-package",
        "telemetry: does not list connection",
        "telemetry[0]: 'listener': no rule of the package needs it",
        "rules: does not list two-rule",
        "rules[0]: 'one-rul': no rule file has this id; did you mean 'one-rule'?",
        "rules[2]: 'one-rule' is there already",
    ]


def test_manifest_is_not_judged_while_a_file_does_not_load(tmp_path: Path) -> None:
    write_package(tmp_path / "my-package", "one-rule", "two-rule")
    (tmp_path / "my-package" / "two-rule.yaml").write_text("a: [\n")

    report = check([tmp_path])

    assert len(report.malformed) == 1
    assert report.problems == ()


def test_withdrawn_id_is_not_used_again(tmp_path: Path) -> None:
    write_package(tmp_path / "one", "one-rule", withdrawn=["old-rule"])
    write_package(tmp_path / "two", "old-rule")

    assert problems(tmp_path) == [
        "two/old-rule.yaml:2: id: old-rule was withdrawn from one; ids are not reused"
    ]
