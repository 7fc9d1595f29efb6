import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.cli import main as agent
from analyzer.cli import app
from tests.client_hellos import client_record
from tests.packets import Talk, pcap
from tests.recordings import GOLDEN, RULES, TWO_HOSTS, compressed
from tests.tls_messages import message, record, server_hello

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def check(*arguments: object) -> Result:
    return RUNNER.invoke(app, ["check", *map(str, arguments)])


def check_events(*arguments: object, events: Path = TWO_HOSTS) -> Result:
    return check("--events", events, "--rules", RULES, *arguments)


def test_recording_is_judged() -> None:
    done = check_events("-o", "json")
    assert done.exit_code == 0
    assert done.stdout_bytes == GOLDEN.read_bytes()
    assert done.stderr == (
        f"Judged {TWO_HOSTS}: 2 hosts, 4 of 6 checks (rule and host) evaluated, 11 events, "
        "coverage 83.3 %.\n"
    )


@pytest.mark.parametrize("kind", ["zst", "gz"])
def test_compressed_recordings_are_judged_the_same(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"events.ndjson.{kind}"
    path.write_bytes(compressed(kind, TWO_HOSTS.read_bytes()))
    assert check_events("-o", "json", events=path).stdout_bytes == GOLDEN.read_bytes()


def test_formats() -> None:
    assert "3 findings: 1 High" in check_events().stdout
    assert "imds_version=1" in check_events("--evidence").stdout
    lines = check_events("-o", "ndjson").stdout.splitlines()
    assert [json.loads(line)["rule"] for line in lines] == [
        "metadata-burst",
        "telnet-client",
        "unused-port",
    ]


def test_result_goes_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    done = check_events("-o", "json", "--out", path)
    assert (done.exit_code, done.stdout) == (0, "")
    assert path.read_bytes() == GOLDEN.read_bytes()


def test_missing_folder_of_the_file_is_known_before(tmp_path: Path) -> None:
    done = check("--for", "1h", "--out", tmp_path / "none" / "result.json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "does not exist; create it" in done.stderr


def test_full_disk_loses_no_result() -> None:
    done = check_events("-o", "json", "--out", "/dev/full")
    assert done.exit_code == 2
    assert done.stdout_bytes == GOLDEN.read_bytes()
    assert "cannot write /dev/full: No space left on device; printed instead" in done.stderr


def test_gates_decide_the_exit_code() -> None:
    failed = check_events("--fail-on", "HIGH")
    assert failed.exit_code == 1
    assert "Failed: 1 finding at or above High (--fail-on high).\nExit code 1." in failed.stderr
    inconclusive = check_events("--min-coverage", "80")
    assert inconclusive.exit_code == 3
    assert "Inconclusive: coverage of i-web is 66.6 %" in inconclusive.stderr
    both = check_events("--fail-on", "low", "--min-coverage", "80")
    assert both.exit_code == 1
    assert "Inconclusive" in both.stderr
    assert check_events("--fail-on", "high", "--packages", "rules").exit_code == 1


def test_bad_lines_are_listed_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_bytes(TWO_HOSTS.read_bytes() + b'{"telemetry":"nothing"}\n\n{\n')
    done = check_events(events=path)
    number = TWO_HOSTS.read_bytes().count(b"\n")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f'\n{path}:{number + 1}: unknown kind "nothing"' in f"\n{done.stderr}"
    assert f"{path}:{number + 3}: not JSON" in done.stderr


def test_bad_lines_may_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "bad.ndjson"
    path.write_bytes(TWO_HOSTS.read_bytes() + b'{"telemetry":"nothing"}\n')
    done = check_events("--lenient", "-o", "json", events=path)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["summary"]["skipped"] == 1
    assert f"Skipped 1 bad line of {path}." in done.stderr


def test_recording_that_cannot_be_read(tmp_path: Path) -> None:
    done = check_events(events=tmp_path / "none.ndjson")
    assert done.exit_code == 2
    assert "none.ndjson: No such file or directory; check --events" in done.stderr


def test_empty_recording_says_so(tmp_path: Path) -> None:
    path = tmp_path / "empty.ndjson"
    path.touch()
    done = check_events(events=path)
    assert done.exit_code == 0
    assert done.stdout.startswith("No findings. 0 hosts")


def test_broken_rule_files_are_all_listed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("format: 1\nid: 7\n")
    done = check("--events", TWO_HOSTS, "--rules", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{tmp_path / 'one.yaml'}:2:" in done.stderr
    assert f"{tmp_path / 'two.yaml'}:2:" in done.stderr


def test_packages_are_chosen_by_id() -> None:
    done = check(
        "--events", TWO_HOSTS, "--packages", "secure-channels, aws-endpoints", "-o", "json"
    )
    rules = {outcome["rule"] for outcome in json.loads(done.stdout)["outcomes"]}
    assert "imdsv1-burst" in rules
    assert "unused-listening-tcp-port" not in rules


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--packages", "nothing"], "--packages: no rules package nothing; there are: aws-"),
        (["--packages", ","], "--packages: no rules package named; there are: aws-"),
        (["--for", "soon"], "--for soon: is no duration"),
        (["--for", "500ms"], "--for 500ms: an assessment takes at least 1s"),
        (["--for", "5s", "--events", "x"], "--for and --events exclude each other"),
        (["--pcap", "y", "--events", "x"], "--events and --pcap exclude each other"),
        (["--pcap", "y", "--lenient"], "--lenient needs --events"),
        (["--local", "10.0.0.1"], "--local needs --pcap"),
        (["--pcap", "none.pcap"], "cannot read none.pcap: No such file"),
        (["--pcap", "none.pcap", "--local", "10"], "--local: '10' does not appear to be"),
        (["--lenient"], "--lenient needs --events"),
        (["--min-coverage", "101"], "'--min-coverage'"),
        (["--fail-on", "worst"], "worst"),
        (["-o", "docx"], "docx"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments: list[str], message: str) -> None:
    done = check(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def traffic(folder: Path, *arguments: object, cut: int = 0) -> Result:
    hello, answer = client_record(), record(message(2, server_hello(0x0301)) + message(14, b""))
    talk = Talk().open().say(hello).answer(answer).close()
    path = folder / "web.pcap"
    content = pcap(talk.packets)
    path.write_bytes(content[: len(content) - cut])
    return check("--pcap", path, "-o", "json", "--packages", "secure-channels", *arguments)


def test_recorded_traffic_is_judged(tmp_path: Path) -> None:
    done = traffic(tmp_path)

    assert done.exit_code == 0
    assert "Read 8 packets" in done.stderr
    result = json.loads(done.stdout)
    assert [each["rule"] for each in result["findings"]] == ["outdated-tls-version"]
    reasons = {each["rule"]: each["reason"] for each in result["outcomes"]}
    assert "direction is outbound" in reasons["expired-certificate-served"]


def test_recorded_traffic_of_a_stated_host_is_seen_from_its_side(tmp_path: Path) -> None:
    done = traffic(tmp_path, "--local", "10.0.0.2")

    result = json.loads(done.stdout)
    assert result["findings"] == []
    assert {each["outcome"] for each in result["outcomes"]} == {"clean"}


def test_recorded_traffic_is_judged_as_what_read_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    direct = json.loads(traffic(tmp_path).stdout)
    out = tmp_path / "web.ndjson"
    assert agent(["read", str(tmp_path / "web.pcap"), "--out", str(out)]) == 0
    capsys.readouterr()

    done = check("--events", out, "-o", "json", "--packages", "secure-channels")
    assert json.loads(done.stdout) == direct


def test_cut_traffic_is_judged_as_far_as_it_goes(tmp_path: Path) -> None:
    done = traffic(tmp_path, cut=3)

    assert done.exit_code == 0
    assert "the file ends inside a packet; what was read is judged" in done.stderr


def test_traffic_with_gaps_is_degraded(tmp_path: Path) -> None:
    talk = Talk().open().say(client_record())
    path = tmp_path / "web.pcap"
    path.write_bytes(pcap([*talk.packets[:3], (5, talk.packets[3][1][:60])]))

    assert "Not decoded, so coverage is degraded: gap 1." in check("--pcap", path).stderr


def test_file_that_is_no_capture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(b"GIF89a")
    done = check("--pcap", path)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "neither pcap nor pcapng" in done.stderr


def test_more_than_a_hundred_findings_of_a_rule(tmp_path: Path) -> None:
    path = tmp_path / "many.ndjson"
    row = {"telemetry": "listener", "agent_id": "i-1", "protocol": "tcp", "ts_us": 1}
    lines = [json.dumps(row | {"local_port": port}) for port in range(1, 104)]
    path.write_text("\n".join(lines))
    capped = json.loads(check_events("-o", "json", events=path).stdout)
    assert len(capped["findings"]) == 101
    whole = json.loads(check_events("-o", "json", "--all-groups", events=path).stdout)
    assert len(whole["findings"]) == 103


def test_help_shows_examples_and_formats() -> None:
    done = check("--help")
    assert done.exit_code == 0
    for text in ("--for TIME", "--fail-on", "--evidence", "Examples:", "capture --for 60s", "130"):
        assert text in done.stdout
    assert "table|json|ndjson|csv|sarif|ocsf|asff|html" in done.stdout
