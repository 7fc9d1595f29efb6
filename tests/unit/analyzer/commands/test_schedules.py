"""What ``proctor schedules`` says and keeps, on a store of its own."""

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
from analyzer.model import ScheduleOutcome, ScheduleResult, Target, Template
from analyzer.store import open_store

pytestmark = pytest.mark.allow_blocking  # imports inside commands, which own their process
TEMPLATE = Template(
    arn="arn:t/template/1", target_arn="arn:t", name="weekly", duration_s=180, packages=("p",)
)
RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    folder = DataFolder(tmp_path)
    folder.create()
    monkeypatch.setenv("PROCTOR_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    asyncio.run(_fill(folder))
    return folder


async def _fill(folder: DataFolder) -> None:
    store = await open_store(folder.store)
    async with store.writing() as rows:
        await rows.targets.add(Target("arn:t", "web", None, 5, 5))
        await rows.templates.add(TEMPLATE)
    await store.close()


async def _add_outcome(folder: DataFolder) -> None:
    from dataclasses import replace

    store = await open_store(folder.store)
    async with store.writing() as rows:
        (kept,) = await rows.schedules.all()
        outcome = ScheduleOutcome(
            1_795_510_800_000_000, 0, ScheduleResult.SKIPPED, "arn:r", "a run was active"
        )
        await rows.schedules.put(replace(kept, outcomes=(outcome,)))
    await store.close()


def run(command: str) -> tuple[int, str, str]:
    done = RUNNER.invoke(app, ["schedules", *shlex.split(command)])
    return done.exit_code, done.stdout, done.stderr


def created() -> None:
    code, _, errors = run("create nightly --template weekly --at 'cron(0 2 * * ? *)'")
    assert (code, errors) == (0, "")


def test_created_schedule_is_listed(data: DataFolder) -> None:
    created()
    asyncio.run(_add_outcome(data))
    code, out, _ = run("list")
    assert code == 0
    assert re.search(r"nightly +cron\(0 2 \* \* \? \*\) +UTC +20..-..-.. 02:00:00 ", out)
    assert "skipped 2026-11-24 09:00:00: a run was active" in out
    assert "arn:t/template/1" in out


def test_list_as_json_has_every_field(data: DataFolder) -> None:
    created()
    asyncio.run(_add_outcome(data))
    (listed,) = json.loads(run("list -o json")[1])
    assert listed["name"] == "nightly"
    assert listed["template_arn"] == TEMPLATE.arn
    assert listed["outcomes"][0]["result"] == "SKIPPED"
    assert {"expression", "zone", "created_us", "next_us", "is_paused"} < listed.keys()


def test_no_schedules_yet() -> None:
    assert run("list") == (0, "No schedules yet.\n", "")
    assert run("list -o json") == (0, "[]\n", "")


def test_paused_schedule_is_resumed_and_deleted() -> None:
    created()
    assert run("pause nightly") == (0, "", "Paused nightly.\n")
    assert " paused " in run("list")[1]
    assert run("resume nightly")[0] == 0
    assert " paused " not in run("list")[1]
    assert run("delete nightly") == (0, "", "Deleted nightly.\n")
    assert run("list")[1] == "No schedules yet.\n"


def test_next_times_of_a_schedule_and_of_an_expression() -> None:
    created()
    code, out, _ = run("next nightly --count 3")
    assert code == 0
    assert [line[-8:] for line in out.splitlines()] == ["02:00:00"] * 3
    _, out, _ = run("next 'cron(0 8 ? * MON-FRI *)' --zone Asia/Kathmandu --count 2")
    assert [line[-8:] for line in out.splitlines()] == ["02:15:00"] * 2
    _, out, _ = run("next 'rate(1 hour)' --count 2 -o json")
    first_us, second_us = json.loads(out)
    assert second_us - first_us == 3_600_000_000


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("create x --template absent --at 'rate(1 hour)'", "no assessment template is named"),
        ("create x --template arn:absent --at 'rate(1 hour)'", "arn:absent"),
        ("create x --template weekly --at hourly", "is no schedule"),
        ("create x --template weekly --at 'rate(1 day)' --zone Mars/One", "no time zone"),
        ("pause absent", "there is no schedule absent"),
        ("resume absent", "there is no schedule absent"),
        ("delete absent", "there is no schedule absent"),
        ("next absent", "there is no schedule absent"),
        ("next 'cron(x)'", "not 6"),
    ],
)
def test_mistakes_are_named(command: str, why: str) -> None:
    code, out, errors = run(command)
    assert (code, out) == (2, "")
    assert why in errors


def test_folder_without_a_server_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_DATA", str(tmp_path / "elsewhere"))
    code, _, errors = run("list")
    assert code == 4
    assert "elsewhere" in errors


async def _add_namesake(folder: DataFolder) -> None:
    store = await open_store(folder.store)
    async with store.writing() as rows:
        await rows.targets.add(Target("arn:u", "db", None, 5, 5))
        await rows.templates.add(
            Template(
                arn="arn:u/template/1",
                target_arn="arn:u",
                name="weekly",
                duration_s=180,
                packages=("p",),
            )
        )
    await store.close()


def test_ambiguous_template_is_asked_for_by_arn(data: DataFolder) -> None:
    asyncio.run(_add_namesake(data))
    code, _, errors = run("create x --template weekly --at 'rate(1 hour)'")
    assert code == 2
    assert "arn:t/template/1" in errors.replace("\n", "")
    assert "arn:u/template/1" in errors.replace("\n", "")
    assert run("create x --template arn:u/template/1 --at 'rate(1 hour)'")[0] == 0
