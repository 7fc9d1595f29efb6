"""The walk-through of README.md, run by a shell as it stands, with the real `aws` command.

Ports are free ones, the agent's host is a script, and the run is stopped once it collects: a user
would wait three minutes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.aws_server import ALONE, AWS, ROOT, AwsServer, wait_until
from tests.sites import free_port

pytestmark = [pytest.mark.timeout(300), pytest.mark.allow_blocking]
README = ROOT / "README.md"


def test_walkthrough_of_the_readme(tmp_path: Path) -> None:
    server = AwsServer(tmp_path)
    script = shell_script(tmp_path)
    stopper = threading.Thread(target=stop_when_collecting, args=(server,))

    stopper.start()
    done = subprocess.run(
        ["/bin/bash", "-eu", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
    )
    stopper.join()

    assert done.returncode == 0, done.stderr[-2000:]
    assert "insecure-client-login" in done.stdout
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def shell_script(folder: Path) -> str:
    """Return the document's commands, with this machine's paths and ports."""
    block: str
    (block,) = re.findall(r"```bash\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    api, broker = free_port(), free_port()
    data = folder / "data"
    agent = (
        f"{sys.executable} -m tests.e2e.loaded_agent {folder}/agent mqtt://127.0.0.1:{broker} 50"
    )
    ready = f"until [ -s {data}/server.json ]; do sleep 0.2; done; sleep 5"
    replaced = {
        r"^\.venv/bin/proctor serve --data DIR": f"{sys.executable} -m analyzer.cli serve "
        f"--data {data} --mqtt-listen 127.0.0.1:{broker} --listen 127.0.0.1:{api}",
        r"^\.venv/bin/proctor-agent run .*&$": f"{agent} &\n{ready}",
        r"127\.0\.0\.1:8420": f"127.0.0.1:{api}",
        r"DIR/credentials": f"{data}/credentials",
        r"sleep 5": "sleep 1",
        r"report\.pdf": f"{folder}/report.pdf",
    }
    for pattern, text in replaced.items():
        block, number = re.subn(pattern, text, block, flags=re.MULTILINE)
        assert number, pattern
    return f'trap "kill \\$(jobs -p); wait" EXIT\n{block}'


def environment() -> dict[str, str]:
    """Return an environment in which `aws` is the tests' own and finds nobody else's account."""
    path = f"{AWS.parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in ALONE.items() if name != "AWS_SHARED_CREDENTIALS_FILE"}
    return os.environ | kept | {"PATH": path}


def stop_when_collecting(server: AwsServer) -> None:
    """Stop the run some seconds after its collection has begun."""
    wait_until(lambda: server.data.read_note() is not None, "the server")

    def collecting() -> list[str]:
        client = server.client()
        where = {"states": ["COLLECTING_DATA"]}
        arns: list[str] = client.list_assessment_runs(filter=where)["assessmentRunArns"]
        return arns

    wait_until(lambda: bool(collecting()), "collection")
    time.sleep(3)
    for arn in collecting():
        server.client().stop_assessment_run(assessmentRunArn=arn)
