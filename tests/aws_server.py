"""A served process that clients of AWS speak to. Comes in: a folder. Goes out: clients of it.

The clients are others' work: boto3, and the `aws` command of its own package.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from analyzer.data_folder import DataFolder, ServerNote

ROOT = Path(__file__).parents[1]
PROCTOR = [sys.executable, "-m", "analyzer.cli"]
REGION = "us-east-1"
ACCOUNT = "000000000000"
AWS = Path(sys.executable).with_name("aws")
# What the server may reach by itself: no topic, no metadata service, nobody's account.
ALONE = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:9",
}
Client = Any  # boto3 makes its clients' types when it runs
AGENT = "i-0load"  # that of tests/e2e/loaded_agent.py


@dataclass
class AwsServer:
    """A server, and agents of it, as child processes."""

    folder: Path
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    reaches: Mapping[str, str] = field(default_factory=dict)
    """Environment of its processes, beside ``ALONE``."""

    @property
    def data(self) -> DataFolder:
        """Return the server's data folder."""
        return DataFolder(self.folder / "data")

    @property
    def note(self) -> ServerNote:
        """Return where it listens."""
        note = self.data.read_note()
        assert note is not None
        return note

    @property
    def environment(self) -> dict[str, str]:
        """Return what the server tells its users to export."""
        return {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.data.credentials),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_PROFILE": "proctor",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_INSPECTOR": self.note.api_url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, profile: str = "proctor", *, region: str = REGION) -> Client:
        """Return a boto3 client with a key of the server's credentials file."""
        key = next(key for key in self.keys() if key["name"] == profile)
        session = boto3.Session(
            aws_access_key_id=key["aws_access_key_id"],
            aws_secret_access_key=key["aws_secret_access_key"],
            aws_session_token=key.get("aws_session_token"),
            region_name=region,
        )
        config = Config(retries={"total_max_attempts": 1})
        return session.client("inspector", endpoint_url=self.note.api_url, config=config)

    def keys(self) -> list[dict[str, str]]:
        """Return the profiles of the credentials file, as botocore reads them."""
        from botocore.configloader import raw_config_parse

        profiles = raw_config_parse(str(self.data.credentials))
        return [{"name": name, **values} for name, values in profiles.items()]

    def aws(self, *arguments: str) -> Any:  # noqa: ANN401 (JSON)
        """Return what the `aws` command prints, as JSON."""
        command = [str(AWS), "inspector", *arguments]
        done = subprocess.run(
            command, env=os.environ | self.environment, check=True, capture_output=True, text=True
        )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def proctor(self, *arguments: str) -> str:
        """Return what `proctor` prints."""
        command = [*PROCTOR, *arguments, "--data", str(self.data.path)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Return a process that was started, and ends with this object; its input stays open."""
        with (self.folder / f"{name}.log").open("ab") as log:
            environment = {**os.environ, **ALONE, **self.reaches}
            child = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stderr=log, stdout=log, env=environment
            )
            self.children.append(child)
        return child

    def start_agent(self, events_per_s: int = 50) -> None:
        """Start an agent that has something to tell."""
        state = str(self.folder / "agent")
        module = [sys.executable, "-m", "tests.e2e.loaded_agent"]
        self.start("agent", [*module, state, self.note.broker_url, str(events_per_s)])

    def stop(self) -> None:
        """End every process, the last one first."""
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            assert child.stdin is not None
            child.stdin.close()


@contextmanager
def aws_server(
    folder: Path, *options: str, reaches: Mapping[str, str] | None = None
) -> Iterator[AwsServer]:
    """Serve for the length of the block, on free ports."""
    server = AwsServer(folder, reaches=reaches or {})
    places = ["--mqtt-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]
    try:
        server.start(
            "serve", [*PROCTOR, "serve", "--data", str(server.data.path), *places, *options]
        )
        wait_until(lambda: server.data.read_note() is not None, "the server", folder / "serve.log")
        yield server
    finally:
        server.stop()


def wait_until(
    condition: Callable[[], bool], what: str, log: Path | None = None, *, within_s: float = 60
) -> None:
    """Wait for something to come true; fail with the end of a log where it does not."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            text = log.read_text(errors="replace")[-2000:] if log else ""
            raise AssertionError(f"no sign of {what}\n{text}")
        time.sleep(0.1)
