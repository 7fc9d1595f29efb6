"""A server and one loaded agent as child processes, which tests kill and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from analyzer.data_folder import DataFolder
from analyzer.results.document import Result, from_json

ROOT = Path(__file__).parents[1]
EVENTS_PER_S = "50"
PROCTOR = [sys.executable, "-m", "analyzer.cli"]


class Site:
    """A server and one agent, as child processes that can be killed and started again."""

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        self.options = options
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
        places = ["--mqtt-listen", listen, "--listen", "127.0.0.1:0"]
        command = {
            "analyzer": [*PROCTOR, "serve", "--data", str(self.data), *places, *self.options],
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

    def pause(self, name: str) -> None:
        """Let a process do nothing for a while."""
        self.children[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let it go on, if it was paused."""
        self.children[name].send_signal(signal.SIGCONT)

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
        run_id = self.begin(seconds)
        wait_for(lambda: self.state_of(run_id) == "COLLECTING_DATA", "collection")
        disturb()
        wait_for(
            lambda: self.state_of(run_id).startswith("COMPLETED"),
            "the end of the run",
            seconds + 180,
        )
        document = self.show(run_id)
        assert self.replay(run_id) == document
        return from_json(document)

    def begin(self, seconds: int) -> str:
        """Return the id of a run that has just been started."""
        start = [*PROCTOR, "runs", "start", "--for", f"{seconds}s", "--data", str(self.data)]
        return subprocess.run(start, check=True, capture_output=True, text=True).stdout.strip()

    def state_of(self, run_id: str) -> str:
        document = msgspec.json.decode(self.show(run_id))
        return str(document.get("state") or document["run"]["state"])

    def replay(self, run_id: str) -> bytes:
        command = [*PROCTOR, "replay", run_id, "-o", "json", "--data", str(self.data)]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def show(self, run_id: str) -> bytes:
        command = [*PROCTOR, "runs", "show", run_id, "-o", "json", "--data", str(self.data)]
        return subprocess.run(command, check=True, capture_output=True).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no sign of {what}"
        time.sleep(0.2)


@contextmanager
def site(folder: Path, *options: str) -> Iterator[Site]:
    """Run a server, with these options, and an agent for the length of the block."""
    folder.mkdir()
    opened = Site(folder, options)
    try:
        opened.start("analyzer")
        opened.start("agent")
        yield opened
    finally:
        opened.stop()
