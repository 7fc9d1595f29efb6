"""`make demo`: every process for real, something to find, and nothing left behind."""

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.demo.sample_network import NAMESPACE

ROOT = Path(__file__).parents[2]
SEVERITY = re.compile(r"^(High|Medium|Low|Informational) ", re.MULTILINE)
pytestmark = pytest.mark.timeout(300)
PATIENCE_S = 150  # of a test on a machine that has other things to do


@pytest.fixture(autouse=True)
def _broker(service: Callable[[str], Path]) -> None:
    service("nats-server")


def start(folder: Path, duration: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "analyzer.demo", "--for", duration],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 (no thread runs here)
    )


def _heed_ctrl_c() -> None:
    """Undo what nohup and background jobs of shells do to what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def leftovers(folder: Path) -> list[str]:
    """Return what a demo in ``folder`` left behind: files, its namespace, processes."""
    found = [str(path) for path in folder.iterdir()]
    if Path("/run/netns", NAMESPACE).exists():
        found.append(NAMESPACE)
    return found + processes_of(folder)


def processes_of(folder: Path) -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in command:
            lines.append(command)
    return lines


def wait_for_traffic(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if "$ proctor runs start" in line:
            time.sleep(2)
            return
    raise AssertionError(seen)


def test_demo_finds_what_it_announces(tmp_path: Path) -> None:
    with start(tmp_path, "15s") as process:
        text, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, text
    findings = SEVERITY.findall(text)
    if "None: " not in text:  # a host with nothing but loopback has no sample traffic
        assert len(findings) >= 4, text
        assert len(set(findings)) >= 3, text
    for expected in ("The broker listens on mqtt://127.0.0.1:", "rules evaluated", "coverage "):
        assert expected in text
    assert "proctor rules explain insecure-client-login" in text
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_demo_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path, "60s") as process:
        wait_for_traffic(process)
        process.send_signal(number)
        text, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, text
    assert "everything that the demo started has ended" in text
    assert "Traceback" not in text
    assert leftovers(tmp_path) == []


def test_killed_demo_takes_its_processes_along(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        folder = Path(name)
        with start(folder, "60s") as process:
            wait_for_traffic(process)
            process.kill()
            process.communicate(timeout=PATIENCE_S)
        deadline_s = time.monotonic() + PATIENCE_S
        while processes_of(folder):
            assert time.monotonic() < deadline_s, processes_of(folder)
            time.sleep(0.1)
    with start(tmp_path, "5s") as process:  # removes the namespace that the killed one left
        text, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, text
    assert leftovers(tmp_path) == []
