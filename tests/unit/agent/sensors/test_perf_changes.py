import pytest

from agent.decode.perf_records import RecordReader
from agent.sensors.observations import ProcessChange, SocketChange
from agent.sensors.perf_changes import read_changes
from agent.sensors.perf_processes import KernelProcesses
from agent.sensors.processes import ProcessFacts
from agent.sensors.socket_rows import TcpState
from rules.telemetry import ManualClock
from tests.perf_messages import (
    PEER,
    SOFT_INTERRUPT,
    WEB,
    comm,
    end,
    exec_sample,
    fork,
    socket_sample,
    tracepoints,
)

CLOSE, SYN_SENT, ESTABLISHED = TcpState.CLOSE, TcpState.SYN_SENT, TcpState.ESTABLISHED
FIN_WAIT1, CLOSE_WAIT, LAST_ACK = TcpState.FIN_WAIT1, TcpState.CLOSE_WAIT, TcpState.LAST_ACK


class Proc:
    """A /proc with one process."""

    def pids(self) -> list[int]:
        return [80]

    def facts(self, pid: int) -> ProcessFacts | None:
        return ProcessFacts(80, 0, "nginx", None, 1, 33, None, None) if pid == 80 else None

    def network(self, pid: int | str) -> int | None:
        return {"self": 1, 80: 2}.get(pid)

    def start_us(self, since_boot_ns: int) -> int:
        return since_boot_ns // 1_000


def read(*records: bytes, with_programs: bool = True) -> list[SocketChange | ProcessChange]:
    return read_changes(
        RecordReader(*tracepoints()).read(b"".join(records)),
        KernelProcesses(Proc(), ManualClock()),
        offset_us=1_000,
        with_programs=with_programs,
    )


def test_change_has_time_ends_and_who_acted() -> None:
    (change,) = read(socket_sample(CLOSE, SYN_SENT, pid=80, time_ns=2_500))

    assert isinstance(change, SocketChange)
    assert (change.ts_us, change.old_state, change.new_state) == (1_002, CLOSE, SYN_SENT)
    assert (change.local_address, change.local_port) == WEB
    assert (change.remote_address, change.remote_port) == PEER
    assert change.process is not None
    assert change.process.name == "nginx"


@pytest.mark.parametrize(
    ("old", "new", "flags", "is_known"),
    [
        (CLOSE, SYN_SENT, 0, True),
        (ESTABLISHED, FIN_WAIT1, 0, True),
        (CLOSE_WAIT, LAST_ACK, 0, True),
        (ESTABLISHED, CLOSE, 0, True),
        (CLOSE_WAIT, CLOSE, 0, True),
        (ESTABLISHED, CLOSE, SOFT_INTERRUPT, False),
        (CLOSE_WAIT, LAST_ACK, 0x08, False),
        (SYN_SENT, ESTABLISHED, 0, False),
        (LAST_ACK, CLOSE, 0, False),
    ],
)
def test_only_what_the_holder_did_has_a_process(
    old: int,
    new: int,
    flags: int,
    is_known: bool,  # noqa: FBT001
) -> None:
    (change,) = read(socket_sample(old, new, pid=80, flags=flags))
    assert isinstance(change, SocketChange)

    assert (change.process is not None) == is_known
    assert change.is_elsewhere == is_known


def test_programs_come_where_they_are_wanted() -> None:
    records = (
        fork(81, 80, time_ns=1_000),
        comm(b"true", pid=81, time_ns=2_000),
        exec_sample(b"/bin/true", pid=81, time_ns=3_000),
        socket_sample(CLOSE, SYN_SENT, pid=81, time_ns=4_000),
        end(81, 80, time_ns=5_000),
        end(82, 80, tid=83),
        exec_sample(b"/bin/true", pid=0),
    )
    begun, change, ended = read(*records)

    assert isinstance(begun, ProcessChange)
    assert isinstance(ended, ProcessChange)
    assert (begun.ts_us, begun.state, ended.ts_us, ended.state) == (
        1_003,
        "started",
        1_005,
        "exited",
    )
    assert begun.process == change.process == ended.process
    assert (begun.process.name, begun.process.parent_pid) == ("true", 80)
    assert read(*records, with_programs=False) == [change]


def test_programs_that_nobody_asks_for_are_looked_up_once_they_connect() -> None:
    looks: list[int] = []

    class CountingProc(Proc):
        def facts(self, pid: int) -> ProcessFacts | None:
            looks.append(pid)
            return super().facts(pid)

    processes = KernelProcesses(CountingProc(), ManualClock())
    reader = RecordReader(*tracepoints())

    def hear(*records: bytes) -> list[SocketChange | ProcessChange]:
        found = reader.read(b"".join(records))
        processes.begin(found, is_lossy=False)
        return read_changes(found, processes, offset_us=0, with_programs=False)

    assert hear(exec_sample(b"/usr/sbin/nginx", pid=80, time_ns=1)) == []
    assert looks == []
    (change,) = hear(socket_sample(CLOSE, SYN_SENT, pid=80, time_ns=2_500))
    assert isinstance(change, SocketChange)
    assert change.process is not None
    assert (looks, change.process.uid) == ([80], 33)
