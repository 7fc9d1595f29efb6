"""What a running agent says of itself, and how a dead one is told from a living one."""

import json
import os
from pathlib import Path

import pytest

from agent.status import (
    FILE_NAME,
    Heartbeat,
    LocalStatus,
    SensorStatus,
    SpoolStatus,
    encode_heartbeat,
    is_alive,
    process_start,
    read_status,
    to_jsonable,
    write_status,
)


def _status(*, pid: int = 42, pid_started: int = 777) -> LocalStatus:
    heartbeat = Heartbeat(
        agent_id="h-1",
        boot_id="ab",
        state="online",
        now_us=5,
        hostname="host",
        version="1.0",
        tags={"Name": "web"},
        sensors=(SensorStatus(name="sockets", kinds=("connection",), state="on"),),
        spool=SpoolStatus(bytes=9, batches=1),
    )
    return LocalStatus(
        heartbeat=heartbeat, pid=pid, pid_started=pid_started, started_us=1, endpoint="mqtt://b"
    )


def _proc(folder: Path, *, pid: int, state: str = "S", start: int = 777) -> Path:
    fields = [state, *(["0"] * 18), str(start), *(["0"] * 5)]
    for name in ("self", str(pid)):
        (folder / name).mkdir(parents=True)
    (folder / str(pid) / "stat").write_text(f"{pid} (python) x) {' '.join(fields)}\n")
    return folder


def test_heartbeat_has_the_fields_of_the_contract() -> None:
    payload = json.loads(encode_heartbeat(_status().heartbeat))
    assert payload.keys() == {
        "format",
        "agent_id",
        "boot_id",
        "state",
        "now_us",
        "hostname",
        "version",
        "tags",
        "collecting",
        "throttled",
        "os_name",
        "kernel_release",
        "interfaces",
        "sensors",
        "spool",
    }
    assert payload["format"] == 1


def test_status_reads_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    write_status(tmp_path, _status())
    write_status(tmp_path, _status(pid=43))
    assert read_status(tmp_path) == _status(pid=43)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": 1}'])
def test_file_that_is_no_status_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert read_status(tmp_path) is None


def test_process_lives_if_number_and_start_agree(tmp_path: Path) -> None:
    proc = _proc(tmp_path, pid=42)
    assert is_alive(_status(), proc=proc)
    assert not is_alive(_status(pid_started=778), proc=proc)  # the number is another's by now
    assert not is_alive(_status(pid=41), proc=proc)


def test_zombie_does_not_live(tmp_path: Path) -> None:
    assert not is_alive(_status(), proc=_proc(tmp_path, pid=42, state="Z"))


def test_without_proc_the_number_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_alive(_status(pid=os.getpid(), pid_started=0), proc=tmp_path)
    for error, expected in ((ProcessLookupError, None), (PermissionError, 0)):

        def kill(pid: int, number: int, error: type[OSError] = error) -> None:
            raise error(pid, number)

        monkeypatch.setattr(os, "kill", kill)
        assert process_start(1, proc=tmp_path) == expected


def test_own_process_lives() -> None:
    started = process_start(os.getpid())
    assert started is not None
    assert is_alive(_status(pid=os.getpid(), pid_started=started))


def test_plain_form_says_whether_it_runs() -> None:
    plain = to_jsonable(_status(), is_running=True)
    assert plain["running"] is True
    assert plain["heartbeat"]["sensors"][0]["name"] == "sockets"
    json.dumps(plain)
