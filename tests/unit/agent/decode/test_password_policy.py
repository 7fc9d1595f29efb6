"""What PAM and login.defs ask of new passwords."""

from __future__ import annotations

import pytest

from agent.decode.password_policy import (
    MAX_FILES,
    effective_policy,
    read_login_defs,
    read_module_files,
    read_password_stack,
)


def policy_of(line: str, *, quality: str = "", history: str = "") -> dict[str, int | str]:
    stack = read_password_stack("passwd", {"passwd": f"password {line}"}.get)
    return effective_policy(
        stack, quality=read_module_files([quality]), history=read_module_files([history])
    )


@pytest.mark.parametrize(
    ("line", "quality", "length", "classes"),
    [
        ("requisite pam_pwquality.so", "", 8, 0),
        ("requisite pam_pwquality.so", "minlen = 14\nminclass=4", 14, 4),
        ("requisite pam_pwquality.so", "minlen 14 # by us", 14, 0),
        ("requisite pam_pwquality.so minlen=9 minlen=15", "minlen = 14", 15, 0),
        ("requisite pam_pwquality.so", "minlen = 14\ndcredit = 2\nucredit = 1", 11, 0),
        ("requisite pam_pwquality.so", "minlen = 14\ndcredit = -1\nucredit = -1", 14, 2),
        ("requisite pam_pwquality.so", "minlen = 3", 6, 0),
        ("requisite pam_pwquality.so", "minlen = 14\nenforcing = 0\nminclass = 4", 0, 0),
        ("requisite pam_cracklib.so minlen=14", "minlen = 20", 10, 0),
        ("sufficient pam_unix.so", "minlen = 14", 6, 0),
        ("[success=1 default=ignore] pam_unix.so minlen=12", "", 12, 0),
    ],
)
def test_length_and_kinds_that_a_password_needs(
    line: str, quality: str, length: int, classes: int
) -> None:
    found = policy_of(line, quality=quality)
    assert (found["required_length"], found["required_classes"]) == (length, classes)


def test_module_with_lengths_of_its_own_is_not_judged() -> None:
    assert policy_of("requisite pam_passwdqc.so min=disabled,24,11,8,7") == {
        "quality_module": "pam_passwdqc",
        "remember": 0,
    }


@pytest.mark.parametrize(
    ("line", "history", "remember"),
    [
        ("required pam_pwhistory.so", "", 10),
        ("required pam_pwhistory.so", "remember = 24", 24),
        ("required pam_pwhistory.so remember=5", "remember = 24", 5),
        ("sufficient pam_unix.so remember=3", "remember = 24", 3),
    ],
)
def test_passwords_that_may_not_come_again(line: str, history: str, remember: int) -> None:
    assert policy_of(line, history=history)["remember"] == remember


def test_files_that_include_each_other_end() -> None:
    files = {"a": "@include b\n@include b\npassword required pam_unix.so", "b": "@include a"}
    assert [line.module for line in read_password_stack("a", files.get)] == ["pam_unix"]


@pytest.mark.parametrize("value", ["+-3", "9" * 5_000, "\u0663", ""])
def test_what_is_no_number_is_left_out(value: str) -> None:
    assert policy_of(f"requisite pam_pwquality.so minlen={value}")["required_length"] == 8
    assert read_module_files([f"minlen = {value}"]) == {}


def test_last_line_of_login_defs_counts() -> None:
    text = 'PASS_MAX_DAYS 90\n# PASS_MAX_DAYS 1\nPASS_MAX_DAYS "99999"\nUMASK 022\nPASS_MIN_LEN\n'
    assert read_login_defs(text) == {"pass_max_days": "99999"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("PASS_MAX_DAYS 90", "90"),
        ("PASS_MAX_DAYS 0x5A", "90"),
        ("PASS_MAX_DAYS 0132", "90"),
        ("PASS_MAX_DAYS -1", "-1"),
        ("PASS_MAX_DAYS 0", "0"),
        ("pass_max_days 90", None),
        ("Pass_Max_Days 90", None),
    ],
)
def test_login_defs_is_read_as_its_programs_do(line: str, value: str | None) -> None:
    assert read_login_defs(line).get("pass_max_days") == value


def test_controls_have_no_case() -> None:
    files = {"passwd": "password Include common", "common": "PASSWORD required pam_unix.so"}
    assert [line.module for line in read_password_stack("passwd", files.get)] == ["pam_unix"]


def test_files_that_include_many_are_bounded() -> None:
    asked: list[str] = []

    def read(name: str) -> str:
        asked.append(name)
        return "".join(f"@include {name}{number}\n" for number in range(9))

    assert read_password_stack("passwd", read) == []
    assert len(asked) == MAX_FILES
