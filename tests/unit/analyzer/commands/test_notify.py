"""What ``proctor notify`` says and keeps, on a store of its own."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analyzer.cli import app
from analyzer.data_folder import DataFolder
from analyzer.store import open_store

pytestmark = pytest.mark.allow_blocking  # imports inside commands, which own their process
RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    folder = DataFolder(tmp_path)
    folder.create()
    monkeypatch.setenv("PROCTOR_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    asyncio.run(_begin(folder))
    (tmp_path / "soc.key").write_text("k" * 24)
    (tmp_path / "chat.url").write_text("json://user:password@chat.test/")
    return folder


async def _begin(folder: DataFolder) -> None:
    await (await open_store(folder.store)).close()


def run(command: str) -> tuple[int, str, str]:
    done = RUNNER.invoke(app, ["notify", *shlex.split(command)])
    return done.exit_code, done.stdout, done.stderr


def test_added_routes_are_listed_without_secrets(tmp_path: Path) -> None:
    code, _, errors = run("add soc --webhook https://soc.test/hook --secret-file soc.key")
    assert code == 0
    assert "proctor notify test soc" in errors
    assert run("add chat --apprise-file chat.url --min-severity high")[0] == 0
    assert run("add bus --mqtt soc/findings --event run-started --event finding-reported")[0] == 0
    _, out, _ = run("list")
    assert re.search(r"^bus +mqtt +soc/findings +run-started, finding-reported", out, re.MULTILINE)
    assert re.search(r"^chat +apprise .*run-completed, finding-reported +High", out, re.MULTILINE)
    assert re.search(r"^soc +webhook +https://soc.test/hook", out, re.MULTILINE)
    assert "password" not in out
    assert "kkkk" not in out
    routes = {route["name"]: route for route in json.loads(run("list -o json")[1])}
    assert routes["soc"]["options"] == {
        "channel": "webhook",
        "secret_file": str(tmp_path / "soc.key"),
    }


def test_removed_route_is_gone() -> None:
    run("add bus --mqtt soc")
    assert run("remove bus") == (0, "", "Removed bus.\n")
    assert run("list") == (0, "No routes yet.\n", "")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("add soc", "give one of"),
        ("add soc --mqtt a --webhook http://b.test", "give one of"),
        ("add soc --mqtt a --secret-file soc.key", "goes with --webhook"),
        ("add soc --mqtt 'a/#'", "no topic"),
        ("add soc --webhook https://soc.test --secret-file absent", "cannot read"),
        ("add chat --apprise json://user:password@chat.test/", "--apprise-file"),
        ("add 'a b' --mqtt a", "is no name"),
        ("remove absent", "there is no route absent"),
    ],
)
def test_mistakes_are_named(command: str, why: str) -> None:
    code, out, errors = run(command)
    assert (code, out) == (2, "")
    assert why in errors


def test_taken_name_is_refused() -> None:
    run("add bus --mqtt soc")
    code, _, errors = run("add bus --mqtt soc")
    assert code == 2
    assert "already" in errors


def test_trial_needs_a_server() -> None:
    run("add bus --mqtt soc")
    code, _, errors = run("test bus")
    assert code == 4
    assert "no server runs" in errors
