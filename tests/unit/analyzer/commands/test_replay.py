import asyncio
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from analyzer.cli import app
from analyzer.data_folder import DataFolder
from analyzer.ingest.segments import SegmentLog, SegmentRecord
from analyzer.model import RunState
from analyzer.runs.verdict import Finished
from rules.loader import load_packages
from tests.live_runs import DrivenRun, add_run, store_verdict
from tests.recordings import GOLDEN, RULES, TWO_HOSTS, compressed
from tests.telemetry_batches import batch, connection

RUNNER = CliRunner()
pytestmark = pytest.mark.allow_blocking  # a command line may wait for its disk
S = 1_000_000
FROM_US, TO_US = 1_000 * S, 1_060 * S


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PROCTOR_DATA"):
        monkeypatch.delenv(name, raising=False)


def replay(*arguments: object) -> Result:
    return RUNNER.invoke(app, ["replay", *map(str, arguments)])


def replay_file(*arguments: object, events: Path = TWO_HOSTS) -> Result:
    return replay(events, "--rules", RULES, *arguments)


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


@pytest.fixture
def stored(data: DataFolder) -> Finished:
    """A run of two hosts with one Telnet connection, whose second batch came too late."""
    run = DrivenRun(
        data.runs / "0-driven",
        load_packages(RULES),
        interval=(FROM_US, TO_US),
        agents=("i-1", "i-2"),
        roll_bytes=1_000,
    )
    run.give(batch(1, (FROM_US, FROM_US + 20 * S), [connection(FROM_US + 5 * S)]))
    run.give(batch(3, (FROM_US + 40 * S, TO_US), agent_id="i-1"))
    run.live.seal()
    run.clock.time_us = TO_US + 61 * S
    run.live.seal()
    run.give(batch(2, (FROM_US + 20 * S, FROM_US + 40 * S), [connection(FROM_US + 30 * S)]))
    return store_verdict(data, run)


def changed_rules(folder: Path, old: str, new: str) -> Path:
    shutil.copytree(RULES, folder)
    for path in folder.glob("*.yaml"):
        path.write_text(path.read_text().replace(old, new))
    return folder


def test_recording_without_anything_to_compare_with_is_judged_as_by_check() -> None:
    done = replay_file("-o", "json")
    assert (done.exit_code, done.stdout_bytes) == (0, GOLDEN.read_bytes())
    assert done.stderr.startswith(f"Judged {TWO_HOSTS}: 2 hosts, ")
    assert "3 findings: 1 High" in replay_file().stdout
    assert len(replay_file("-o", "ndjson").stdout.splitlines()) == 3


def test_several_recordings_are_one_run(tmp_path: Path) -> None:
    lines = TWO_HOSTS.read_bytes().splitlines(keepends=True)
    parts = [tmp_path / "one.ndjson.zst", tmp_path / "two.ndjson.gz"]
    own = [line for line in lines if b'"i-web"' in line]
    parts[0].write_bytes(compressed("zst", b"".join(own)))
    parts[1].write_bytes(compressed("gz", b"".join(line for line in lines if line not in own)))
    done = replay(*parts, "--rules", RULES, "-o", "json")
    assert done.stdout_bytes == GOLDEN.read_bytes()
    twice = replay(parts[0], parts[0], "--rules", RULES)
    assert twice.exit_code == 2
    assert "has a header of i-web, and so has a recording named before it" in twice.stderr


def test_recording_is_compared_with_an_earlier_result(tmp_path: Path) -> None:
    rules = changed_rules(tmp_path / "rules", "severity: Medium", "severity: High")
    done = replay(TWO_HOSTS, "--rules", rules, "--against", GOLDEN, "--fail-on-difference")
    assert done.exit_code == 1
    assert "3 findings before, 3 now: 0 new, 0 gone, 3 same." in done.stdout
    assert "other severity" in done.stdout
    assert "Failed: findings differ (--fail-on-difference)." in done.stderr
    same = replay_file("--against", GOLDEN, "--fail-on-difference")
    assert same.exit_code == 0


def test_run_is_judged_again_to_the_byte(stored: Finished, data: DataFolder) -> None:
    assert stored.judged.late
    assert len(stored.judged.segments) > 1
    for name in ("0-driven", "0-dr", "last"):
        done = replay(name, "--data", data.path, "-o", "json", "--fail-on-difference")
        assert (done.exit_code, done.stdout_bytes) == (0, stored.document)
        assert "The result is the same as the run's own, to the byte." in done.stderr


def test_run_without_differences_is_shown_as_the_same(stored: Finished, data: DataFolder) -> None:
    done = replay("last", "--data", data.path)
    assert "1 finding before, 1 now: 0 new, 0 gone, 1 same." in done.stdout
    assert "Rules that differ" not in done.stdout
    assert stored.run.name in done.stderr


def test_run_is_judged_by_other_rules(stored: Finished, data: DataFolder, tmp_path: Path) -> None:
    rules = changed_rules(tmp_path / "other" / "rules", "remote_port: 23}", "remote_port: 24}")
    done = replay("last", "--data", data.path, "--rules", rules, "-o", "diff")
    difference = json.loads(done.stdout)
    assert [item["state"] for item in difference["findings"]] == ["gone"]
    assert difference["before"]["run"] == stored.run.id
    assert difference["after"]["run"] != stored.run.id
    assert [item["rule"] for item in difference["rules"]] == ["telnet-client"]
    table = replay("last", "--data", data.path, "--rules", rules)
    assert "1 finding before, 0 now: 0 new, 1 gone, 0 same.\n  gone: 1 Medium\n" in table.stdout
    assert "Rules that differ: telnet-client (changed, still version" in table.stdout


def test_folder_of_a_run_is_enough(stored: Finished, data: DataFolder) -> None:
    folder = data.runs / "0-driven"
    for path in (folder, folder / "segments"):
        done = replay(path, "-o", "json")
        assert (done.exit_code, done.stdout_bytes) == (0, stored.document)


def test_segments_alone_are_judged_over_all_that_they_cover(
    stored: Finished, data: DataFolder
) -> None:
    (data.runs / "0-driven" / "judged.json").unlink()
    done = replay(data.runs / "0-driven", "--rules", RULES, "-o", "json")
    result = json.loads(done.stdout)
    assert (result["run"]["from_us"], result["run"]["to_us"]) == (FROM_US, TO_US)
    assert [host["events"] for host in result["hosts"]] == [2]  # nothing is late
    assert [host.agent_id for host in stored.findings] == ["i-1"]


def test_damaged_log_names_the_file_and_is_judged_on_request(
    stored: Finished, data: DataFolder
) -> None:
    path = data.runs / "0-driven" / "segments" / "00000001.seg"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    done = replay("last", "--data", data.path)
    assert done.exit_code == 2
    assert "00000001.seg holds 0 of 1 batches" in done.stderr
    assert "--unverified judges what is there" in done.stderr
    forced = replay("last", "--data", data.path, "--unverified", "-o", "json")
    assert forced.exit_code == 0
    assert json.loads(forced.stdout)["run"]["id"] != stored.run.id
    path.unlink()
    assert "00000001.seg is missing" in replay("last", "--data", data.path).stderr


def test_exchanged_telemetry_is_noticed(stored: Finished, data: DataFolder) -> None:
    segments = data.runs / "0-driven" / "segments"
    shutil.copy(segments / "00000002.seg", segments / "00000001.seg")
    done = replay("last", "--data", data.path)
    assert done.exit_code == 2
    assert "00000001.seg holds other batches than were judged" in done.stderr
    assert stored.run.id not in done.stdout


def test_changed_copy_of_the_rules_is_refused(stored: Finished, data: DataFolder) -> None:
    for path in (data.runs / "0-driven" / "rules").rglob("telnet-client.yaml"):
        path.write_text(path.read_text().replace("Medium", "High"))
    done = replay("last", "--data", data.path)
    assert done.exit_code == 2
    assert "holds other rules than the run was judged by" in done.stderr
    assert stored.document


def test_run_that_kept_no_rules_is_judged_by_the_shipped_ones(
    stored: Finished, data: DataFolder
) -> None:
    shutil.rmtree(data.runs / "0-driven" / "rules")
    done = replay("last", "--data", data.path)
    assert done.exit_code == 0
    assert "The rules that judged this run were not kept" in done.stderr
    assert stored.document


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["no-such-run", "--data", "{data}"], "is no run"),
        ([TWO_HOSTS, "no-such-file"], "no-such-file is no file; several sources must all be"),
        ([TWO_HOSTS, "-o", "diff"], "-o diff: there is no earlier result to compare with"),
        ([TWO_HOSTS, "--fail-on-difference"], "--fail-on-difference: there is no earlier result"),
        ([TWO_HOSTS, "--against", "none.json"], "cannot read --against none.json"),
        ([TWO_HOSTS, "--against", TWO_HOSTS], "is no result of format 1"),
        ([TWO_HOSTS, "--out", "none/file"], "cannot write the result"),
        ([TWO_HOSTS, "--rules", "none"], "there is no such file or folder"),
        (["{data}"], "holds no segments"),
    ],
)
def test_wrong_usage_is_explained(
    stored: Finished, data: DataFolder, arguments: list[object], text: str
) -> None:
    assert stored.document
    done = replay(*(str(item).format(data=data.path) for item in arguments))
    assert done.exit_code == 2
    assert text in done.stderr


def test_no_data_folder_is_no_server(tmp_path: Path) -> None:
    done = replay("last", "--data", tmp_path / "nowhere")
    assert done.exit_code == 4


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    assert replay_file("--against", GOLDEN, "--out", tmp_path / "table.txt").stdout == ""
    assert "3 same" in (tmp_path / "table.txt").read_text()
    done = replay_file("-o", "json", "--out", "/dev/full")
    assert done.exit_code == 2
    assert "cannot write /dev/full" in done.stderr


def test_counts_that_differ_fail(tmp_path: Path) -> None:
    expected, report = tmp_path / "expected.yaml", tmp_path / "report.xml"
    expected.write_text("rules: {telnet-client: 1, unused-port: 0}\n")
    done = replay_file("--expect", expected, "--junit", report)
    assert done.exit_code == 1
    assert "rule unused-port: expected 0 findings, found 1\n" in done.stderr
    assert "Failed: 1 of 2 expectations (--expect)." in done.stderr
    assert b'failures="1"' in report.read_bytes()
    expected.write_text("total: 3\n")
    done = replay_file("--expect", expected)
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (0, "As expected: 1 expectation.")


@pytest.mark.parametrize(
    ("text", "arguments", "problem"),
    [
        ("total: 3", ["--junit", "x.xml"], "--junit needs --expect"),
        ("total: 3", ["--expect", "none.yaml"], "cannot read --expect none.yaml"),
        ("rules: {telnet: 1}", ["--expect", "{file}"], ":1: there is no rule telnet; did you mean"),
    ],
)
def test_wrong_expectations_are_explained(
    tmp_path: Path, text: str, arguments: list[str], problem: str
) -> None:
    path = tmp_path / "expected.yaml"
    path.write_text(text)
    done = replay_file(*(item.format(file=path) for item in arguments))
    assert done.exit_code == 2
    assert problem in done.stderr


def test_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[4] / "analyzer" / "README.md").read_text()
    section = text.split("## Judge again\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL)
    (command,) = [
        line
        for language, block in blocks
        if not language
        for line in block.splitlines()
        if "--expect" in line
    ]
    (expected,) = [block for language, block in blocks if language == "yaml"]
    shutil.copy(TWO_HOSTS, tmp_path / "two-hosts.ndjson")
    shutil.copytree(RULES, tmp_path / "my-rules")
    (tmp_path / "expected.yaml").write_text(expected)
    done = RUNNER.invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.stderr
    assert b'tests="7" failures="0"' in (tmp_path / "replay.xml").read_bytes()


def test_run_that_was_cancelled_is_judged_by_the_shipped_rules(data: DataFolder) -> None:
    run = DrivenRun(
        data.runs / "0-driven", [], interval=(FROM_US, TO_US), agents=("i-1",), roll_bytes=1_000
    )
    run.give(batch(1, (FROM_US, TO_US), [connection(FROM_US + 5 * S)]))
    asyncio.run(add_run(data, replace(run.run, state=RunState.CANCELED)))
    done = replay("last", "--data", data.path)
    assert done.exit_code == 0
    assert "insecure-client-login" in done.stdout
    assert done.stderr.startswith("Judged last again: 1 host, ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"state": RunState.COLLECTING_DATA}, "is still COLLECTING_DATA"),
        ({"state": RunState.FAILED, "to_us": None}, "has no telemetry in"),
        ({"state": RunState.CANCELED}, "has no telemetry in"),
    ],
)
def test_run_that_cannot_be_judged_says_why(
    data: DataFolder, changes: dict[str, Any], text: str
) -> None:
    run = DrivenRun(data.runs / "0-driven", [], interval=(FROM_US, TO_US), agents=("i-1",))
    asyncio.run(add_run(data, replace(run.run, **changes)))
    done = replay("last", "--data", data.path)
    assert done.exit_code == 2
    assert text in done.stderr


def test_run_without_a_record_of_its_verdict_takes_all_that_came(
    stored: Finished, data: DataFolder
) -> None:
    (data.runs / "0-driven" / "judged.json").unlink()
    done = replay("last", "--data", data.path, "--rules", RULES)
    assert done.exit_code == 0
    assert "What this run was judged from was not kept" in done.stderr
    assert "other count" in done.stdout
    assert stored.judged.late


def test_batch_that_cannot_be_read_names_the_log(stored: Finished, data: DataFolder) -> None:
    folder = data.runs / "0-driven"
    log = SegmentLog(folder / "segments")
    log.append_many(
        [
            SegmentRecord(
                agent_id="i-1",
                boot_id="b0",
                stream="main",
                sequence=9,
                received_us=0,
                payload=b"no batch",
            )
        ]
    )
    log.close()
    assert replay("last", "--data", data.path).exit_code == 0  # it came after the verdict
    (folder / "judged.json").unlink()
    for source in ("last", folder):
        done = replay(source, "--data", data.path, "--rules", RULES, "--workers", 2)
        assert done.exit_code == 2
        assert "cannot read the telemetry log" in done.stderr
    assert stored.document
