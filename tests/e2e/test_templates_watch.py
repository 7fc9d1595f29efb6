"""`proctor templates run --watch` follows a run of a real agent to its findings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sites import PROCTOR, ROOT, Site, site, wait_for

pytestmark = [pytest.mark.timeout(300), pytest.mark.allow_blocking]
WITHIN_S = 120


def proctor(place: Site, *arguments: str) -> str:
    command = [*PROCTOR, *arguments, "--data", str(place.data)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def newest(place: Site) -> dict[str, object]:
    """Return the newest run as it is listed; nothing while there is none."""
    runs = json.loads(proctor(place, "runs", "list", "-o", "json"))
    return dict(runs[0]) if runs else {}


def is_known(place: Site) -> bool:
    return "HEALTHY" in proctor(place, "targets", "preview", "everything")


def test_run_of_a_template_is_followed_to_its_findings(
    tmp_path: Path, service: Callable[[str], Path]
) -> None:
    service("nats-server")
    with site(tmp_path / "site") as place:
        wait_for((place.data / "server.json").exists, "the server", WITHIN_S)
        proctor(place, "targets", "create", "everything")
        proctor(place, "templates", "create", "weekly", "--target", "everything", "--for", "3m")
        wait_for(lambda: is_known(place), "the agent", WITHIN_S)
        command = [*PROCTOR, "templates", "run", "weekly", "--name", "first", "--watch"]
        command += ["--data", str(place.data)]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as watching:
            state = "COLLECTING_DATA"
            wait_for(lambda: newest(place).get("state") == state, state, WITHIN_S)
            assert watching.poll() is None
            proctor(place, "runs", "stop", "last")
            shown, said = watching.communicate(timeout=WITHIN_S)
        ended = newest(place)
    assert (watching.returncode, ended["state"], ended["name"]) == (0, "COMPLETED", "first"), said
    assert "insecure-client-login" in shown
    assert "Started run" in said
    assert "COMPLETED: 1 host" in said
