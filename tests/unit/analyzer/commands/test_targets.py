"""`proctor targets`, `templates`, `runs agents|exclusions|delete`, `findings attr` on a store."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Done

from analyzer.assessments import Limits, note_limits
from analyzer.cli import app
from analyzer.data_folder import DataFolder
from analyzer.model import Agent, HealthCode, Interface, Run, RunAgent, RunState
from analyzer.results.document import to_json
from analyzer.results.exclusions import numbered, of_hosts
from analyzer.results.finding_rows import finding_rows
from analyzer.store import open_store
from rules.loader import load_packages
from tests.ended_runs import of_run

pytestmark = pytest.mark.allow_blocking  # imports inside commands, which own their process
RUNNER = CliRunner()
AGENT = Agent(
    agent_id="i-1",
    boot_id="b",
    hostname="web-1",
    version="0.1",
    tags={"app": "shop"},
    is_online=True,
    is_collecting=False,
    last_seen_us=0,
    os_name="Debian",
    interfaces=(Interface("eth0", ("fd00::5", "10.0.0.5")), Interface("eth1", ("fd00::6",))),
)


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """Return the data folder of a server that knows one agent."""
    folder = DataFolder(tmp_path / "data")
    folder.create()

    async def work() -> None:
        store = await open_store(folder.store)
        await store.put_agent(AGENT)
        await store.close()

    asyncio.run(work())
    return folder


def proctor(data: DataFolder, *arguments: object) -> Done:
    return RUNNER.invoke(app, [*map(str, arguments), "--data", str(data.path)])


def told(data: DataFolder, *arguments: object) -> tuple[int, str, str]:
    done = proctor(data, *arguments)
    return done.exit_code, done.stdout, " ".join(done.stderr.split())


def templates_of(data: DataFolder) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(
        proctor(data, "templates", "list", "-o", "json").stdout
    )
    return found


def ended_run(data: DataFolder, template_arn: str) -> Run:
    """Put an ended run of one finding into the store, with its folders."""
    target_arn = template_arn.partition("/template/")[0]
    arn = f"{template_arn}/run/0-rrrrrrrr"
    run = Run(
        "0-rrrrrrrr",
        "t",
        180,
        (),
        5,
        RunState.COMPLETED,
        from_us=0,
        to_us=10,
        arn=arn,
        template_arn=template_arn,
        target_arn=target_arn,
    )
    hosts = [
        RunAgent(run_arn=arn, agent_id="i-1", hostname="web-1", code=HealthCode.IDLE),
        RunAgent(run_arn=arn, agent_id="i-2", code=HealthCode.UNKNOWN, is_assessed=False),
    ]

    async def work() -> None:
        store = await open_store(data.store)
        await store.add_run(run)
        result = of_run(run.id, "i1")
        await store.finish_run(
            run,
            to_json(result),
            finding_rows(run, result, load_packages(), {}, at_us=7),
            agents=hosts,
            exclusions=numbered(run, of_hosts(hosts)),
        )
        await store.close()

    asyncio.run(work())
    for folder in (data.runs / run.id, data.reports / run.id):
        folder.mkdir(parents=True)
    return run


def test_target_is_made_changed_previewed_and_deleted(data: DataFolder) -> None:
    assert told(data, "targets", "list")[1].startswith("No targets yet")
    code, arn, _ = told(data, "targets", "create", "shop", "--tag", "app=shop", "--tag", "x")
    assert code == 0
    lines = told(data, "targets", "list")[1].splitlines()
    assert lines[0].split() == ["Target", "Hosts", "Made", "ARN"]
    assert "any of app=shop, x" in lines[1]
    shown = told(data, "targets", "preview", "shop")[1].splitlines()[1].split()
    assert shown[:6] == ["web-1", "i-1", "UNKNOWN", "10.0.0.5,", "fd00::6", "Debian"]
    assert json.loads(told(data, "targets", "preview", arn.strip(), "-o", "json")[1])[0][
        "agent_id"
    ] == ("i-1")
    assert "bakery" in told(data, "targets", "update", "shop", "--name", "bakery", "--tag", "y")[1]
    assert told(data, "targets", "preview", "bakery")[1] == "No known host is selected.\n"
    assert "every host" in told(data, "targets", "update", "bakery", "--all-hosts")[1]
    kept = json.loads(told(data, "targets", "show", "bakery", "-o", "json")[1])
    assert kept[0]["resource_group_arn"] is None
    code, _, err = told(data, "targets", "delete", "bakery")
    assert code == 2
    assert "Delete target bakery, its 0 templates and 0 runs" in err
    assert "Say --yes where nobody can be asked." in err
    assert told(data, "targets", "delete", "bakery", "--yes")[0] == 0
    assert "there are none" in told(data, "targets", "show", "bakery")[2]


def test_template_is_made_cloned_and_deleted_with_its_runs(data: DataFolder) -> None:
    told(data, "targets", "create", "all")
    code, arn, err = told(
        data, "templates", "create", "weekly", "--target", "all", "--attribute", "team=blue"
    )
    assert (code, err) == (0, "")
    assert told(data, "templates", "clone", "weekly", "short", "--for", "5m")[0] == 0
    first, second = templates_of(data)
    assert (first["name"], first["duration_s"], second["duration_s"]) == ("short", 300, 3600)
    assert first["user_attributes"] == [{"key": "team", "value": "blue"}]
    assert len(str(first["packages"]).split(",")) == len(load_packages())
    one = told(data, "templates", "clone", "short", "one", "--packages", "secure-channels")
    assert one[0] == 0
    assert told(data, "templates", "show", "one")[1].splitlines()[1].split()[:4] == [
        "one",
        "all",
        "5",
        "minutes",
    ]
    assert "Agent not found" in told(data, "templates", "exclusions", "weekly")[1]
    ended_run(data, arn.strip())
    assert told(data, "templates", "delete", "weekly", "--yes")[0] == 0
    assert not (data.runs / "0-rrrrrrrr").exists()
    assert not (data.reports / "0-rrrrrrrr").exists()
    assert {row["name"] for row in templates_of(data)} == {"short", "one"}


def test_run_of_a_template_wants_a_server(data: DataFolder) -> None:
    told(data, "targets", "create", "all")
    told(data, "templates", "create", "weekly", "--target", "all")
    code, _, err = told(data, "templates", "run", "weekly")
    assert code == 4
    assert "no server runs on" in err


def test_run_is_read_and_deleted_with_its_folders(data: DataFolder) -> None:
    told(data, "targets", "create", "all")
    arn = told(data, "templates", "create", "weekly", "--target", "all")[1].strip()
    run = ended_run(data, arn)
    lines = told(data, "runs", "agents", run.id)[1].splitlines()
    assert lines[0].split() == ["Host", "Agent", "Health", "Assessed", "Messages", "Details"]
    assert "HEALTHY (IDLE)" in lines[1]
    assert len(json.loads(told(data, "runs", "agents", run.id, "-o", "json")[1])) == 2
    shown = told(data, "runs", "exclusions", run.id)[1]
    assert "Agent not found: i-2" in shown
    assert shown.endswith("1 exclusion.\n")
    assert json.loads(told(data, "runs", "exclusions", run.id, "-o", "json")[1])[0]["scopes"] == [
        {"key": "INSTANCE_ID", "value": "i-2"}
    ]
    assert "its telemetry, 1 finding and reports?" in told(data, "runs", "delete", run.id)[2]
    assert told(data, "runs", "delete", run.id, "--yes")[0] == 0
    assert not (data.runs / run.id).exists()
    assert "there is no run yet" in told(data, "runs", "show", run.id)[2]


def test_attributes_of_a_finding_are_set_and_taken_away(data: DataFolder) -> None:
    told(data, "targets", "create", "all")
    arn = told(data, "templates", "create", "weekly", "--target", "all")[1].strip()
    ended_run(data, arn)
    code, out, _ = told(data, "findings", "attr", "i1", "team=blue", "ticket=OPS-17")
    assert (code, out) == (0, "team=blue\nticket=OPS-17\n")
    assert "Attribute team = blue" in told(data, "findings", "show", "i1")[1]
    removed = told(data, "findings", "attr", "i1", "team=red", "--remove", "ticket")
    assert removed == (0, "team=red\n", "")
    many = [f"k{number}=v" for number in range(10)]
    assert "LIMIT_EXCEEDED" in told(data, "findings", "attr", "i1", *many)[2]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["targets", "update", "all", "--tag", "a", "--all-hosts"], "exclude each other"),
        (["targets", "show", "none"], "no assessment target is named 'none'; there are: all"),
        (["targets", "create", "all"], "all"),
        (["templates", "show", "none"], "no assessment template is named 'none'"),
        (["templates", "create", "t", "--target", "all", "--for", "soon"], "--for soon"),
        (["templates", "create", "t", "--target", "all", "--for", "1m"], "180"),
        (["templates", "create", "t", "--target", "all", "--packages", "x"], "x"),
    ],
)
def test_wrong_usage_says_what_is_wrong(
    data: DataFolder, arguments: list[str], problem: str
) -> None:
    told(data, "targets", "create", "all")
    code, out, err = told(data, *arguments)
    assert (code, out) == (2, "")
    assert problem in err


def test_name_of_several_templates_wants_an_arn(data: DataFolder) -> None:
    for target in ("a", "b"):
        told(data, "targets", "create", target)
        told(data, "templates", "create", "same", "--target", target)
    assert (
        "several assessment templates are named 'same'"
        in (told(data, "templates", "show", "same")[2])
    )
    assert len(told(data, "templates", "list", "--target", "a")[1].splitlines()) == 2


def test_limits_are_those_that_the_server_was_given(data: DataFolder) -> None:
    async def note() -> None:
        store = await open_store(data.store)
        await note_limits(store, Limits(targets=1, templates=1, runs=0))
        await store.close()

    asyncio.run(note())
    assert told(data, "targets", "create", "shop")[0] == 0
    code, _, problem = told(data, "targets", "create", "office")
    assert (code, "at most 1 assessment targets" in problem) == (2, True)
    assert told(data, "templates", "create", "weekly", "--target", "shop")[0] == 0
    code, _, problem = told(data, "templates", "create", "daily", "--target", "shop")
    assert (code, "at most 1 assessment templates" in problem) == (2, True)
    with data.locked():
        code, _, problem = told(data, "runs", "start")
    assert (code, "at most 0 assessment runs" in problem) == (2, True)
