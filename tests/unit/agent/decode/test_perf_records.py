import socket
from dataclasses import replace

import pytest

from agent.decode.perf_records import (
    CommRecord,
    ExecRecord,
    Record,
    RecordReader,
    SocketRecord,
    TaskRecord,
    check_formats,
)
from agent.decode.trace_format import Field
from agent.errors import DecodeError
from agent.sensors.socket_rows import TcpState
from tests.perf_messages import (
    AARCH64,
    CLIENT,
    PEER,
    RECORDED,
    SAMPLE,
    WEB,
    X86_64,
    address_bytes,
    comm,
    end,
    exec_sample,
    fork,
    lost,
    lost_samples,
    record,
    sample,
    socket_sample,
    throttle,
    tracepoints,
)


def reader(machine: str = X86_64) -> RecordReader:
    return RecordReader(*tracepoints(machine))


def read(*records: bytes, machine: str = X86_64) -> list[Record]:
    reads = reader(machine)
    found = reads.read(b"".join(records))
    assert not reads.lost
    return found


def test_recorded_ring_is_read_to_its_end() -> None:
    reads = reader()
    records = reads.read(RECORDED.read_bytes())

    assert not reads.lost
    sockets = [each for each in records if isinstance(each, SocketRecord)]
    assert len(sockets) == 21
    assert len({each.socket for each in sockets if each.new_state == TcpState.SYN_SENT}) == 3
    assert {each.pid for each in sockets} == {29_680}
    texts = {socket.inet_ntop(socket.AF_INET6, each.local_address) for each in sockets}
    assert texts == {"::ffff:127.0.0.1", "::1"}
    assert [type(each) for each in records[21:]] == [TaskRecord, CommRecord, ExecRecord, TaskRecord]
    assert [each.pid for each in records[21:]] == [29_681] * 4
    assert sorted(each.time_ns for each in records) == [each.time_ns for each in records]


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_socket_record_has_every_field(machine: str) -> None:
    made = socket_sample(2, 1, pid=80, time_ns=5_000, flags=0x10, machine=machine)
    (found,) = read(made, machine=machine)

    assert isinstance(found, SocketRecord)
    assert (found.pid, found.tid, found.time_ns, found.flags) == (80, 80, 5_000, 0x10)
    assert (found.socket, found.old_state, found.new_state) == (CLIENT, 2, 1)
    assert (found.local_port, found.remote_port) == (WEB[1], PEER[1])
    assert found.local_address == address_bytes(WEB[0])
    assert found.remote_address == address_bytes(PEER[0])


@pytest.mark.parametrize("machine", [X86_64, AARCH64])
def test_executed_file_is_read(machine: str) -> None:
    (found,) = read(exec_sample(b"/bin/a\xff", pid=9, machine=machine), machine=machine)

    assert isinstance(found, ExecRecord)
    assert (found.pid, found.file_name) == (9, "/bin/a\ufffd")


def test_kinds_are_read_in_their_order() -> None:
    found = read(
        fork(9, 1, time_ns=1),
        comm(b"sh", pid=9, time_ns=2),
        socket_sample(7, 2, pid=9, time_ns=3),
        exec_sample(b"/bin/true", pid=9, time_ns=4),
        socket_sample(2, 1, pid=9, time_ns=5),
        socket_sample(1, 4, pid=9, time_ns=6),
        end(9, 1, time_ns=7),
    )

    assert [each.time_ns for each in found] == [1, 2, 3, 4, 5, 6, 7]
    assert found[0] == TaskRecord(False, 9, 9, 1, 1)  # noqa: FBT003
    assert isinstance(found[1], CommRecord)
    assert found[1].name == "sh"
    assert found[6] == TaskRecord(True, 9, 9, 7, 1)  # noqa: FBT003


def test_losses_are_counted_by_cause() -> None:
    reads = reader()
    found = reads.read(lost(40) + socket_sample(2, 1) + lost_samples(2) + throttle())

    assert len(found) == 1
    assert reads.lost == {"ring_full": 42, "throttled": 1}


def test_unknown_kinds_are_left_out() -> None:
    assert len(read(record(99, b"what is this"), socket_sample(2, 1))) == 1


@pytest.mark.parametrize(
    "broken",
    [
        bytes(8),  # a record of no size
        record(SAMPLE, bytes(8)),
        socket_sample(2, 1)[:-8],
        b"\x09\0\0",
    ],
    ids=["empty", "short", "cut", "no header"],
)
def test_block_that_breaks_off_is_read_up_to_there(broken: bytes) -> None:
    reads = reader()

    assert len(reads.read(socket_sample(2, 1) + broken)) == 1
    assert reads.lost == {"ring_unreadable": 1}


@pytest.mark.parametrize(
    "strange",
    [
        sample(b"\xff\xff" + bytes(70)),  # of no tracepoint that was asked for
        sample(tracepoints().sockets.id.to_bytes(2, "little") + bytes(10)),
        exec_sample(b"/bin/true", at=4_000),
    ],
    ids=["other tracepoint", "short raw record", "name outside"],
)
def test_sample_that_makes_no_sense_is_counted(strange: bytes) -> None:
    reads = reader()

    assert len(reads.read(strange + socket_sample(2, 1))) == 1
    assert reads.lost == {"ring_unreadable": 1}


def test_samples_of_other_sizes_have_their_own_layout() -> None:
    made = socket_sample(2, 1)
    longer = [
        made[:6] + (len(made) + extra).to_bytes(2, "little") + made[8:] + bytes(extra)
        for extra in range(0, 40 * 8, 8)
    ]
    reads = reader()

    assert len(reads.read(b"".join(longer))) == 40
    assert not reads.lost


def test_formats_without_whole_addresses_are_refused() -> None:
    sockets, execs = tracepoints()
    short = replace(sockets, fields={**sockets.fields, "daddr_v6": Field(56, 4, "4s")})

    check_formats(sockets, execs)
    with pytest.raises(DecodeError, match="daddr_v6 is no IPv6 address"):
        check_formats(short, execs)
