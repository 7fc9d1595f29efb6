from collections.abc import Iterable
from pathlib import Path

import pytest

from agent.sensors.processes import ProcessTable
from agent.sensors.socket_owners import SocketOwners
from agent.sensors.socket_processes import SocketProcesses, count_unreadable
from agent.sensors.socket_rows import SocketRow
from rules.telemetry import ManualClock, Process
from tests.recorded_hosts import copy_host
from tests.socket_facts import PEER, WEB, row

SSHD = 412
SSHD_SOCKET = 2_101


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return copy_host("debian-small", tmp_path)


class FoundOwners(SocketOwners):
    """Knows what a test says, and what it was asked for."""

    def __init__(self, proc: Path, found: dict[int, int]) -> None:
        super().__init__(proc, clock=ManualClock())
        self.found = found
        self.asked: list[set[int]] = []

    def find(self, inodes: Iterable[int]) -> dict[int, int]:
        wanted = set(inodes)
        self.asked.append(wanted)
        return {inode: pid for inode, pid in self.found.items() if inode in wanted}


def processes(proc: Path, found: dict[int, int]) -> tuple[SocketProcesses, FoundOwners]:
    owners = FoundOwners(proc, found)
    names = {0: "root"}
    table = ProcessTable(proc, clock=ManualClock(), user_names=names.get)
    return SocketProcesses(owners, table), owners


def socket_of(inode: int, uid: int | None = 0) -> SocketRow:
    return row(WEB, PEER, inode=inode)._replace(uid=uid)


def test_holder_of_a_socket_is_described(proc: Path) -> None:
    sockets, _ = processes(proc, {SSHD_SOCKET: SSHD})

    process = sockets.update("tcp", [socket_of(SSHD_SOCKET)])[SSHD_SOCKET]

    assert (process.pid, process.name, process.path) == (SSHD, "sshd", "/usr/sbin/sshd")
    assert (process.uid, process.user, process.parent_pid) == (0, "root", 1)
    assert process.start_us is not None


def test_without_visible_holder_the_owner_is_named(proc: Path) -> None:
    sockets, _ = processes(proc, {})

    assert sockets.update("tcp", [socket_of(9, uid=4_000_000_000)]) == {
        9: Process(uid=4_000_000_000, user=None)
    }


def test_without_visible_holder_and_owner_nothing_is_known(proc: Path) -> None:
    sockets, _ = processes(proc, {})

    assert sockets.update("tcp", [socket_of(9, uid=None), socket_of(0)]) == {}


def test_process_that_has_ended_meanwhile_leaves_the_owner(proc: Path) -> None:
    sockets, _ = processes(proc, {9: 99_999})

    assert sockets.update("tcp", [socket_of(9)])[9].pid is None


def test_groups_are_asked_for_together_and_forgotten_apart(proc: Path) -> None:
    sockets, owners = processes(proc, {SSHD_SOCKET: SSHD, 5: SSHD})
    sockets.update("tcp", [socket_of(SSHD_SOCKET)])
    known = sockets.update("connections", [socket_of(5)])

    assert owners.asked == [{SSHD_SOCKET}, {SSHD_SOCKET, 5}]
    assert known.keys() == {SSHD_SOCKET, 5}
    assert sockets.update("tcp", []).keys() == {5}


def test_known_holder_is_not_read_again(proc: Path) -> None:
    sockets, owners = processes(proc, {SSHD_SOCKET: SSHD})
    before = sockets.update("tcp", [socket_of(SSHD_SOCKET)])[SSHD_SOCKET]

    assert sockets.update("tcp", [socket_of(SSHD_SOCKET)])[SSHD_SOCKET] is before
    owners.found[SSHD_SOCKET] = 1
    assert sockets.update("tcp", [socket_of(SSHD_SOCKET)])[SSHD_SOCKET].pid == 1


def test_processes_that_may_not_be_looked_into_are_counted(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert count_unreadable(str(proc)) == 0

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr("agent.sensors.socket_processes.os.open", refuse)
    assert count_unreadable(str(proc)) > 1
