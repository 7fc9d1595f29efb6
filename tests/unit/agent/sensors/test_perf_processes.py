from pathlib import Path

import pytest

from agent.decode.perf_records import CommRecord, ExecRecord, Record, TaskRecord
from agent.sensors import perf_processes
from agent.sensors.perf_processes import KernelProcesses, suspended_ns
from agent.sensors.processes import ProcessFacts
from rules.telemetry import ManualClock, Process

SH = ProcessFacts(10, 5_000_000, "sh", "/bin/sh", 1, 1_000, "ada", None)
ROOT = ProcessFacts(20, 5_000_000, "cron", "/usr/sbin/cron", 1, 0, "root", "c0")
NOBODYS = 0xFFFF_FFFF


class Proc:
    """A /proc that shows what a test puts into it."""

    def __init__(self, *facts: ProcessFacts) -> None:
        self.shown = {each.pid: each for each in facts}
        self.networks: dict[int | str, int] = {"self": 1, 10: 1}
        self.asked: list[int] = []

    def pids(self) -> list[int]:
        return sorted(self.shown)

    def facts(self, pid: int) -> ProcessFacts | None:
        self.asked.append(pid)
        return self.shown.get(pid)

    def network(self, pid: int | str) -> int | None:
        return self.networks.get(pid)

    def start_us(self, since_boot_ns: int) -> int:
        return since_boot_ns // 10_000_000 * 10_000


@pytest.fixture(autouse=True)
def _never_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perf_processes, "suspended_ns", lambda: 0)
    monkeypatch.setattr(perf_processes, "read_user_name", lambda uid: f"u{uid}")


@pytest.fixture
def proc() -> Proc:
    return Proc(SH, ROOT)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100_000_000)


@pytest.fixture
def processes(proc: Proc, clock: ManualClock) -> KernelProcesses:
    return KernelProcesses(proc, clock)


def begin(processes: KernelProcesses, *records: Record, is_lossy: bool = False) -> None:
    processes.begin(records, is_lossy=is_lossy)


def fork(pid: int, parent: int, *, tid: int | None = None, at_s: float = 90) -> TaskRecord:
    return TaskRecord(False, pid, tid or pid, round(at_s * 1e9), parent)  # noqa: FBT003


def end(pid: int, *, tid: int | None = None) -> TaskRecord:
    return TaskRecord(True, pid, tid or pid, 0, 1)  # noqa: FBT003


def execute(pid: int, path: str) -> ExecRecord:
    return ExecRecord(0, pid, pid, 0, path)


def gone(name: str, path: str | None, *, uid: int | None = 1_000, pid: int = 11) -> Process:
    user = None if uid is None else f"u{uid}"
    return Process(pid, 90_000_000, name, path, 10, uid, user, None)


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "true"
    path.touch(0o755)
    return str(path)


def test_process_that_lives_is_looked_up_once(proc: Proc, processes: KernelProcesses) -> None:
    first = processes.find(10)

    assert first == Process(10, 5_000_000, "sh", "/bin/sh", 1, 1_000, "ada", None)
    assert processes.find(10) is first
    assert proc.asked == [10]


def test_facts_are_looked_up_again_when_they_are_old(
    proc: Proc, processes: KernelProcesses, clock: ManualClock
) -> None:
    processes.find(10)
    proc.shown[10] = ProcessFacts(10, 5_000_000, "sh", "/bin/sh", 1, 33, "www-data", None)
    clock.advance(59)
    begin(processes)
    assert processes.find(10) == processes.find(10)
    clock.advance(2)
    begin(processes)
    found = processes.find(10)

    assert found is not None
    assert found.user == "www-data"
    assert proc.asked == [10, 10]


@pytest.mark.parametrize("pid", [0, NOBODYS])
def test_nobody_is_nobody(pid: int, processes: KernelProcesses) -> None:
    assert processes.find(pid) is None
    assert processes.execute(execute(pid, "/bin/true")) is None
    assert processes.end(end(pid)) is None


def test_unknown_process_that_is_gone_has_its_number(processes: KernelProcesses) -> None:
    assert processes.find(99) == Process(pid=99)


def test_short_program_keeps_what_the_records_say(processes: KernelProcesses, program: str) -> None:
    processes.fork(fork(11, 10))
    expected = gone("true", program)

    assert processes.execute(execute(11, program)) == expected
    assert processes.find(11) == expected
    assert processes.end(end(11)) == expected
    assert processes.find(11) == expected  # a thread of it may still close a socket


def test_program_that_another_thread_executes_keeps_its_parent(
    processes: KernelProcesses, program: str
) -> None:
    processes.fork(fork(11, 10))
    processes.end(end(11))

    assert processes.execute(execute(11, program)) == gone("true", program)
    assert processes.end(end(11)) == gone("true", program)


def test_copy_of_a_process_is_no_program(processes: KernelProcesses) -> None:
    processes.fork(fork(11, 10))

    assert processes.find(11) == gone("sh", "/bin/sh")
    assert processes.end(end(11)) is None


def test_program_that_lives_is_looked_up(
    proc: Proc, processes: KernelProcesses, program: str
) -> None:
    processes.fork(fork(11, 10))
    proc.shown[11] = ProcessFacts(11, 90_010_000, "busybox", "/bin/busybox", 10, 1_000, "ada", "c1")

    assert processes.execute(execute(11, program)) == Process(
        11, 90_010_000, "busybox", "/bin/busybox", 10, 1_000, "ada", "c1"
    )


def test_process_that_waits_to_be_reaped_keeps_its_path(
    proc: Proc, processes: KernelProcesses, program: str
) -> None:
    processes.fork(fork(11, 10))
    proc.shown[11] = ProcessFacts(11, 90_000_000, "true", None, 10, 1_000, "ada", None)

    found = processes.execute(execute(11, program))
    assert found is not None
    assert (found.name, found.path) == ("true", program)


def test_pid_that_another_process_has_now_is_not_believed(
    proc: Proc, processes: KernelProcesses, program: str
) -> None:
    processes.fork(fork(11, 10))
    proc.shown[11] = ProcessFacts(11, 95_000_000, "other", "/bin/other", 10, 0, "root", None)

    assert processes.execute(execute(11, program)) == gone("true", program)


def test_before_an_exec_proc_speaks_of_later(
    proc: Proc, processes: KernelProcesses, program: str
) -> None:
    processes.fork(fork(11, 10))
    proc.shown[11] = ProcessFacts(11, 90_000_000, "true", program, 10, 1_000, "ada", None)
    coming = execute(11, program)
    begin(processes, coming)

    before = processes.find(11)
    after = processes.execute(coming)
    assert (before and before.name, after and after.name) == ("sh", "true")


@pytest.mark.parametrize(
    ("asked", "name", "path"),
    [("./job.sh", "job.sh", None), ("/gone/job", "job", "/gone/job"), ("", None, None)],
)
def test_program_that_cannot_be_seen_has_no_user(
    processes: KernelProcesses, asked: str, name: str | None, path: str | None
) -> None:
    processes.fork(fork(11, 10))
    found = processes.execute(execute(11, asked))

    assert found is not None
    assert (found.name, found.path, found.uid, found.user) == (name, path, None, None)


def test_set_uid_program_has_no_user(processes: KernelProcesses, program: str) -> None:
    Path(program).chmod(0o4755)
    processes.fork(fork(11, 10))

    assert processes.execute(execute(11, program)) == gone("true", program, uid=None)


def test_child_of_root_may_be_anybody(processes: KernelProcesses, program: str) -> None:
    processes.fork(fork(21, 20))
    found = processes.execute(execute(21, program))

    assert found is not None
    assert (found.uid, found.container_id, found.parent_pid) == (None, "c0", 20)


def test_threads_are_no_processes(proc: Proc, processes: KernelProcesses) -> None:
    processes.find(10)
    processes.fork(fork(10, 10, tid=12))
    processes.rename(CommRecord(0, 10, 12, 0, "worker"))

    assert processes.end(end(10, tid=12)) is None
    assert processes.find(10) == Process(10, 5_000_000, "sh", "/bin/sh", 1, 1_000, "ada", None)
    assert proc.asked == [10]


def test_name_counts_where_no_path_is_known(processes: KernelProcesses) -> None:
    processes.fork(fork(30, 2))  # of a kernel thread, which is not shown here
    processes.rename(CommRecord(0, 30, 30, 0, "kworker/0:1"))
    found = processes.find(30)

    assert found is not None
    assert (found.name, found.path) == ("kworker/0:1", None)


def test_lost_records_make_copies_nameless(processes: KernelProcesses) -> None:
    processes.find(10)
    processes.fork(fork(11, 10))
    begin(processes, is_lossy=True)
    processes.fork(fork(12, 10))

    assert processes.find(11) == Process(pid=11)
    assert processes.find(12) == Process(pid=12, start_us=90_000_000, parent_pid=10)
    assert processes.find(10) == Process(10, 5_000_000, "sh", "/bin/sh", 1, 1_000, "ada", None)


def test_every_end_has_a_name_once_all_were_looked_at(
    proc: Proc, processes: KernelProcesses
) -> None:
    assert processes.end(end(99)) == Process(pid=99, parent_pid=1)
    processes.learn_all()
    proc.shown.clear()
    found = processes.end(end(10))

    assert found is not None
    assert found.name == "sh"


def test_process_of_another_network_is_elsewhere_and_so_are_its_children(
    proc: Proc, processes: KernelProcesses
) -> None:
    proc.networks[20] = 2
    for pid in (10, 20, 99):
        processes.find(pid)
    processes.fork(fork(21, 20))

    assert [processes.is_elsewhere(pid) for pid in (10, 20, 21, 99)] == [False, True, True, False]


def test_network_that_is_not_shown_is_not_elsewhere(
    proc: Proc, processes: KernelProcesses, clock: ManualClock
) -> None:
    processes.find(20)
    proc.networks.clear()
    blind = KernelProcesses(proc, clock)
    proc.networks[20] = 2
    blind.find(20)

    assert not processes.is_elsewhere(20)
    assert not blind.is_elsewhere(20)


def test_memory_is_bounded(processes: KernelProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perf_processes, "CAPACITY", 2)
    monkeypatch.setattr(perf_processes, "MAX_ENDED", 1)
    for pid in (31, 32, 33):
        processes.fork(fork(pid, 10))
    assert len(processes._entries) == 2
    for pid in (32, 33):
        processes.end(end(pid))
    assert list(processes._ended) == [33]


def test_sleep_of_the_host_is_no_negative_time() -> None:
    assert suspended_ns() >= 0
