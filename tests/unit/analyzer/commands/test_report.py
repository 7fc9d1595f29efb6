"""`proctor report` on a store with ended runs and an active one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Done

from analyzer.cli import app
from analyzer.model import RunState
from tests.ended_runs import fill
from tests.pdf_pages import pdf_text
from tests.report_pages import read_page

pytestmark = pytest.mark.allow_blocking  # imports inside commands, which own their process
RUNNER = CliRunner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    runs = [
        ("0-old", (), "i1", RunState.COMPLETED),
        ("0-canceled", (), "", RunState.CANCELED),
        ("0-new", (), "i2", RunState.COMPLETED_WITH_ERRORS),
        ("0-active", (), "", RunState.COLLECTING_DATA),
    ]
    return fill(tmp_path / "data", runs).path


def report(data: Path, *arguments: object) -> Done:
    return RUNNER.invoke(app, ["report", *map(str, arguments), "--data", str(data)])


def test_page_says_what_is_new_since_the_run_before(data: Path) -> None:
    done = report(data, "0-new")
    assert (done.exit_code, done.stderr) == (0, "")
    text = read_page(done.stdout_bytes).text
    assert "Full report" in text
    assert "Compared with run 0-old of 1970-01-01 00:00:00 UTC" in text
    assert "Since the run before Severity New Resolved HHigh 0 0 MMedium 1 1" in text
    first = read_page(report(data, "0-old").stdout_bytes).text
    assert "Since the run before" not in first


def test_sheets_of_findings_alone_in_a_file(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "report.pdf"
    done = report(data, "0-new", "--kind", "findings", "--format", "pdf", "--out", place)
    assert (done.exit_code, done.stdout) == (0, "")
    text = pdf_text(place.read_bytes())
    assert "Findings report" in text
    assert "Rules that were checked" not in text


def test_same_in_json(data: Path) -> None:
    page = json.loads(report(data, "0-new", "--format", "json").stdout)
    assert page["changes"][1] == {"severity": "Medium", "new": 1, "resolved": 1}
    assert page["problems"][0]["rule_id"] == "insecure-client-login"


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        ("0-active", "/run/0-active; stop them, or wait"),
        ("0-canceled", "run 0-canceled is CANCELED and has no result to report"),
        ("0-x", "'0-x' is no run"),
    ],
)
def test_run_without_a_report_is_named(data: Path, run: str, problem: str) -> None:
    done = report(data, run)
    assert (done.exit_code, done.stdout) == (2, "")
    assert problem in done.stderr.replace("\n", " ")
