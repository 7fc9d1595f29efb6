"""Records of a perf ring: what the kernel tells of sockets and processes, and what it lost.

In: bytes of a ring, in the order in which one CPU wrote them; formats of the two tracepoints.
Out: records, and losses by cause. Nothing in the bytes is trusted to be well formed.
Source: perf_event_open(2), Linux include/uapi/linux/perf_event.h.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

from agent.decode.procfs import read_text
from agent.decode.trace_format import Layout, TraceFormat, make_layout
from agent.errors import DecodeError

SAMPLE_TYPE: Final = 1 << 1 | 1 << 2 | 1 << 10
"""What every sample carries: PERF_SAMPLE_TID, _TIME and _RAW; other records the first two."""

SOCKET_FIELDS: Final = (
    "common_type",
    "common_flags",
    "skaddr",
    "oldstate",
    "newstate",
    "sport",
    "dport",
    "saddr_v6",  # IPv4 too, mapped
    "daddr_v6",
)
EXEC_FIELDS: Final = ("common_type", "filename")

RING_FULL: Final = "ring_full"
THROTTLED: Final = "throttled"
UNREADABLE: Final = "ring_unreadable"

_LOST, _COMM, _EXIT, _THROTTLE, _FORK, _SAMPLE, _LOST_SAMPLES = 2, 3, 4, 5, 7, 9, 13

_HEADER: Final = struct.Struct("=Q")  # type (32 bits), misc (16), size (16)
_SAMPLE_HEAD: Final = "QIIQI"  # header, pid, tid, time, bytes of the raw record
_RAW_AT: Final = struct.calcsize(f"={_SAMPLE_HEAD}")
_TYPE: Final = struct.Struct(f"={_RAW_AT}xH")
_PID: Final = struct.Struct("=8xI")
_TASK: Final = struct.Struct("=8xIIIIQ")  # pid, parent's pid, tid, parent's tid, time
_COMM_HEAD: Final = struct.Struct("=8xII")  # pid, tid; the name follows
_SAMPLE_ID: Final = struct.Struct("=IIQ")  # pid, tid, time at the end of a record without sample
_LOST_COUNT: Final = struct.Struct("=16xQ")
_LOST_SAMPLES_COUNT: Final = struct.Struct("=8xQ")
_SMALLEST: Final = {
    _LOST: _LOST_COUNT.size,
    _COMM: _COMM_HEAD.size + _SAMPLE_ID.size,
    _EXIT: _TASK.size,
    _FORK: _TASK.size,
    _SAMPLE: _TYPE.size,
    _LOST_SAMPLES: _LOST_SAMPLES_COUNT.size,
}
_MAX_LAYOUTS: Final = 16  # records of one tracepoint have one size, with rare exceptions


class SocketRecord(NamedTuple):
    """A TCP socket that is about to change its state."""

    header: int
    pid: int
    tid: int
    time_ns: int
    raw_bytes: int
    type: int
    flags: int
    """Bits 0x08 and 0x10: in an interrupt, so that the process has nothing to do with it."""
    socket: int
    """Address of the kernel's socket; used again once the socket is gone."""
    old_state: int
    new_state: int
    local_port: int
    remote_port: int
    local_address: bytes
    """16 bytes."""
    remote_address: bytes


class TaskRecord(NamedTuple):
    """A thread that began or ended; it is a process where ``pid`` equals ``tid``."""

    is_exit: bool
    pid: int
    tid: int
    time_ns: int
    parent_pid: int


class CommRecord(NamedTuple):
    """A thread that got another name."""

    header: int
    pid: int
    tid: int
    time_ns: int
    name: str


class ExecRecord(NamedTuple):
    """A process that executed a file."""

    header: int
    pid: int
    tid: int
    time_ns: int
    file_name: str
    """As it was asked for: a link, a script, or relative to an unknown folder."""


Record: TypeAlias = SocketRecord | TaskRecord | CommRecord | ExecRecord


class RecordReader:
    """Reads blocks of records of this kernel.

    Args:
        sockets: Format of ``sock:inet_sock_set_state``.
        execs: Format of ``sched:sched_process_exec``.

    Raises:
        DecodeError: A format lacks a field.
    """

    def __init__(self, sockets: TraceFormat, execs: TraceFormat) -> None:
        self.lost: Counter[str] = Counter()
        """What is missing, by cause; only ever counts up."""
        self._sockets = sockets
        self._execs = execs
        self._exec_layout = make_layout(execs, EXEC_FIELDS, head=_SAMPLE_HEAD)
        self._socket_bytes = make_layout(sockets, SOCKET_FIELDS, head=_SAMPLE_HEAD).fields.size
        self._layouts: dict[int, Layout] = {}
        self._others: dict[int, Callable[[bytes, list[Record]], None]] = {
            _LOST: self._count_lost,
            _LOST_SAMPLES: self._count_lost_samples,
            _THROTTLE: self._count_throttle,
            _FORK: _read_fork,
            _EXIT: _read_exit,
            _COMM: _read_comm,
        }

    def read(self, block: bytes) -> list[Record]:
        """Return the records of a block; kinds that are not known are left out."""
        return self.read_some(block, 0, len(block))[0]

    def read_some(self, block: bytes, offset: int, most_bytes: int) -> tuple[list[Record], int]:
        """Return the records from an offset on, and where those begin that are left.

        Args:
            block: Whole records.
            offset: Where to begin.
            most_bytes: After how many bytes to stop; records are not cut, and there is one at least
                unless the block ends before.
        """
        records: list[Record] = []
        end, stop = len(block), offset + most_bytes
        while offset < end and (offset < stop or not records):
            header = int.from_bytes(block[offset : offset + _HEADER.size], "little")
            kind, size = header & 0xFFFF_FFFF, header >> 48
            if not max(_HEADER.size, _SMALLEST.get(kind, 0)) <= size <= end - offset:
                self.lost[UNREADABLE] += 1  # where the next one would begin, nobody knows
                return records, end
            if kind == _SAMPLE:
                until = max(stop, offset + size)
                offset += self._read_samples(block, offset, until, header, records)
                continue
            read = self._others.get(kind)
            if read is not None:
                read(block[offset : offset + size], records)
            offset += size
        return records, offset

    def exec_pids(self, block: bytes) -> Iterator[int]:
        """Yield the process of each executed file in a block, without reading its records."""
        offset, end = 0, len(block)
        while offset < end:
            header = int.from_bytes(block[offset : offset + _HEADER.size], "little")
            size = header >> 48
            if not _HEADER.size <= size <= end - offset:
                return
            if header & 0xFFFF_FFFF == _SAMPLE and size >= _TYPE.size:
                (kind,) = _TYPE.unpack_from(block, offset)
                if kind == self._execs.id:
                    yield _PID.unpack_from(block, offset)[0]
            offset += size

    def _read_samples(
        self, block: bytes, offset: int, until: int, header: int, records: list[Record]
    ) -> int:
        """Read the sample at ``offset`` and those like it that follow; return their bytes."""
        size = header >> 48
        (kind,) = _TYPE.unpack_from(block, offset)
        if kind == self._sockets.id and size >= self._socket_bytes:
            return self._read_sockets(memoryview(block)[offset:until], header, records)
        if kind == self._execs.id and size >= self._exec_layout.fields.size:
            self._read_exec(block[offset : offset + size], records)
        else:
            self.lost[UNREADABLE] += 1
        return size

    def _read_sockets(self, block: memoryview, header: int, records: list[Record]) -> int:
        size = header >> 48
        layout = self._layouts.get(size) or self._learn_layout(size)
        wanted, new, append = self._sockets.id, tuple.__new__, records.append
        rows = layout.fields.iter_unpack(block[: len(block) // size * size])
        begin = len(records)
        for row in rows if layout.permute is None else map(layout.permute, rows):
            if row[0] != header or row[5] != wanted:
                break
            # Calling SocketRecord itself would take twice as long.
            append(new(SocketRecord, row))
        return (len(records) - begin) * size

    def _learn_layout(self, size: int) -> Layout:
        if len(self._layouts) >= _MAX_LAYOUTS:
            self._layouts.clear()
        layout = make_layout(self._sockets, SOCKET_FIELDS, head=_SAMPLE_HEAD, size=size)
        return self._layouts.setdefault(size, layout)

    def _read_exec(self, record: bytes, records: list[Record]) -> None:
        header, pid, tid, time_ns, raw_bytes, _, place = self._exec_layout.read(record)
        begin, length = _RAW_AT + (place & 0xFFFF), place >> 16  # as __data_loc says
        if begin + length > min(len(record), _RAW_AT + raw_bytes):
            self.lost[UNREADABLE] += 1
            return
        name = record[begin : begin + length].split(b"\0", 1)[0]
        records.append(ExecRecord(header, pid, tid, time_ns, read_text(name)))

    def _count_lost(self, record: bytes, _: list[Record]) -> None:
        self.lost[RING_FULL] += _LOST_COUNT.unpack_from(record)[0]

    def _count_lost_samples(self, record: bytes, _: list[Record]) -> None:
        self.lost[RING_FULL] += _LOST_SAMPLES_COUNT.unpack_from(record)[0]

    def _count_throttle(self, _: bytes, __: list[Record]) -> None:
        self.lost[THROTTLED] += 1  # at least; the kernel does not say how many it held back


def _read_fork(record: bytes, records: list[Record]) -> None:
    pid, parent_pid, tid, _, time_ns = _TASK.unpack_from(record)
    records.append(TaskRecord(False, pid, tid, time_ns, parent_pid))  # noqa: FBT003


def _read_exit(record: bytes, records: list[Record]) -> None:
    pid, parent_pid, tid, _, time_ns = _TASK.unpack_from(record)
    records.append(TaskRecord(True, pid, tid, time_ns, parent_pid))  # noqa: FBT003


def _read_comm(record: bytes, records: list[Record]) -> None:
    pid, tid = _COMM_HEAD.unpack_from(record)
    _, _, time_ns = _SAMPLE_ID.unpack_from(record, len(record) - _SAMPLE_ID.size)
    name = record[_COMM_HEAD.size : -_SAMPLE_ID.size].split(b"\0", 1)[0]
    header = int.from_bytes(record[: _HEADER.size], "little")
    records.append(CommRecord(header, pid, tid, time_ns, read_text(name)))


def check_formats(sockets: TraceFormat, execs: TraceFormat) -> None:
    """Check that records of these formats can be read.

    Raises:
        DecodeError: They cannot.
    """
    RecordReader(sockets, execs)
    for trace_format, name in ((sockets, "saddr_v6"), (sockets, "daddr_v6")):
        if trace_format.fields[name].size != 16:  # noqa: PLR2004
            raise DecodeError("tracepoint format", f"{name} is no IPv6 address")
