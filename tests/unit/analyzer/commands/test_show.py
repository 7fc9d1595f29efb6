"""`proctor runs show` in every format, and `proctor replay` in those of reports."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Done

from analyzer.cli import app
from analyzer.data_folder import DataFolder
from analyzer.model import Run, RunState
from analyzer.reports import document
from analyzer.results.document import to_json
from analyzer.store import open_store
from rules.loader import load_packages
from tests.recordings import RULES, TWO_HOSTS, judged, lines_of, packages
from tests.report_results import one_finding

pytestmark = pytest.mark.allow_blocking  # imports inside commands, which own their process
ENDED = Run("0-ended", "t", 10, (), 0, RunState.COMPLETED, from_us=0, to_us=10, agents=("h-db",))
EMPTY = Run("1-empty", "t", 10, (), 0, RunState.CANCELED)
FORMATS = ("csv", "sarif", "ocsf", "asff", "html")
RUNNER = CliRunner()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the data folder of a server with a run that has a result, and one without."""
    folder = DataFolder(tmp_path / "data")
    folder.create()

    async def fill() -> None:
        store = await open_store(folder.store)
        await store.add_run(ENDED)
        await store.finish_run(ENDED, to_json(one_finding()), [])
        await store.add_run(EMPTY)
        await store.close()

    asyncio.run(fill())
    return folder.path


def show(data: Path, *arguments: object) -> Done:
    return RUNNER.invoke(app, ["runs", "show", *map(str, arguments), "--data", str(data)])


@pytest.mark.parametrize("form", ["json", "ndjson", *FORMATS])
def test_result_in_every_format(data: Path, form: str) -> None:
    done = show(data, "0-ended", "-o", form)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout_bytes == document(form, one_finding(), load_packages())  # type: ignore[arg-type]


def test_file_holds_the_same(data: Path, tmp_path: Path) -> None:
    done = show(data, "0-ended", "-o", "csv", "--out", tmp_path / "findings.csv")
    assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / "findings.csv").read_bytes() == document("csv", one_finding(), [])


def test_place_that_cannot_be_written_is_named(data: Path, tmp_path: Path) -> None:
    missing = show(data, "0-ended", "-o", "csv", "--out", tmp_path / "none" / "findings.csv")
    assert missing.exit_code == 2
    assert "does not exist; create it" in missing.stderr
    full = show(data, "0-ended", "-o", "csv", "--out", "/dev/full")
    assert full.exit_code == 2
    assert "cannot write /dev/full: No space left on device" in full.stderr


def test_run_without_a_result_is_no_document(data: Path) -> None:
    done = show(data, "1-empty", "-o", "sarif")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "run 1-empty is CANCELED and has no result to write as sarif" in done.stderr
    assert show(data, "1-empty").exit_code == 0


def test_account_is_that_of_the_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCOUNT_ID", "111122223333")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    finding = json.loads(show(data, "0-ended", "-o", "asff").stdout)["Findings"][0]
    assert finding["AwsAccountId"] == "111122223333"


@pytest.mark.parametrize("form", FORMATS)
def test_replay_writes_them_too(form: str) -> None:
    arguments = ["replay", str(TWO_HOSTS), "--rules", str(RULES), "-o", form]
    done = RUNNER.invoke(app, arguments)
    wanted = document(form, judged(lines_of()), packages())  # type: ignore[arg-type]
    assert done.exit_code == 0
    assert done.stdout_bytes == wanted
