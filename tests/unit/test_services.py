"""The search for service programs, and what CI makes of a test that was skipped."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests import conftest
from tests.services import find_program, missing_reason


def _program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_program_beside_path_is_found(tmp_path: Path) -> None:
    assert find_program("some-broker", search=[tmp_path]) is None
    expected = _program(tmp_path, "some-broker")
    assert find_program("some-broker", search=[tmp_path]) == expected


def test_program_on_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        _program(folder, "some-broker")
    monkeypatch.setenv("PATH", str(first))
    assert find_program("some-broker", search=[second]) == first / "some-broker"


def test_missing_reason_names_the_remedy() -> None:
    assert missing_reason("postgres").endswith("make services installs postgresql")
    assert missing_reason("nats-server").endswith("make setup installs it")


def _outcome_of_skip(marks: set[str]) -> pytest.TestReport:
    """Send a skipped report through the hook as pytest does."""
    item = SimpleNamespace(get_closest_marker=lambda name: name if name in marks else None)
    skipped = pytest.TestReport(
        nodeid="t",
        location=("t.py", 1, "t"),
        keywords={},
        outcome="skipped",
        longrepr=("t.py", 1, "Skipped: no broker"),
        when="call",
    )
    hook = conftest.pytest_runtest_makereport(cast("pytest.Item", item))
    next(hook)
    with pytest.raises(StopIteration) as stopped:
        hook.send(skipped)
    return cast("pytest.TestReport", stopped.value.value)


def test_skipped_integration_test_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "IN_CI", True)
    report = _outcome_of_skip({"integration"})
    assert report.failed
    assert "no broker" in str(report.longrepr)


def test_skipped_test_stays_skipped_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "IN_CI", True)
    assert _outcome_of_skip(set()).skipped
    monkeypatch.setattr(conftest, "IN_CI", False)
    assert _outcome_of_skip({"e2e"}).skipped
