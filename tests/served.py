"""``proctor serve`` as a child process that can be killed and started again, and its clients."""

from __future__ import annotations

import asyncio
import configparser
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3

from analyzer.data_folder import DataFolder
from analyzer.store import Store, open_store

ROOT = Path(__file__).parents[1]
_START_S = 60
PROCTOR = [sys.executable, "-m", "analyzer.cli"]


class Server:
    """``proctor serve`` on a data folder of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = DataFolder(folder / "data")
        self._environment = {**os.environ, **environment}
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves; blocks."""
        places = ["--mqtt-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]
        command = [*PROCTOR, "serve", "--data", str(self.folder.path), *places]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stderr=log, stdout=log, env=self._environment
            )
        deadline = time.monotonic() + _START_S
        while (note := self.folder.read_note()) is None or note.pid != self._process.pid:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    async def proctor(self, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *PROCTOR,
            *arguments,
            "--data",
            str(self.folder.path),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        _, errors = await process.communicate()
        return process.returncode or 0, errors.decode()

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        opened = await open_store(self.folder.store)
        yield opened
        await opened.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (another process tells no event)
            await asyncio.sleep(0.02)


def inspector(server: Server) -> Any:  # noqa: ANN401 (boto3 makes types)
    note = server.folder.read_note()
    assert note is not None
    file = configparser.ConfigParser()
    file.read(server.folder.credentials)
    key = file["proctor"]
    session = boto3.session.Session(
        key["aws_access_key_id"], key["aws_secret_access_key"], region_name="us-east-1"
    )
    return session.client("inspector", endpoint_url=note.api_url)


def make_template(client: Any, name: str) -> str:  # noqa: ANN401 (same)
    target = client.create_assessment_target(assessmentTargetName=name)["assessmentTargetArn"]
    packages = client.list_rules_packages()["rulesPackageArns"]
    made = client.create_assessment_template(
        assessmentTargetArn=target,
        assessmentTemplateName=name,
        durationInSeconds=180,
        rulesPackageArns=packages[:1],
    )
    return str(made["assessmentTemplateArn"])
