"""Packages as dpkg's status file lists them; rpm's headers are tested with a recorded host."""

from __future__ import annotations

import pytest

from agent.decode.packages import Package, read_dpkg_status


@pytest.mark.parametrize(
    ("status", "count"),
    [
        ("install ok installed", 1),
        ("hold ok installed", 1),
        ("install ok triggers-pending", 1),
        ("deinstall ok config-files", 0),
        ("install ok half-installed", 0),
        ("purge ok not-installed", 0),
    ],
)
def test_state_decides_whether_a_package_is_installed(status: str, count: int) -> None:
    lines = ["Package: a", f"Status: {status}", "Version: 1", "Description: x", " Version: 2", ""]
    assert list(read_dpkg_status(lines)) == [Package("a", "1", None)] * count


def test_package_without_a_status_is_installed() -> None:
    lines = ["Package: a", "Version: 1", "", "", "Package: b", "Version: 2", "Architecture: all"]
    assert list(read_dpkg_status(lines)) == [Package("a", "1", None), Package("b", "2", "all")]
