"""The agent as an ordinary user with five rights: it opens no port and changes nothing."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.config.sources import DEFAULT_FILE
from rules.telemetry.recording import parse_recording
from tests.services import find_program, missing_reason

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "agent" / "systemd" / "proctor-agent.service"
RIGHTS = ("perfmon", "net_raw", "bpf", "sys_ptrace", "dac_read_search")
AGENT = f"{sys.executable} -c 'from agent.cli import main; raise SystemExit(main())'"
# Everything is read-only but one folder, so that nothing else can be changed.
SCRIPT = """
set -e
ip link set lo up
mount --make-rprivate /
mount -t tmpfs -o mode=0700,uid=65534,gid=65534 tmpfs {state}
mount -o remount,ro,bind /
{agent} run --state-dir {state} --broker-url mqtt://127.0.0.1:1 --stop-timeout-s 0.1 2>{state}/log &
agent=$!
for _ in $(seq 300); do test -s {state}/status.json && break; sleep 0.1; done
sleep 1
cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 | grep -c ' 0A \\| 07 ' || true
kill -TERM $agent
wait $agent || true
ls {state}
echo ----
TMPDIR={state} {agent} capture --for 2s --no-probe --agent-id h-1
"""


@pytest.fixture
def unit() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT, encoding="utf-8")
    return dict(parser["Service"])


def test_unit_names_the_five_rights_and_no_other(unit: dict[str, str]) -> None:
    wanted = {f"CAP_{name.upper()}" for name in RIGHTS}
    assert set(unit["AmbientCapabilities"].split()) == wanted
    assert set(unit["CapabilityBoundingSet"].split()) == wanted
    assert unit["DynamicUser"] == "yes"
    assert "User" not in unit


def test_unit_fits_the_settings(unit: dict[str, str]) -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert f"Settings: {DEFAULT_FILE}" in text
    assert f"/var/lib/{unit['StateDirectory']}" in text
    assert not re.search(
        r"^(ProtectProc|ProcSubset|Private(Network|Users|PIDs))=", text, re.MULTILINE
    )


def test_unit_is_sound(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed; it comes with systemd")
    copy = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8").replace("/opt/proctor/bin/proctor-agent", "/bin/true")
    copy.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(copy)], check=False, capture_output=True, text=True
    )
    assert UNIT.name not in done.stderr, done.stderr


def test_agent_needs_no_more_than_its_folder(tmp_path: Path) -> None:
    """As nobody with the five rights, on a file system where all but one folder is read-only."""
    if os.geteuid() != 0:
        pytest.skip("only root can make the namespaces")
    if find_program("ip") is None:
        pytest.skip(missing_reason("ip"))
    tmp_path.chmod(0o755)
    rights = ",".join(f"+{name}" for name in RIGHTS)
    nobody = (
        "setpriv --reuid=65534 --regid=65534 --clear-groups"
        f" --inh-caps={rights} --ambient-caps={rights} --bounding-set=-all,{rights}"
    )
    script = SCRIPT.format(state=tmp_path, agent=f"{nobody} {AGENT}")
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script],  # noqa: S607
        check=False,
        capture_output=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr.decode()
    before, _, captured = done.stdout.partition(b"----\n")
    listening, *names = before.decode().split()
    assert listening == "0", "the agent has opened a port"
    assert "spool" in names
    recording = parse_recording(captured.splitlines())
    states = {kind: row.state for _, row in recording.coverage for kind in row.kinds}
    assert states["connection"] != "off"
    assert states["imds_request"] == "on"
    assert states["setting"] == "on"
    assert states["loaded_module"] != "off"


def doctor(state: Path, *, uid: int, rights: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what ``doctor`` says as a user with these rights, by check."""
    caps = ",".join(f"+{name}" for name in rights)
    become = [] if uid == 0 else [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    if rights:
        become += [f"--inh-caps={caps}", f"--ambient-caps={caps}", f"--bounding-set=-all,{caps}"]
    mount = "[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing"
    command = f'ip link set lo up; {mount}; exec setpriv {" ".join(become)} "$@"'
    run = [sys.executable, "-c", "from agent.cli import main; raise SystemExit(main())"]
    options = ["doctor", "--json", "--state-dir", str(state), "--broker-url", "mqtt://127.0.0.1:1"]
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", command, "sh", *run, *options],  # noqa: S607
        check=False,
        capture_output=True,
        cwd=ROOT,
    )
    assert done.stdout, done.stderr.decode()
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_doctor_answers_root_the_five_rights_and_nobody_apart(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make the namespaces")
    if find_program("ip") is None:
        pytest.skip(missing_reason("ip"))
    tmp_path.chmod(0o777)
    root = doctor(tmp_path, uid=0, rights=())
    five = doctor(tmp_path, uid=65534, rights=RIGHTS)
    plain = doctor(tmp_path, uid=65534, rights=())

    for name in ("packets", "perf", "sock_diag", "facts"):
        assert root[name]["verdict"] == five[name]["verdict"] == "ok", name
        assert root[name]["blind_spots"]
    for name in ("packets", "perf"):
        assert plain[name]["verdict"] != "ok"
        assert "setpriv" in plain[name]["remedy"]
    assert "hide which sockets they hold" in plain["sock_diag"]["detail"]
    assert "hide which sockets they hold" not in five["sock_diag"]["detail"]
