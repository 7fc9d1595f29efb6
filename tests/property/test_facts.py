"""Readers of files that a host's users may write: whatever stands there, nothing breaks."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from agent.decode.elf import ReadAt, read_hardening
from agent.decode.packages import read_dpkg_status, read_rpm_header
from agent.decode.password_policy import (
    effective_policy,
    read_login_defs,
    read_module_files,
    read_password_stack,
)
from agent.decode.sshd_config import read_sshd_config

WORDS = st.sampled_from(
    [
        "Match", "all", "User", "Include", "PermitRootLogin", "yes", "no", "=", '"', "#", "*",
        "password", "include", "@include", "substack", "[success=1", "]", "pam_unix.so",
        "pam_pwquality.so", "minlen=9", "remember=+3", "dcredit=-1", "minclass", "Package:", "x",
        "Version:", "Status:", "installed", "PASS_MAX_DAYS", "99999", "\\", "\x00", "é",
    ]
)  # fmt: skip
TEXTS = st.lists(st.lists(WORDS, max_size=6).map(" ".join), max_size=8).map("\n".join)


@given(TEXTS | st.text(), st.lists(TEXTS, max_size=2))
def test_sshd_config_never_breaks_and_ends(text: str, included: list[str]) -> None:
    files = [(f"/etc/ssh/{number}", content) for number, content in enumerate(included)]
    found = read_sshd_config(text, path="/etc/ssh/sshd_config", read=lambda _: files)
    keys = [(item.condition, item.name) for item in found]
    assert len(keys) == len(set(keys))
    assert {item.name for item in found if item.condition == "always"} >= {"permitrootlogin"}


@given(TEXTS | st.text(), TEXTS)
def test_password_policy_never_breaks_and_ends(text: str, quality: str) -> None:
    stack = read_password_stack("service", lambda _: text)
    policy = effective_policy(
        stack, quality=read_module_files([quality]), history=read_module_files([text])
    )
    assert {"quality_module", "required_classes", "remember"} <= policy.keys()
    read_login_defs(text)


@given(TEXTS | st.text())
def test_dpkg_status_never_breaks(text: str) -> None:
    assert all(package.name and package.version for package in read_dpkg_status(text.split("\n")))


def reader_of(data: bytes) -> ReadAt:
    return lambda offset, size: data[offset : offset + size]


@given(st.binary(max_size=300))
def test_elf_and_rpm_headers_never_break(data: bytes) -> None:
    read_hardening(reader_of(b"\x7fELF\x02\x01\x01" + bytes(9) + data))
    read_hardening(reader_of(data))
    read_rpm_header(data)
    read_rpm_header(struct.pack(">II", 2, len(data)) + data)
