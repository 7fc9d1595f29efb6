from pathlib import Path

import pytest

from agent.errors import DecodeError
from agent.sensors.perf_tracepoints import TracefsError, find_tracepoints
from tests.perf_messages import AARCH64, FIXTURES, X86_64


def test_first_folder_that_has_them_counts(tmp_path: Path) -> None:
    found = find_tracepoints([tmp_path, FIXTURES / AARCH64, FIXTURES / X86_64])

    assert (found.sockets.id, found.execs.id) == (1_187, 263)


def test_folder_that_is_not_mounted_is_named(tmp_path: Path) -> None:
    with pytest.raises(TracefsError, match=f"no tracepoints in {tmp_path} or /dev/null") as caught:
        find_tracepoints([tmp_path, "/dev/null"])
    assert not caught.value.is_hidden


def test_folder_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(TracefsError, match="/sys/kernel/tracing may not be read") as caught:
        find_tracepoints()
    assert caught.value.is_hidden


def test_tracepoint_without_a_field_is_refused(tmp_path: Path) -> None:
    for name in ("sock/inet_sock_set_state", "sched/sched_process_exec"):
        folder = tmp_path / "events" / name
        folder.mkdir(parents=True)
        text = (FIXTURES / X86_64 / "events" / name / "format").read_text()
        (folder / "format").write_text(text.replace("skaddr", "address"))

    with pytest.raises(DecodeError, match="no field 'skaddr'"):
        find_tracepoints([tmp_path])
