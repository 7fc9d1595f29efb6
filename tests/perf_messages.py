"""Records as the kernel writes them into a perf ring, and rings that hold what a test puts in."""

import socket
import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from agent.decode.trace_format import TraceFormat
from agent.sensors.perf_tracepoints import Tracepoints, find_tracepoints
from agent.sensors.socket_rows import TcpState

FIXTURES = Path(__file__).parent / "fixtures" / "perf"
X86_64, AARCH64 = "x86_64-6.18", "aarch64-5.4"
RECORDED = FIXTURES / X86_64 / "ring-0.bin"
CLIENT, SERVER = 0xFFFF_8880_0000_1000, 0xFFFF_8880_0000_2000
LOST, COMM, EXIT, THROTTLE, FORK, SAMPLE, LOST_SAMPLES = 2, 3, 4, 5, 7, 9, 13
SOFT_INTERRUPT = 0x10
WEB, PEER = ("192.0.2.1", 443), ("198.51.100.7", 50_000)


@cache
def tracepoints(machine: str = X86_64) -> Tracepoints:
    return find_tracepoints([FIXTURES / machine])


def record(kind: int, body: bytes, *, misc: int = 0) -> bytes:
    body += bytes(-len(body) % 8)
    return struct.pack("=IHH", kind, misc, 8 + len(body)) + body


def sample(raw: bytes, *, pid: int = 1, tid: int | None = None, time_ns: int = 0) -> bytes:
    raw += bytes(-(4 + len(raw)) % 8)
    head = struct.pack("=IIQI", pid, tid or pid, time_ns, len(raw))
    return record(SAMPLE, head + raw, misc=1)


def socket_sample(
    old: int,
    new: int,
    *,
    address: int = CLIENT,
    local: tuple[str, int] = WEB,
    remote: tuple[str, int] = PEER,
    pid: int = 1,
    time_ns: int = 0,
    flags: int = 0,
    machine: str = X86_64,
) -> bytes:
    values: dict[str, int | bytes] = {
        "common_flags": flags,
        "skaddr": address,
        "oldstate": old,
        "newstate": new,
        "sport": local[1],
        "dport": remote[1],
        "protocol": socket.IPPROTO_TCP,
        "saddr_v6": address_bytes(local[0]),
        "daddr_v6": address_bytes(remote[0]),
    }
    return sample(raw_of(tracepoints(machine).sockets, values), pid=pid, time_ns=time_ns)


def exec_sample(
    path: bytes, *, pid: int = 1, time_ns: int = 0, machine: str = X86_64, at: int = 20
) -> bytes:
    name = path + b"\0"
    values = {"filename": len(name) << 16 | at, "pid": pid}
    raw = raw_of(tracepoints(machine).execs, values)
    return sample(raw + name, pid=pid, time_ns=time_ns)


def raw_of(trace_format: TraceFormat, values: Mapping[str, int | bytes]) -> bytes:
    size = max(field.offset + field.size for field in trace_format.fields.values())
    raw = bytearray(size)
    for name, value in {"common_type": trace_format.id, **values}.items():
        field = trace_format.fields[name]
        data = value if isinstance(value, bytes) else value.to_bytes(field.size, "little")
        raw[field.offset : field.offset + field.size] = data
    return bytes(raw)


def task(kind: int, pid: int, parent: int, *, tid: int | None = None, time_ns: int = 0) -> bytes:
    body = struct.pack("=IIIIQ", pid, parent, tid or pid, parent, time_ns)
    return record(kind, body + struct.pack("=IIQ", parent, parent, time_ns))


def fork(pid: int, parent: int, *, tid: int | None = None, time_ns: int = 0) -> bytes:
    return task(FORK, pid, parent, tid=tid, time_ns=time_ns)


def end(pid: int, parent: int = 1, *, tid: int | None = None, time_ns: int = 0) -> bytes:
    return task(EXIT, pid, parent, tid=tid, time_ns=time_ns)


def comm(name: bytes, *, pid: int, tid: int | None = None, time_ns: int = 0) -> bytes:
    padded = name + bytes(8 - len(name) % 8)
    body = struct.pack("=II", pid, tid or pid) + padded
    return record(COMM, body + struct.pack("=IIQ", pid, tid or pid, time_ns))


def lost(count: int) -> bytes:
    return record(LOST, struct.pack("=QQIIQ", 7, count, 0, 0, 0))


def lost_samples(count: int) -> bytes:
    return record(LOST_SAMPLES, struct.pack("=QIIQ", count, 0, 0, 0))


def throttle() -> bytes:
    return record(THROTTLE, struct.pack("=QQQIIQ", 0, 0, 0, 0, 0, 0))


def address_bytes(address: str) -> bytes:
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)
    return bytes(10) + b"\xff\xff" + socket.inet_pton(socket.AF_INET, address)


def life(
    *,
    time_ns: int,
    pid: int,
    local: tuple[str, int],
    remote: tuple[str, int],
    address: int = CLIENT,
) -> list[bytes]:
    """Return what the kernel tells of an outbound connection, from begin to end."""
    steps = (
        (TcpState.CLOSE, TcpState.SYN_SENT, (local[0], 0), 0),
        (TcpState.SYN_SENT, TcpState.ESTABLISHED, local, SOFT_INTERRUPT),
        (TcpState.ESTABLISHED, TcpState.FIN_WAIT1, local, 0),
        (TcpState.FIN_WAIT2, TcpState.CLOSE, local, SOFT_INTERRUPT),
    )
    return [
        socket_sample(
            old,
            new,
            address=address,
            local=ends,
            remote=remote,
            pid=pid,
            time_ns=time_ns + index * 1_000,
            flags=flags,
        )
        for index, (old, new, ends, flags) in enumerate(steps)
    ]


class ScriptedRings:
    """Rings that hold what a test puts into ``waiting``, a block for each CPU."""

    def __init__(self, _: Tracepoints | None = None, total_bytes: int = 0) -> None:
        self.total_bytes = total_bytes
        self.cpus: Sequence[int] = (0, 1)
        self.waiting: list[bytes] = []
        self.is_closed = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> list[bytes]:
        taken, self.waiting = self.waiting, []
        return taken

    def close(self) -> None:
        self.is_closed = True
        self._socket.close()
