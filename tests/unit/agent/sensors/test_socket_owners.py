import os
import shutil
from pathlib import Path

import pytest

from agent.sensors.socket_owners import SocketOwners
from rules.telemetry.clock import ManualClock
from tests.recorded_hosts import copy_host


class CountedOwners(SocketOwners):
    """Counts descriptors as Linux 6.2 and newer do, whatever file system the copy stands on."""

    def _count(self, pid: int) -> int | None:
        folder = Path(self._root, str(pid), "fd")
        return len(list(folder.iterdir())) if folder.exists() else None


class UncountedOwners(SocketOwners):
    """Sees what older kernels show: the size of every descriptor folder is 0."""

    def _count(self, pid: int) -> int | None:
        return 0 if Path(self._root, str(pid), "fd").exists() else None


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return copy_host("debian-small", tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def owners(proc: Path, clock: ManualClock) -> SocketOwners:
    return CountedOwners(proc, clock=clock)


def open_socket(proc: Path, pid: int, descriptor: int, inode: int) -> None:
    (proc / str(pid) / "fd" / str(descriptor)).symlink_to(f"socket:[{inode}]")


def close(proc: Path, pid: int, descriptor: int) -> None:
    (proc / str(pid) / "fd" / str(descriptor)).unlink()


def test_owners_of_known_sockets(owners: SocketOwners) -> None:
    assert owners.find([2101, 2310, 2501]) == {2101: 412, 2310: 531, 2501: 655}


def test_shared_socket_belongs_to_the_first_process(owners: SocketOwners) -> None:
    assert owners.find([2201]) == {2201: 530}


def test_socket_that_init_hands_over_belongs_to_the_service(owners: SocketOwners) -> None:
    assert owners.find([1801, 2401]) == {1801: 1, 2401: 640}


def test_service_takes_a_socket_over_from_init(owners: SocketOwners, proc: Path) -> None:
    assert owners.find([1801]) == {1801: 1}
    open_socket(proc, 412, 9, 1801)
    open_socket(proc, 412, 10, 2103)

    assert owners.find([1801, 2103]) == {1801: 412, 2103: 412}


def test_socket_without_inode_has_no_owner(owners: SocketOwners) -> None:
    assert owners.find([0]) == {}
    assert owners.walked == 0


def test_known_sockets_cost_no_walk(owners: SocketOwners) -> None:
    owners.find([2101, 2201])
    walked = owners.walked

    owners.find([2101, 2201])

    assert owners.walked == walked


def test_only_changed_processes_are_walked_for_a_new_socket(
    owners: SocketOwners, proc: Path
) -> None:
    owners.find([2101, 2201, 2501, 1801])
    walked = owners.walked
    open_socket(proc, 655, 7, 2600)

    assert owners.find([2600]) == {2600: 655}
    assert owners.walked == walked + 1


def test_socket_in_the_place_of_a_closed_one_is_found(owners: SocketOwners, proc: Path) -> None:
    """The number of descriptors stays the same, so all holders of sockets are looked at."""
    owners.find([2310, 1801])
    close(proc, 531, 3)
    open_socket(proc, 531, 3, 2320)

    assert owners.find([2310, 2320]) == {2320: 531}


def test_first_socket_of_an_unchanged_process_waits_for_the_full_walk(
    owners: SocketOwners, proc: Path, clock: ManualClock
) -> None:
    close(proc, 655, 1)
    (proc / "655" / "fd" / "1").symlink_to("pipe:[1]")
    owners.find([9_998])
    owners.find([9_999])
    close(proc, 655, 1)
    open_socket(proc, 655, 1, 2700)

    assert owners.find([2700]) == {}
    clock.advance(10)
    assert owners.find([2700]) == {2700: 655}


def test_socket_of_nobody_is_searched_once(owners: SocketOwners) -> None:
    assert owners.find([9_999]) == {}
    walked = owners.walked

    assert owners.find([9_999, 2101]) == {2101: 412}
    assert owners.walked == walked


def test_ended_process_gives_its_socket_to_the_next_holder(
    owners: SocketOwners, proc: Path
) -> None:
    assert owners.find([2201, 2310]) == {2201: 530, 2310: 531}
    shutil.rmtree(proc / "530")
    walked = owners.walked

    assert owners.find([2201]) == {2201: 531}
    assert owners.walked == walked


def test_socket_of_an_ended_process_has_no_owner(owners: SocketOwners, proc: Path) -> None:
    owners.find([2501])
    shutil.rmtree(proc / "655")

    assert owners.find([2501]) == {}


def test_budget_ends_a_walk_that_goes_on_next_time(proc: Path, clock: ManualClock) -> None:
    owners = CountedOwners(proc, clock=clock, budget_s=0)

    assert owners.find([2501]) == {}
    found = [owners.find([2501]) for _ in range(6)]

    assert owners.walked == 5, "one process a call, in order, until 655"
    assert found[-1] == {2501: 655}


def test_memory_is_bounded(proc: Path, clock: ManualClock) -> None:
    owners = CountedOwners(proc, clock=clock, capacity=3)
    owners.find([2501, 1801])
    walked = owners.walked

    assert owners.find([2501]) == {2501: 655}, "it starts over and finds what is asked for"
    assert owners.walked > walked


def test_kernel_without_counts_walks_holders_at_once(proc: Path, clock: ManualClock) -> None:
    owners = UncountedOwners(proc, clock=clock)
    owners.find([2310, 1801])
    open_socket(proc, 531, 9, 2330)

    assert owners.find([2330]) == {2330: 531}


def test_process_that_must_not_be_read_is_a_blind_spot(
    proc: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = CountedOwners(proc, clock=clock)
    open_really = os.open

    def open_guarded(path: str, flags: int) -> int:
        if "/412/" in path:
            raise PermissionError(path)
        return open_really(path, flags)

    with monkeypatch.context() as patch:
        patch.setattr("agent.sensors.socket_owners.os.open", open_guarded)
        assert owners.find([2101, 2310]) == {2310: 531}

    assert owners.unreadable == {412}
    shutil.rmtree(proc / "412")
    owners.find([2310])
    assert owners.unreadable == set()
