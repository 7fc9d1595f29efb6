"""From records to changes: each socket and program with the process that acted.

In: records by time, and who is who. Out: ``SocketChange`` and ``ProcessChange``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from agent.decode.perf_records import (
    CommRecord,
    ExecRecord,
    Record,
    SocketRecord,
    TaskRecord,
)
from agent.sensors.netlink import read_address
from agent.sensors.observations import ProcessChange, SocketChange
from agent.sensors.socket_rows import TcpState

if TYPE_CHECKING:
    from agent.sensors.perf_processes import KernelProcesses

_IN_INTERRUPT: Final = 0x18  # flags of a record: a hard or a soft interrupt
# States that only a system call of the socket's holder leads to. Any other may be the work of
# whoever was running when a packet came in, even outside of interrupts.
_OF_HOLDER: Final = frozenset(map(int, (TcpState.SYN_SENT, TcpState.FIN_WAIT1, TcpState.LAST_ACK)))
_CLOSE: Final = int(TcpState.CLOSE)
_ABORTED: Final = frozenset(map(int, (TcpState.ESTABLISHED, TcpState.CLOSE_WAIT)))


def read_changes(
    records: Iterable[Record], processes: KernelProcesses, *, offset_us: int, with_programs: bool
) -> list[SocketChange | ProcessChange]:
    """Return what records tell, in their order; processes learn from them on the way.

    Args:
        records: By time.
        processes: Who is who.
        offset_us: Wall clock minus the records' clock.
        with_programs: Whether executed files and ends of programs are wanted too.
    """
    changes: list[SocketChange | ProcessChange] = []
    append, find, text, new = changes.append, processes.find, read_address, tuple.__new__
    is_elsewhere = processes.is_elsewhere
    for record in records:
        if type(record) is not SocketRecord:
            change = _read_task(record, processes, offset_us, with_programs=with_programs)
            if change is not None:
                append(change)
            continue
        _, pid, _, time_ns, _, _, flags, socket, old, state, port, peer_port, local, peer = record
        is_holder = not flags & _IN_INTERRUPT and (
            # A holder that leaves data unread, or wants no farewell, closes at once.
            state in _OF_HOLDER or (state == _CLOSE and old in _ABORTED)
        )
        # Calling SocketChange itself would take twice as long.
        fields = (
            time_ns // 1_000 + offset_us,
            socket,
            old,
            state,
            text(local)[1],
            port,
            text(peer)[1],
            peer_port,
            find(pid) if is_holder else None,
            is_holder and is_elsewhere(pid),
        )
        append(new(SocketChange, fields))
    return changes


def _read_task(
    record: Record, processes: KernelProcesses, offset_us: int, *, with_programs: bool
) -> ProcessChange | None:
    ts_us = record.time_ns // 1_000 + offset_us
    if type(record) is ExecRecord:
        program = processes.execute(record, is_wanted=with_programs)
        return None if program is None else ProcessChange(ts_us, "started", program)
    if type(record) is CommRecord:
        processes.rename(record)
    elif type(record) is TaskRecord and record.is_exit:
        program = processes.end(record)
        if with_programs and program is not None:
            return ProcessChange(ts_us, "exited", program)
    elif type(record) is TaskRecord:
        processes.fork(record)
    return None
