"""Whoever judges, and however many: the bytes are the same."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from analyzer.data_folder import DataFolder
from rules.loader import load_packages
from tests.live_runs import DrivenRun, store_verdict
from tests.recordings import RULES, TWO_HOSTS
from tests.telemetry_batches import batch, connection

ROOT = Path(__file__).parents[2]
S = 1_000_000
FROM_US, TO_US = 1_000 * S, 1_060 * S
AGENTS = tuple(f"i-{number}" for number in range(5))

pytestmark = [pytest.mark.timeout(120), pytest.mark.allow_blocking]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of eight hosts."""
    path = tmp_path_factory.mktemp("recording") / "hosts.ndjson"
    text = TWO_HOSTS.read_text()
    copies = [
        text.replace('"i-db"', f'"i-db-{n}"').replace('"i-web"', f'"i-web-{n}"') for n in "abcd"
    ]
    path.write_text("".join(copies))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """The folder of a run of five hosts, some of whose batches came too late; and its result."""
    folder = tmp_path_factory.mktemp("run")
    driven = DrivenRun(
        folder / "runs" / "0-driven",
        load_packages(RULES),
        interval=(FROM_US, TO_US),
        agents=AGENTS,
        roll_bytes=2_000,
    )
    middle_us = FROM_US + 30 * S
    for number, agent_id in enumerate(AGENTS[:-1]):
        early = [connection(FROM_US + (5 + number + at) * S) for at in range(3)]
        driven.give(batch(1, (FROM_US, middle_us), early, agent_id=agent_id))
        if number % 2:
            driven.give(batch(2, (middle_us, TO_US), agent_id=agent_id))
    driven.clock.time_us = TO_US + 61 * S
    driven.live.seal()
    for agent_id in AGENTS[:-1:2]:
        late = [connection(middle_us + 5 * S)]
        driven.give(batch(2, (middle_us, TO_US), late, agent_id=agent_id))
    return driven.folder, store_verdict(DataFolder(folder), driven).document


def replay(*arguments: object, seed: str = "0") -> bytes:
    command = [sys.executable, "-m", "analyzer.cli", "replay", *map(str, arguments), "-o", "json"]
    environment = os.environ | {"PYTHONHASHSEED": seed, "RAY_AUTH_MODE": "disabled"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def on(name: str, module: str) -> object:
    missing = find_spec(module) is None
    reason = f"{module} is not installed: it is an optional extra (proctor[distributed])"
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=reason))


@pytest.mark.parametrize(("workers", "seed"), [(1, "1"), (2, "2"), (4, "random")])
def test_number_of_processes_and_hash_seed_show_in_no_byte(
    recording: Path, run: tuple[Path, bytes], workers: int, seed: str
) -> None:
    folder, document = run
    once = replay(recording, "--rules", RULES)
    assert replay(recording, "--rules", RULES, "--workers", workers, seed=seed) == once
    assert replay(folder, "--workers", workers, seed=seed) == document
    alone = [folder / "segments", "--rules", RULES]
    assert replay(*alone, "--workers", workers, seed=seed) == replay(*alone)


@pytest.mark.parametrize("name", [on("dask", "distributed"), on("ray", "ray")])
def test_cluster_gives_the_same_bytes(recording: Path, run: tuple[Path, bytes], name: str) -> None:
    folder, document = run
    once = replay(recording, "--rules", RULES)
    assert replay(recording, "--rules", RULES, "--workers", 2, "--on", name) == once
    assert replay(folder, "--workers", 2, "--on", name) == document
