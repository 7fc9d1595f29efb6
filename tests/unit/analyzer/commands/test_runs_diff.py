"""`proctor runs diff` on a store with runs of one package and of another."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Done

from analyzer.cli import app
from analyzer.model import RunState
from tests.ended_runs import fill

pytestmark = pytest.mark.allow_blocking  # imports inside commands, which own their process
RUNNER = CliRunner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    runs = [
        ("0-a", (), "i1", RunState.COMPLETED),
        ("0-b", ("other",), "i9", RunState.COMPLETED),
        ("0-c", (), "", RunState.CANCELED),
        ("0-d", (), "i2", RunState.COMPLETED),
    ]
    return fill(tmp_path / "data", runs).path


def diff(data: Path, *arguments: object) -> Done:
    return RUNNER.invoke(app, ["runs", "diff", *map(str, arguments), "--data", str(data)])


def test_last_run_against_the_one_before_it_of_the_same_packages(data: Path) -> None:
    done = diff(data)
    assert done.exit_code == 0
    assert "Before: 0-a, 1970-01-01 00:00:00 UTC, 1 host, nightly" in done.stderr
    assert "Now:    0-d" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["State", "Severity", "Rule", "Host", "Finding"]
    assert lines[1].split()[:4] == ["new", "Medium", "insecure-client-login", "db.test"]
    assert lines[2].startswith("resolved")
    assert "1 finding before, 1 now: 1 new, 0 persisting, 1 resolved." in lines
    assert "  resolved: 1 Medium" in lines


def test_two_runs_as_documents_and_in_a_file(data: Path, tmp_path: Path) -> None:
    done = diff(data, "0-d", "0-b", "-o", "ndjson")
    assert [json.loads(line)["issue_id"] for line in done.stdout.splitlines()] == ["i2", "i9"]
    place = tmp_path / "diff.json"
    assert diff(data, "0-a", "0-d", "-o", "json", "--out", place).stdout == ""
    assert json.loads(place.read_bytes())["before"]["run"] == "0-a"
    diff(data, "0-a", "0-a", "--persisting", "--out", place)
    assert "\npersisting  Medium" in place.read_text()


def test_run_that_cannot_be_compared_is_named(data: Path) -> None:
    nothing = diff(data, "0-c", "0-d")
    assert nothing.exit_code == 2
    assert "run 0-c is CANCELED and has no result to compare" in nothing.stderr
    first = diff(data, "0-b")
    assert first.exit_code == 2
    assert "there is no ended run of the same packages before 0-b" in first.stderr
    full = diff(data, "--out", "/dev/full")
    assert "cannot write /dev/full" in full.stderr
