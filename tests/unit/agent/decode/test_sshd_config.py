"""Which settings of an SSH server's files count."""

from __future__ import annotations

import pytest

from agent.decode.sshd_config import read_sshd_config


def settings_of(text: str, **included: str) -> dict[tuple[str, str], str]:
    found = read_sshd_config(
        text,
        path="main",
        read=lambda pattern: [(name, content) for name, content in included.items()
                              if pattern in (name, "*")],
    )  # fmt: skip
    return {(item.condition, item.name): item.value for item in found if item.path is not None}


def test_first_value_counts() -> None:
    text = "PermitRootLogin no\npermitrootlogin yes\n"
    assert settings_of(text) == {("always", "permitrootlogin"): "no"}


def test_first_matching_block_counts() -> None:
    blocks = (("a", "no"), ("b", "yes"), ("a", "yes"))
    text = "".join(f"Match User {user}\nX11Forwarding {value}\n" for user, value in blocks)
    assert settings_of(text) == {
        ("Match User a", "x11forwarding"): "no",
        ("Match User b", "x11forwarding"): "yes",
    }


def test_block_of_all_hides_the_blocks_behind_it() -> None:
    text = "PermitRootLogin yes\nMatch all\nPermitRootLogin no\nMatch User a\nPermitRootLogin yes\n"
    assert settings_of(text) == {("always", "permitrootlogin"): "no"}


def test_block_before_the_one_of_all_still_counts() -> None:
    text = "Match User a\nPermitRootLogin yes\nMatch all\nPermitRootLogin no\n"
    assert settings_of(text) == {
        ("Match User a", "permitrootlogin"): "yes",
        ("always", "permitrootlogin"): "no",
    }


def test_included_file_stands_inside_its_block_and_ends_its_own() -> None:
    found = settings_of(
        "Match User a\nInclude one\nMaxAuthTries 2\n",
        one="PermitRootLogin yes\nMatch Address 10.0.0.1\nX11Forwarding yes\n",
    )
    assert found == {
        ("Match User a", "permitrootlogin"): "yes",
        ("Match User a and Address 10.0.0.1", "x11forwarding"): "yes",
        ("Match User a", "maxauthtries"): "2",
    }


def test_include_takes_several_patterns_and_loops_end() -> None:
    found = settings_of(
        "Include one two\n", one="Include one\nPermitRootLogin no\n", two="Protocol 2"
    )
    assert found == {("always", "permitrootlogin"): "no", ("always", "protocol"): "2"}


def test_comment_begins_a_word() -> None:
    text = "PermitRootLogin no # never\n #X11Forwarding yes\nMatch User a#b\nMaxAuthTries 3#\n"
    assert settings_of(text) == {
        ("always", "permitrootlogin"): "no",
        ("Match User a#b", "maxauthtries"): "3#",
    }


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("90", "90"), ("2m", "120"), ("1H30m", "5400"), ("1w", "604800"), ("5x", "5x"), ("", None)],
)
def test_times_are_told_in_seconds(value: str, seconds: str | None) -> None:
    assert settings_of(f"LoginGraceTime {value}\n").get(("always", "logingracetime")) == seconds


def test_no_other_mark_ends_a_line() -> None:
    assert settings_of("#\u2028PermitRootLogin yes\n# \x0bProtocol 1\n") == {}
