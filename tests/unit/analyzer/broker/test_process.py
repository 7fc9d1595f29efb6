import os
from pathlib import Path

import msgspec

from analyzer.broker.process import Identity, end_leftover, write_identity


def _identity(path: Path) -> Identity:
    return msgspec.json.decode(path.read_bytes(), type=Identity)


def test_no_file_means_no_leftover(tmp_path: Path) -> None:
    path = tmp_path / "broker.pid"
    assert not end_leftover(path)
    path.write_text("1234\n")
    assert not end_leftover(path)


def test_process_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "broker.pid"
    ours = Path("/proc/self/exe").resolve()
    write_identity(path, os.getpid(), executable=ours)
    true = _identity(path)
    assert true.executable == str(ours)
    for other in (
        {"started_ticks": true.started_ticks - 1},
        {"host_boot_id": "another boot"},
        {"executable": "/usr/sbin/nats-server"},
    ):
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(true, **other)))
        assert not end_leftover(path)  # it would end this very test


def test_ended_process_is_not_noted(tmp_path: Path) -> None:
    path = tmp_path / "broker.pid"
    path.write_text("old")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    write_identity(path, child, executable=Path("/bin/true"))
    assert not path.exists()
