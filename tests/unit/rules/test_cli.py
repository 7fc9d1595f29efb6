import json
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rules import cli
from rules.cli import main
from tests.rule_documents import EVENT, changed
from tests.rule_files import TESTS, write_package, write_rule


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(run(capsys, *arguments, "-o", "json")[1])
    return printed


def test_check_of_shipped_rules_passes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check")

    assert (code, err) == (0, "")
    last = out.splitlines()[-1]
    assert last.startswith("20 rules in 4 packages, 58 tests, mutants killed ")
    assert last.endswith(" (100 %), problems none")
    rows = [line.split() for line in out.splitlines()]
    assert ["runtime-behavior", "insecure-client-login", "5", "21", "/", "21", "(100", "%)"] in rows


def test_check_lists_problems_with_paths_as_one_would_type_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_rule(tmp_path / "site", tests=[TESTS[0]], title="Ensure it")

    code, out, _ = run(capsys, "check", tmp_path / "site")

    assert code == 1
    assert out.splitlines()[3:] == [
        "site/some-rule.yaml:3: title: says what should be; state what is so",
        (
            "site/some-rule.yaml:18: detection.select.where.remote_port.eq: without a test: the "
            "condition on remote_port eq could be removed and every test still passes"
        ),
        "site/some-rule.yaml:22: tests: no test shows a near miss that stays silent",
        "1 rules in 1 packages, 1 tests, mutants killed 1 / 2 (50 %), problems 3",
    ]


def test_check_of_malformed_files_exits_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_rule(tmp_path / "site", severity="high")
    write_rule(tmp_path / "site", "other-rule")

    code, out, _ = run(capsys, "check", "site")

    assert code == 2
    assert "site/some-rule.yaml:4: severity: 'high' is none of" in out
    assert "1 rules in 1 packages, 2 tests, mutants killed 2 / 2 (100 %), problems 1" in out


def test_check_of_nothing_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "nowhere")

    assert code == 2
    assert "nowhere:1: there is no such file or folder" in out
    assert "0 rules in 0 packages, 0 tests, mutants killed 0 / 0, problems 1" in out


def test_check_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_rule(tmp_path / "site", title="Ensure it")

    assert run_json(capsys, "check", "site") == {
        "format": 1,
        "packages": 1,
        "rules": 1,
        "tests": 2,
        "mutants": {"killed": 2, "total": 2},
        "problems": [
            {
                "path": "site/some-rule.yaml",
                "line": 3,
                "text": "title: says what should be; state what is so",
            }
        ],
    }


def test_check_against_an_earlier_state(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_rule(tmp_path / "old" / "site")
    write_rule(tmp_path / "new" / "site", severity="High")

    code, out, _ = run(capsys, "check", "new/site", "--against", "old/site")

    assert code == 1
    assert "new/site/some-rule.yaml:5: version: findings can change since version 1" in out


def test_check_against_broken_rules_exits_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_rule(tmp_path / "site")

    code, _, err = run(capsys, "check", "site", "--against", "nowhere")

    assert (code, err) == (2, "nowhere:1: there is no such file or folder\n")


def test_show_lists_packages_and_rules(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show")

    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["Package", "Rule", "Severity", "Version", "Status", "Title"]
    assert lines[2].split()[:5] == ["aws-endpoints", "imdsv1-burst", "High", "1", "stable"]
    assert len(lines) == 21


def test_show_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_package(tmp_path / "site", "some-rule")

    shown = run_json(capsys, "show", "--rules", "site")

    assert shown["format"] == 1
    assert len(shown["digest"]) == 64
    assert [rule["id"] for rule in shown["rules"]] == ["some-rule"]
    assert shown["rules"][0]["numeric_severity"] == 3


def test_show_one_rule(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_rule(
        tmp_path / "site",
        limitations=["word " * 30],
        attack=["T1040"],
        references=[{"title": "A standard", "url": "https://standard.example/1"}],
    )

    code, out, _ = run(capsys, "show", "some-rule", "--rules", "site")

    assert code == 0
    assert out == (
        "some-rule: Something is so\n"
        "Low · package site · version 1 · stable\n"
        "\n"
        "What was observed\n"
        "  A process did something.\n"
        "\n"
        "Why it matters\n"
        "  A standard says no.\n"
        "\n"
        "What to do\n"
        "  Stop it.\n"
        "\n"
        "What it cannot see\n"
        "  - word word word word word word word word word word word word word word word word word "
        "word word\n"
        "    word word word word word word word word word word word\n"
        "\n"
        "To read\n"
        "  - A standard\n"
        "    https://standard.example/1\n"
        "\n"
        "ATT&CK and CWE\n"
        "  T1040\n"
    )


def test_show_leaves_out_what_a_rule_does_not_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_rule(tmp_path / "site")

    out = run(capsys, "show", "some-rule", "--rules", "site")[1]

    assert "cannot see" not in out
    assert "ATT&CK" not in out


def test_show_one_rule_as_json_holds_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_json(capsys, "show", "imdsv1-burst")

    assert shown["package"] == "aws-endpoints"
    assert shown["file"]["detection"]["count"] == {"gt": 20}


@pytest.mark.parametrize("command", ["show", "explain"])
def test_unknown_rule_comes_with_the_nearest_name(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run(capsys, command, "imdsv1-brust") == (
        2,
        "",
        "rules: there is no rule 'imdsv1-brust'; did you mean 'imdsv1-burst'?\n",
    )
    assert run(capsys, command, "zzz")[2] == (
        "rules: there is no rule 'zzz'; `python -m rules show` lists all\n"
    )


def test_explain_says_it_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "explain", "imdsv1-burst")

    assert code == 0
    assert "some window of 5m holds more than 20 imds_request rows where" in out


def test_new_writes_a_rule_that_loads(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(capsys, "new", "my-rule", "--kind", "absence")

    assert code == 0
    assert out == (
        "Wrote my-rule.yaml. Fill in its texts, then: python -m rules check my-rule.yaml\n"
    )
    assert "kind: absence" in (tmp_path / "my-rule.yaml").read_text()
    assert run(capsys, "check", "my-rule.yaml")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["My_Rule"], "'My_Rule' is no id: lower case words and digits joined by -"),
        (["../my-rule"], "'../my-rule' is no id: lower case words and digits joined by -"),
        (["taken"], "taken.yaml is there already; choose another id or remove it"),
        (
            ["my-rule", "--dir", "taken.yaml"],
            "taken.yaml/my-rule.yaml cannot be written: File exists",
        ),
    ],
)
def test_new_refuses(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: Sequence[str], error: str
) -> None:
    (tmp_path / "taken.yaml").write_text("mine")

    assert run(capsys, "new", *arguments) == (2, "", f"rules: {error}\n")
    assert (tmp_path / "taken.yaml").read_text() == "mine"


def test_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "schema")

    assert code == 0
    assert json.loads(out)["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_schema_is_written_and_checked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "SCHEMA_PATH", tmp_path / "rule.schema.json")
    monkeypatch.setattr(cli, "README_PATH", tmp_path / "README.md")
    (tmp_path / "README.md").write_text("<!-- generated: rules -->\n<!-- end of rules -->\n")

    code, out, _ = run(capsys, "schema", "--check")
    assert code == 1
    assert out.splitlines() == [
        "rule.schema.json:1: is not current; run: python -m rules schema --write",
        "README.md:1: is not current; run: python -m rules schema --write",
    ]

    assert run(capsys, "schema", "--write") == (0, "Wrote rule.schema.json\nWrote README.md\n", "")
    assert run(capsys, "schema", "--check") == (0, "", "")
    assert run(capsys, "schema", "--write") == (0, "", "")


@pytest.mark.parametrize("arguments", [[], ["checks"], ["check", "-o", "xml"], ["explain"]])
def test_wrong_usage_exits_with_2(
    capsys: pytest.CaptureFixture[str], arguments: Sequence[str]
) -> None:
    code, out, err = run(capsys, *arguments)

    assert (code, out) == (2, "")
    assert err.startswith("usage: python -m rules")


@pytest.mark.parametrize("command", ["", "check", "show", "new", "schema", "explain"])
def test_help_of_every_command(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, out, _ = run(capsys, *filter(None, [command]), "--help")

    assert code == 0
    assert out.startswith("usage: python -m rules")


def test_help_has_examples_that_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = run(capsys, "--help")[1]
    write_rule(tmp_path / "my-rules")
    lines = [line.split("   ")[0] for line in out.splitlines() if line.startswith("  python -m")]

    assert len(lines) == 5
    for line in lines:
        assert run(capsys, *line.split()[3:])[0] == 0


def test_broken_pipe_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BrokenPipeError

    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stdout:
        os.close(reader)
        monkeypatch.setattr(sys, "stdout", stdout)
        monkeypatch.setattr(cli, "print", broken, raising=False)

        assert main(["show"]) == 0


def test_module_can_be_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["rules", "explain", "imdsv1-used"])

    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("rules", run_name="__main__")

    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("imdsv1-used: ")


def test_changed_rule_is_seen_by_its_digest(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_rule(tmp_path / "site")
    before = run_json(capsys, "show", "--rules", "site")["digest"]
    write_rule(tmp_path / "site", detection=changed(EVENT, group_by=[]), tests=None)

    assert run_json(capsys, "show", "--rules", "site")["digest"] != before
