from pathlib import Path

import pytest

from agent.errors import DecodeError
from agent.sensors.processes import ProcessFacts, ProcessTable, read_user_name
from rules.telemetry.clock import ManualClock
from tests.recorded_hosts import copy_host

BOOT_US = 1_790_000_000_000_000
LATER = ManualClock(BOOT_US + 3_600_000_000)
USERS = {0: "root", 33: "www-data", 1000: "app"}


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return copy_host("debian-small", tmp_path)


@pytest.fixture
def table(proc: Path) -> ProcessTable:
    return ProcessTable(proc, clock=LATER, user_names=USERS.get)


def test_facts_of_a_service(table: ProcessTable) -> None:
    assert table.facts(531) == ProcessFacts(
        pid=531,
        start_us=BOOT_US + 16_060_000,
        process_name="nginx",
        process_path="/usr/sbin/nginx",
        parent_pid=530,
        uid=33,
        user="www-data",
        container_id=None,
    )


def test_facts_of_a_container_whose_executable_was_replaced(table: ProcessTable) -> None:
    facts = table.facts(640)

    assert facts is not None
    assert (facts.process_name, facts.process_path) == (
        "redis-server",
        "/usr/local/bin/redis-server",
    )
    assert (facts.uid, facts.user) == (999, None)
    assert facts.container_id == "4f1c0de5" * 8


def test_name_is_of_the_path_not_of_the_thread(table: ProcessTable) -> None:
    facts = table.facts(655)

    assert facts is not None
    assert (facts.process_name, facts.parent_pid) == ("python3.11", 640)
    assert facts.container_id == "9ab3e77c" * 8


@pytest.mark.parametrize(("pid", "name"), [(2, "kthreadd"), (700, "agetty")])
def test_name_without_a_path_is_the_command(table: ProcessTable, pid: int, name: str) -> None:
    facts = table.facts(pid)

    assert facts is not None
    assert (facts.process_name, facts.process_path) == (name, None)


@pytest.mark.parametrize("lost", ["", "stat", "status"])
def test_process_that_ends_at_any_moment_is_none(
    table: ProcessTable, proc: Path, lost: str
) -> None:
    folder = proc / "412"
    if lost:
        (folder / lost).unlink()
    else:
        folder.rename(proc / "gone")

    assert table.facts(412) is None


def test_host_without_control_groups_has_no_containers(table: ProcessTable, proc: Path) -> None:
    (proc / "640" / "cgroup").unlink()

    facts = table.facts(640)

    assert facts is not None
    assert facts.container_id is None


def test_facts_are_remembered(table: ProcessTable, proc: Path) -> None:
    first = table.facts(412)
    (proc / "412" / "status").write_text("Name:\tsshd\nUid:\t5\t5\t5\t5\n")

    assert table.facts(412) is first


def test_facts_are_read_again_after_an_exec(table: ProcessTable, proc: Path) -> None:
    table.facts(412)
    executable = proc / "412" / "exe"
    executable.unlink()
    executable.symlink_to("/usr/bin/scp")

    facts = table.facts(412)

    assert facts is not None
    assert (facts.process_name, facts.process_path) == ("scp", "/usr/bin/scp")


def test_facts_are_read_again_after_the_name_changed(table: ProcessTable, proc: Path) -> None:
    before = table.facts(700)
    stat = proc / "700" / "stat"
    stat.write_text(stat.read_text().replace("(agetty)", "(login)"))

    after = table.facts(700)

    assert before is not None
    assert after is not None
    assert (before.process_name, after.process_name) == ("agetty", "login")


def test_pid_that_is_used_again_is_another_process(table: ProcessTable, proc: Path) -> None:
    before = table.facts(412)
    stat = proc / "412" / "stat"
    stat.write_text(stat.read_text().replace(" 1530 ", " 9530 "))

    after = table.facts(412)

    assert before is not None
    assert after is not None
    assert after.start_us == before.start_us + 80_000_000


def test_young_process_is_read_again(proc: Path) -> None:
    """It may have been seen before it gave up root or entered its container."""
    clock = ManualClock(BOOT_US + 16_060_000 + 5_000_000)
    table = ProcessTable(proc, clock=clock, user_names=USERS.get)
    status = proc / "531" / "status"
    settled = status.read_text()
    status.write_text(settled.replace("33", "0"))

    young = table.facts(531)
    status.write_text(settled)
    older = table.facts(531)

    assert young is not None
    assert older is not None
    assert (young.user, older.user) == ("root", "www-data")


def test_memory_is_bounded(proc: Path) -> None:
    asked: list[int] = []

    def user_name(uid: int) -> str | None:
        asked.append(uid)
        return None

    table = ProcessTable(proc, clock=LATER, capacity=2, user_names=user_name)
    for pid in (1, 412, 1, 530, 1, 412):
        table.facts(pid)

    assert len(asked) == 4, "412 was used least recently, so it alone is read twice"


def test_pids_are_sorted_numbers(table: ProcessTable) -> None:
    assert table.pids() == [1, 2, 412, 530, 531, 640, 655, 700]


def test_folder_that_is_no_proc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ProcessTable(tmp_path, clock=LATER)
    (tmp_path / "stat").write_text("cpu 1\n")
    with pytest.raises(DecodeError):
        ProcessTable(tmp_path, clock=LATER)


def test_user_names_of_this_host() -> None:
    assert read_user_name(0) == "root"
    assert read_user_name(4_294_967_000) is None
    assert read_user_name(2**70) is None


def test_network_of_a_process_is_a_number_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("btime 1000\n")
    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "net").touch()
    table = ProcessTable(tmp_path, clock=ManualClock())

    assert table.network("self") == (tmp_path / "self" / "ns" / "net").stat().st_ino
    assert table.network(7) is None


def test_start_since_boot_is_rounded_as_proc_does(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("btime 1000\n")
    table = ProcessTable(tmp_path, clock=ManualClock())

    assert table.start_us(1_234_567_890) == 1_000_000_000 + 1_230_000
