"""Agent, broker and analyzer are killed in turn while a run is on: nothing acknowledged is lost.

Real processes and the real command lines; only what the host does is a script.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from analyzer.data_folder import DataFolder
from analyzer.ingest.segments import read_segments
from analyzer.results import Result, from_json
from rules.telemetry.wire import decode

ROOT = Path(__file__).parents[2]
CALM_S, WILD_S = 8, 40  # the wild run is long enough that its gap stays under five percent
EVENTS_PER_S = "50"
PROCTOR = [sys.executable, "-m", "analyzer.cli"]

pytestmark = [pytest.mark.timeout(120), pytest.mark.allow_blocking]


class Site:
    """A server and one agent, as child processes that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.state = folder / "agent"
        self.port = free_port()
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        listen = f"127.0.0.1:{self.port}"
        module = "tests.e2e.loaded_agent"
        command = {
            "analyzer": [*PROCTOR, "serve", "--data", str(self.data), "--mqtt-listen", listen],
            "agent": [sys.executable, "-m", module, str(self.state), self.url, EVENTS_PER_S],
        }[name]
        with (self.data.parent / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(command, cwd=ROOT, stderr=log)

    def kill(self, name: str) -> None:
        if name == "broker":  # the server starts it again by itself
            pid = msgspec.json.decode((self.data / "broker" / "broker.pid").read_bytes())["pid"]
            os.kill(pid, signal.SIGKILL)
            return
        child = self.children[name]
        child.kill()
        child.wait()
        time.sleep(0.5)
        self.start(name)

    def stop(self) -> None:
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()

    def assess(self, seconds: int, disturb: Callable[[], None]) -> Result:
        """Return the result of one run during which ``disturb`` was called."""
        wait_for(lambda: DataFolder(self.data).read_note() is not None, "the server")
        start = [*PROCTOR, "runs", "start", "--for", f"{seconds}s", "--data", str(self.data)]
        run_id = subprocess.run(start, check=True, capture_output=True, text=True).stdout.strip()
        wait_for(lambda: self.state_of(run_id) == "COLLECTING_DATA", "collection")
        disturb()
        wait_for(lambda: self.state_of(run_id).startswith("COMPLETED"), "the end of the run", 90)
        return from_json(self.show(run_id))

    def state_of(self, run_id: str) -> str:
        document = msgspec.json.decode(self.show(run_id))
        return str(document.get("state") or document["run"]["state"])

    def show(self, run_id: str) -> bytes:
        command = [*PROCTOR, "runs", "show", run_id, "-o", "json", "--data", str(self.data)]
        return subprocess.run(command, check=True, capture_output=True).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no sign of {what}"
        time.sleep(0.2)


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    folder.mkdir()
    opened = Site(folder)
    try:
        opened.start("analyzer")
        opened.start("agent")
        yield opened
    finally:
        opened.stop()


def judged(result: Result) -> set[tuple[str, str, str]]:
    """Return what every rule came to, and the groups of its findings."""
    groups = {(finding.rule, "group", repr(finding.group)) for finding in result.findings}
    return groups | {(item.rule, "outcome", item.outcome) for item in result.outcomes}


def check_sequences(data: Path, run_id: str) -> int:
    """Check that every batch stands in the log once and that none is missing; return how many."""
    seen = Counter[tuple[str, int]]()
    events = 0
    for stored in read_segments(data / "runs" / run_id / "segments"):
        seen[stored.record.boot_id, stored.record.sequence] += 1
        events += len(decode(stored.record.payload))
    assert set(seen.values()) == {1}
    for boot_id in {boot for boot, _ in seen}:
        numbers = sorted(number for boot, number in seen if boot == boot_id)
        assert numbers == list(range(1, len(numbers) + 1))
    return events


def test_findings_survive_the_death_of_every_process_in_turn(
    tmp_path: Path, service: Callable[[str], Path]
) -> None:
    service("nats-server")
    with site(tmp_path / "calm") as calm:
        undisturbed = calm.assess(CALM_S, lambda: None)

    with site(tmp_path / "wild") as wild:

        def kill_each() -> None:
            for name in ("agent", "broker", "analyzer"):
                time.sleep(1.5)
                wild.kill(name)

        disturbed = wild.assess(WILD_S, kill_each)

    assert judged(disturbed) == judged(undisturbed)
    assert ("insecure-client-login", "outcome", "findings") in judged(disturbed)
    stored = check_sequences(wild.data, disturbed.run.id)
    assert disturbed.summary.events > 0
    assert stored >= disturbed.summary.events
