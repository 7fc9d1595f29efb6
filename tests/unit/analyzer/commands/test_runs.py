"""What the commands on ended runs make of a store and a log; the examples of README.md run."""

import asyncio
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analyzer.cli import app
from analyzer.data_folder import DataFolder
from analyzer.ingest.segments import segments_of
from analyzer.model import Run, RunState
from analyzer.store import open_store
from tests.duck import connection as duck
from tests.recordings import RULES, TWO_HOSTS
from tests.rule_files import write_rule
from tests.run_logs import write_log
from tests.telemetry_batches import SECOND_US as S
from tests.telemetry_batches import batch, connection

pytestmark = pytest.mark.allow_blocking  # imports inside commands, which own their process
RUN = Run("0-abc", "t", 10, (), 0, RunState.COMPLETED, from_us=0, to_us=10 * S, agents=("i-1",))
README = Path(__file__).parents[4] / "README.md"
RUNNER = CliRunner()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    """Return the data folder of a server with one run, and work in its parent folder."""
    monkeypatch.chdir(tmp_path)
    folder = DataFolder(tmp_path / "DIR")
    folder.create()
    asyncio.run(_store(folder))
    sent = batch(1, (0, 10 * S), [connection(2 * S), connection(4 * S), connection(6 * S)])
    write_log(segments_of(folder.runs, RUN.id), [(10 * S, sent)])
    return folder


async def _store(folder: DataFolder, known: Run = RUN) -> None:
    store = await open_store(folder.store)
    await store.add_run(known)
    await store.close()


def run(command: str) -> tuple[int, str, str]:
    done = RUNNER.invoke(app, shlex.split(command))
    return done.exit_code, done.stdout, done.stderr


def test_exported_run_answers_a_rule(data: DataFolder) -> None:
    """The commands of README.md, one after the other."""
    assert data.store.exists()
    text = README.read_text(encoding="utf-8")
    export, explain = re.findall(
        r"^\.venv/bin/proctor (runs export .*|rules explain .*--sql.*)$", text, re.MULTILINE
    )
    explain, _, reader = explain.partition(" | ")

    code, out, err = run(export)
    assert code == 0
    assert out.splitlines() == ["Wrote 3 events to telemetry.", "  connection.parquet  3"]
    assert "'proctor rules explain ID --sql --parquet telemetry'" in err

    code, statement, _ = run(explain)
    assert code == 0
    assert reader == "duckdb"
    assert duck().execute(statement).fetchall() == [
        ("i-1", "curl", "10.0.9.8", 23, 3, 2 * S, 6 * S, 2 * S, 6 * S, None)
    ]


def test_statement_without_a_folder_names_views() -> None:
    code, statement, _ = run("rules explain imdsv1-burst --sql")

    assert code == 0
    assert "\n  FROM imds_request\n" in statement


@pytest.mark.parametrize(
    "options", ["--sql --run last", "--sql --events x", "--sql --host h", "--parquet telemetry"]
)
def test_sql_speaks_of_no_single_host(options: str) -> None:
    code, out, err = run(f"rules explain imdsv1-burst {options}")

    assert (code, out) == (2, "")
    assert "--sql prints the rule for every host" in err


def test_export_of_a_run_without_a_log_says_so(data: DataFolder) -> None:
    (segment,) = segments_of(data.runs, RUN.id).iterdir()
    segment.unlink()
    segment.parent.rmdir()

    code, _, err = run("runs export last --out telemetry --data DIR")

    assert code == 2
    assert "log was deleted" in err.replace("\n", " ")


def test_second_opinion_agrees_with_the_engine(data: DataFolder) -> None:
    code, out, _ = run("runs second-opinion last --data DIR")

    assert data.store.exists()
    assert code == 0
    assert out.startswith("Engine and SQL agree: ")


def test_second_opinion_needs_the_packages_of_the_run(data: DataFolder) -> None:
    write_rule(data.path.parent / "mine")
    asyncio.run(_store(data, replace(RUN, id="1-abc", packages=("theirs",))))

    code, _, err = run("runs second-opinion 1-abc --data DIR --rules mine")

    assert code == 2
    assert "unknown rules package theirs" in err


def test_second_opinion_on_a_recording() -> None:
    code, out, _ = run(f"runs second-opinion --events {TWO_HOSTS} --rules {RULES}")

    assert code == 0
    assert out.startswith("Engine and SQL agree: ")


def test_second_opinion_names_what_it_cannot_read(tmp_path: Path) -> None:
    missing = run(f"runs second-opinion --events {tmp_path / 'none'}")
    malformed = tmp_path / "malformed.ndjson"
    malformed.write_text("{")

    assert missing[0] == 2
    assert "check --events" in missing[2].replace("\n", " ")
    code, _, err = run(f"runs second-opinion --events {malformed}")
    assert code == 2
    assert "malformed.ndjson:1" in err


def test_packages_of_a_run_are_named_between_commas(data: DataFolder) -> None:
    with data.locked():
        code, out, _ = run("runs start --packages runtime-behavior,,secure-channels, --data DIR")
        assert code == 0
        assert run("runs start --packages , --data DIR")[0] == 2
    (started,) = asyncio.run(_runs(data, out.strip()))
    assert started.packages == ("runtime-behavior", "secure-channels")


async def _runs(data: DataFolder, run_id: str) -> list[Run]:
    store = await open_store(data.store)
    try:
        return [each for each in await store.runs() if each.id == run_id]
    finally:
        await store.close()
