"""`proctor check` as people and pipelines run it: processes, signals, a terminal."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.recordings import GOLDEN, RULES, SCHEMA, TWO_HOSTS
from tests.terminals import plain

ROOT = Path(__file__).parents[2]
PROCTOR = [sys.executable, "-m", "analyzer.cli"]
AGENT = [sys.executable, "-m", "agent.cli"]
UNUSED_PORT = "unused-listening-tcp-port"
PATIENCE_S = 90  # on a machine that has other things to do

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PROCTOR_AGENT_STATE_DIR": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def unused_port() -> Iterator[int]:
    """Yield a port on which this process listens and nobody calls."""
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 (nobody connects)
        yield server.getsockname()[1]


def start(command: list[str], environ: dict[str, str], **options: Any) -> subprocess.Popen[str]:  # noqa: ANN401
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def result_of(text: str) -> dict[str, Any]:
    result = json.loads(text)
    jsonschema.validate(result, json.loads(SCHEMA.read_text()))
    assert isinstance(result, dict)
    return result


def unused_ports(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [item["group"] for item in result["findings"] if item["rule"] == UNUSED_PORT]


def wait_for(process: subprocess.Popen[str], words: str) -> str:
    """Return what stands on standard error until a line holds ``words``."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if words in line:
            return seen
    raise AssertionError(seen)


def test_live_run_finds_an_unused_port(environ: dict[str, str], unused_port: int) -> None:
    process = start([*PROCTOR, "check", "--for", "3s", "-o", "json"], environ)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    result = result_of(out)
    (host,) = result["hosts"]
    assert host["hostname"] == socket.gethostname()
    assert host["events"] >= 1
    assert unused_port in [group["local_port"] for group in unused_ports(result)]
    (outcome,) = [item for item in result["outcomes"] if item["rule"] == UNUSED_PORT]
    assert outcome["coverage"] >= 0.95
    assert result["run"]["to_us"] - result["run"]["from_us"] == 3_000_000
    assert err.startswith(f"Assessing {socket.gethostname()} for 3 seconds with ")
    assert "Collecting: " in err
    assert re.search(r"✓ Run complete in 0:\d\d\.", err)


def test_capture_and_live_run_agree(
    environ: dict[str, str], unused_port: int, tmp_path: Path
) -> None:
    recording = tmp_path / "host.ndjson.zst"
    environ["PROCTOR_AGENT_PROBE"] = "false"  # to each, the other's probe would be a peer
    capture = start([*AGENT, "capture", "--for", "4s", "--out", str(recording)], environ)
    live = start([*PROCTOR, "check", "--for", "4s", "-o", "json"], environ)
    live_out, live_err = live.communicate(timeout=PATIENCE_S)
    _, capture_err = capture.communicate(timeout=PATIENCE_S)
    assert (live.returncode, capture.returncode) == (0, 0), live_err + capture_err
    again = start([*PROCTOR, "check", "--events", str(recording), "-o", "json"], environ)
    out, err = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, err
    seen_live, recorded = result_of(live_out), result_of(out)
    assert unused_port in [group["local_port"] for group in unused_ports(recorded)]
    assert unused_ports(recorded) == unused_ports(seen_live)
    verdicts = [
        {(item["rule"], item["agent_id"]): item["outcome"] for item in result["outcomes"]}
        for result in (seen_live, recorded)
    ]
    assert verdicts[0] == verdicts[1]


def test_ctrl_c_stops_early_and_keeps_results(environ: dict[str, str], unused_port: int) -> None:
    process = start([*PROCTOR, "check", "--for", "600s", "-o", "json"], environ)
    wait_for(process, "Collecting: ")
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "Stopped early after 0:" in err
    result = result_of(out)
    assert result["run"]["to_us"] - result["run"]["from_us"] < 600_000_000
    assert unused_port in [group["local_port"] for group in unused_ports(result)]


def test_second_ctrl_c_quits_at_once(environ: dict[str, str]) -> None:
    process = start([*PROCTOR, "check", "--for", "600s"], environ)
    wait_for(process, "Collecting: ")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_gates_of_a_live_run(environ: dict[str, str]) -> None:
    command = [*PROCTOR, "check", "--for", "1s", "--packages", "aws-endpoints"]
    without_packets = environ | {"PROCTOR_AGENT_PACKETS": "false"}
    process = start([*command, "--min-coverage", "50"], without_packets)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3, err
    assert "Inconclusive: coverage of" in err
    assert "were not collected" in out or "was not collected" in out


@pytest.mark.parametrize("form", ["table", "json"])
def test_reader_that_stops_reading_is_no_error(environ: dict[str, str], form: str) -> None:
    command = [*PROCTOR, "check", "--events", str(TWO_HOSTS), "--rules", str(RULES), "-o", form]
    with start(command, environ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        assert process.wait(timeout=PATIENCE_S) == 0, err
    assert err.startswith("Judged ")
    assert err.count("\n") == 1


def test_document_does_not_depend_on_the_locale(environ: dict[str, str]) -> None:
    command = [*PROCTOR, "check", "--events", str(TWO_HOSTS), "--rules", str(RULES), "-o", "json"]
    for changes in ({"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"PYTHONHASHSEED": "7"}):
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environ | changes,
            capture_output=True,
            check=True,
            timeout=PATIENCE_S,
        )
        assert done.stdout == GOLDEN.read_bytes()


def test_moving_line_on_a_terminal(environ: dict[str, str]) -> None:
    reading, writing = pty.openpty()
    changes = {"TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [*PROCTOR, "check", "--for", "2s"],
        cwd=ROOT,
        env=environ | changes,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
    )
    os.close(writing)
    shown = _read_until_end(reading)
    assert process.wait(timeout=PATIENCE_S) == 0
    text = plain(shown)
    assert "● Collecting ━" in text
    assert "100%" in text
    assert re.search(r"✓ Run complete in 0:\d\d\.", text)
    assert "\x1b[31m" not in shown or "Error" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")


def _read_until_end(fileno: int) -> str:
    data = b""
    with contextlib.suppress(OSError):  # the other end of a terminal went away
        while select.select([fileno], [], [], PATIENCE_S)[0] and (part := os.read(fileno, 65_536)):
            data += part
    os.close(fileno)
    return data.decode()
