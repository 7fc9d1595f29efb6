"""``proctor rules explain`` on the data folder of a server, and on a recording."""

import asyncio
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import zstandard
from typer.testing import CliRunner, Result

from analyzer import commands
from analyzer.cli import app
from analyzer.data_folder import DataFolder
from analyzer.model import Run
from analyzer.results.document import Result as RunResult
from analyzer.results.document import from_json
from analyzer.store import open_store
from rules.loader import load_packages
from tests.recorded_runs import START_US, S, make_run
from tests.recordings import RULES, TWO_HOSTS

pytestmark = pytest.mark.allow_blocking
RUNNER = CliRunner()
README = Path(commands.__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    return DataFolder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(folder: DataFolder) -> Run:
    return make_run(folder)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PROCTOR_DATA"):
        monkeypatch.delenv(name, raising=False)


def explain(*arguments: object) -> Result:
    return RUNNER.invoke(app, ["rules", "explain", *map(str, arguments)])


def of_run(folder: DataFolder, rule: str, host: str) -> dict[str, Any]:
    done = explain(rule, "--run", "last", "--host", host, "--data", folder.path, "-o", "json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


async def result_of(folder: DataFolder, run: Run) -> RunResult:
    store = await open_store(folder.store)
    stored = await store.result(run.id)
    await store.close()
    assert stored is not None
    return from_json(stored)


def test_every_outcome_of_the_run_is_explained_as_it_was_judged(
    folder: DataFolder, run: Run
) -> None:
    result = asyncio.run(result_of(folder, run))
    assert result.findings
    groups = {
        (item.rule, item.agent_id): [(item.group, item.count)]
        for item in result.findings  # one of each rule and host
    }
    for outcome in result.outcomes:
        document = of_run(folder, outcome.rule, outcome.agent_id)
        judged = {name: getattr(outcome, name) for name in ("outcome", "reason", "coverage")}
        assert {name: document[name] for name in judged} == judged
        found = [(item["group"], item["count"]) for item in document["findings"]]
        assert found == groups.get((outcome.rule, outcome.agent_id), [])


def test_finding_has_its_witnesses(folder: DataFolder, run: Run) -> None:
    document = of_run(folder, "insecure-client-login", "web-1")
    assert document["run"]["name"] == run.id
    (finding,) = document["findings"]
    assert finding["window"] == {
        "from_us": START_US + 2 * S,
        "to_us": START_US + 4_500_000,
        "coverage": 1,
    }
    (witness,) = finding["witnesses"]
    assert witness["ts_us"] == START_US + 2 * S


@pytest.mark.usefixtures("run")
def test_rule_that_stayed_silent_says_how_much_it_missed(folder: DataFolder) -> None:
    document = of_run(folder, "imdsv1-burst", "i-1")
    assert document["outcome"] == "clean"
    assert document["nearest"]["measured"] == 5
    assert document["nearest"]["key"]["process_name"] == "app"
    text = explain("imdsv1-burst", "--run", "last", "--host", "web-1", "--data", folder.path).stdout
    assert "Host web-1 (i-1), 0-" in text
    assert "process_name 'app': 5 rows, 15 below the limit of 20" in text
    assert "imds_request: the whole run" in text


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imdsv1-brust", "--run", "last", "--host", "i-1"], "did you mean 'imdsv1-burst'?"),
        (["no-such-rule", "--run", "last", "--host", "i-1"], ", aws-endpoint-without-tls, "),
        (["imdsv1-burst", "--run", "0-none", "--host", "i-1"], "there are: 0-"),
        (["imdsv1-burst", "--run", "last", "--host", "i-3"], "there are: i-1 (web-1), i-2 (db-1)"),
        (["imdsv1-burst", "--run", "last"], "name one host of run 0-"),
        (["imdsv1-burst", "--host", "i-1"], "name either a run with --run"),
        (["imdsv1-burst", "--run", "last", "--events", "x"], "name either a run with --run"),
        (["imdsv1-burst", "--events", "none.ndjson"], "No such file or directory; check --events"),
    ],
)
def test_wrong_usage_names_what_there_is(
    folder: DataFolder, arguments: list[str], message: str
) -> None:
    done = explain(*arguments, "--data", folder.path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())


def test_log_that_was_deleted(folder: DataFolder, run: Run, tmp_path: Path) -> None:
    shutil.copytree(folder.path, tmp_path / "data")
    copy = DataFolder(tmp_path / "data")
    shutil.rmtree(copy.runs)
    done = explain("imdsv1-burst", "--run", run.id, "--host", "i-1", "--data", copy.path)
    assert done.exit_code == 2
    assert f"only its result is left: 'proctor runs show {run.id}'" in done.stderr


def test_folder_without_a_server(tmp_path: Path) -> None:
    done = explain("imdsv1-burst", "--run", "last", "--data", tmp_path)
    assert done.exit_code == 4
    assert "no server runs on" in done.stderr


def test_recording_is_explained_too() -> None:
    done = explain("metadata-burst", "--events", TWO_HOSTS, "--host", "i-db", "--rules", RULES)
    assert done.exit_code == 0
    assert "First window above" in done.stdout
    assert "3 witnesses:" in done.stdout


def test_recording_with_errors_lists_them(tmp_path: Path) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_text('{"telemetry":"nothing"}\n')
    done = explain("imdsv1-burst", "--events", path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{path}:1: unknown kind" in done.stderr


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("place", ["help", "README"])
def test_examples_work(
    place: str, folder: DataFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROCTOR_DATA", str(folder.path))
    lines = TWO_HOSTS.read_bytes().splitlines(keepends=True)
    web = [line for line in lines if b"i-web" in line]
    Path("web.ndjson.zst").write_bytes(zstandard.compress(b"".join(web)))
    text = explain("--help").stdout if place == "help" else README.read_text()
    examples = re.findall(r"^ *proctor rules explain (.*?)(?:  .*)?$", text, re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        given = example.replace("--data /var/lib/proctor", f"--data {folder.path}")
        done = explain(*shlex.split(given))
        assert done.exit_code == 0, (example, done.output)


def test_every_shipped_rule_can_be_explained_on_a_recording() -> None:
    for package in load_packages():
        for rule in package.rules:
            done = explain(rule.id, "--events", TWO_HOSTS, "--host", "i-web")
            assert done.exit_code == 0, done.output
            assert "Outcome: " in done.stdout
