"""What ``proctor-agent status`` prints."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.cli import DONE, UNREACHED, USAGE, main
from agent.commands.status import describe
from agent.status import (
    Heartbeat,
    LocalStatus,
    SensorStatus,
    SpoolStatus,
    process_start,
    write_status,
)

MINUTE = 60_000_000
NOW = 100_000 * MINUTE


def _status(**changes: Any) -> LocalStatus:  # noqa: ANN401
    heartbeat = Heartbeat(
        agent_id="h-1",
        boot_id="ab",
        state="online",
        now_us=NOW,
        hostname="host",
        version="1.2.3",
        tags={"b": "2", "a": "1"},
        sensors=(
            SensorStatus(name="sock_diag", kinds=("connection",), state="on"),
            SensorStatus(
                name="probe", kinds=("tls_session",), state="off", reason="why", remedy="do"
            ),
        ),
        spool=SpoolStatus(bytes=99, batches=2, oldest_age_s=61.5, dropped_events={"spool_full": 7}),
    )
    status = LocalStatus(
        heartbeat=heartbeat,
        pid=os.getpid(),
        pid_started=process_start(os.getpid()) or 0,
        started_us=NOW - 61 * MINUTE,
        endpoint="mqtt://b:1883",
        is_connected=True,
        runs=("r1", "r2"),
        kinds=("connection", "listener"),
        until_us=NOW + 2 * MINUTE,
        last_ack_us=NOW - 3_000_000,
    )
    return msgspec.structs.replace(status, **changes)


def _lines(**changes: Any) -> dict[str, str]:  # noqa: ANN401
    return dict(describe(_status(**changes), now_us=NOW))


def test_first_lines_are_version_endpoint_and_collecting() -> None:
    lines = _lines()
    assert list(lines)[:3] == ["Agent version", "Endpoint", "Collecting"]
    assert lines["Agent version"] == "1.2.3"
    assert lines["Endpoint"] == "mqtt://b:1883 (connected)"
    assert lines["Collecting"] == "yes, connection, listener for r1, r2, 2 min 0 s left"


def test_other_lines_tell_host_sensors_and_transport() -> None:
    lines = _lines()
    assert lines["Tags"] == "a=1, b=2"
    assert lines["Process"] == f"{os.getpid()}, for 1 h 1 min"
    assert lines["Sensor sock_diag"] == "on"
    assert lines["Sensor probe"] == "off (why; do)"
    assert lines["Spool"] == "2 batches waiting, 99 bytes, the oldest 1 min 1 s old"
    assert lines["Last ack"] == "3 s ago"
    assert lines["Events lost"] == "7 spool_full"
    assert "Troubles" not in lines


def test_agent_without_run_or_broker_says_so() -> None:
    lines = _lines(
        runs=(), until_us=None, is_connected=False, problem="connection refused", last_ack_us=None
    )
    assert lines["Collecting"] == "no; no run wants it"
    assert lines["Endpoint"] == "mqtt://b:1883 (not connected: connection refused)"
    assert lines["Last ack"] == "none yet"


def test_troubles_are_counted() -> None:
    lines = _lines(rejected_batches=1, refused_messages=2, failures=3, started_us=0)
    assert lines["Troubles"] == "1 batches rejected, 2 messages refused, 3 collector failures"
    assert lines["Process"].endswith("for 69 d 10 h")


def test_running_agent_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(tmp_path, _status())
    assert main(["status", "--state-dir", str(tmp_path)]) == DONE
    assert capsys.readouterr().out.startswith("Agent version   : 1.2.3\nEndpoint        : mqtt")


def test_json_holds_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(tmp_path, _status())
    assert main(["status", "--json", "--state-dir", str(tmp_path)]) == DONE
    plain = json.loads(capsys.readouterr().out)
    assert plain["running"] is True
    assert plain["heartbeat"]["agent_id"] == "h-1"


def test_agent_that_has_ended_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(tmp_path, _status(pid_started=1))
    assert main(["status", "--json", "--state-dir", str(tmp_path)]) == UNREACHED
    captured = capsys.readouterr()
    assert json.loads(captured.out)["running"] is False
    assert f"no agent runs; process {os.getpid()} has ended" in captured.err


def test_agent_that_never_ran_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--state-dir", str(tmp_path)]) == UNREACHED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no agent has run with the state folder" in captured.err


def test_status_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "status.json").mkdir()
    assert main(["status", "--state-dir", str(tmp_path)]) == USAGE
    assert "cannot be read" in capsys.readouterr().err
