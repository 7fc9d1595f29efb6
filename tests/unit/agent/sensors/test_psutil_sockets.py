import os
from collections.abc import Callable

import psutil
import pytest

from agent.sensors.psutil_sockets import PsutilProcesses
from rules.telemetry import Process
from tests.socket_facts import NGINX, PEER, WEB, row


def test_processes_are_described_by_psutil() -> None:
    own = os.getpid()
    known = PsutilProcesses().update("tcp", [row(WEB, PEER, pid=own), row(WEB, PEER)])

    assert known.keys() == {-own}
    assert known[-own].pid == own
    assert known[-own].uid == os.geteuid()


def test_process_that_has_ended_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(pid: int) -> psutil.Process:
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr(psutil, "Process", gone)
    assert PsutilProcesses().update("tcp", [row(WEB, PEER, pid=80)]) == {}


def test_known_process_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def read(pid: int) -> Process:
        asked.append(pid)
        return NGINX

    monkeypatch.setattr("agent.sensors.psutil_sockets._read_process", read)
    processes = PsutilProcesses()
    update: Callable[[], object] = lambda: processes.update("tcp", [row(WEB, PEER, pid=80)])  # noqa: E731
    update()
    update()

    assert asked == [80]
