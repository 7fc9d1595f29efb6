"""perf_event_open: one stream of a tracepoint's records on one CPU.

In: the id of a tracepoint, a CPU. Out: a file descriptor, switched off until it is enabled.
Source: perf_event_open(2), Linux include/uapi/linux/perf_event.h (PERF_ATTR_SIZE_VER5, Linux 4.1).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import platform
import struct
import time
from typing import Final, NamedTuple

from agent.decode.perf_records import SAMPLE_TYPE
from agent.errors import PerfError
from agent.sensors.system_calls import find_system_calls

_ATTRIBUTES: Final = struct.Struct("=IIQQQQQI36xIi16x")
_TYPE_TRACEPOINT: Final = 2
_DISABLED: Final = 1 << 0
_COMM: Final = 1 << 9
_TASK: Final = 1 << 13
_WATERMARK: Final = 1 << 14  # wake after so many bytes and not after so many records
_SAMPLE_ID_ALL: Final = 1 << 18
_USE_CLOCKID: Final = 1 << 25
_FLAG_FD_CLOEXEC: Final = 1 << 3
_EVERY_PROCESS: Final = -1
_NO_GROUP: Final = -1

_IOC_ENABLE: Final = 0x2400
_IOC_SET_OUTPUT: Final = 0x2405
_IOC_SET_FILTER: Final = 0x40082406


try:
    _LIBC: ctypes.CDLL | None = ctypes.CDLL(None, use_errno=True)
except (OSError, TypeError):  # no such library outside POSIX
    _LIBC = None


class Tracing(NamedTuple):
    """What to trace and when to wake."""

    tracepoint: int
    watermark_bytes: int
    with_tasks: bool
    """Whether begins, ends and names of processes come along."""


def open_event(tracing: Tracing, cpu: int) -> int:
    """Open a tracepoint on a CPU, for every process; return its descriptor.

    Raises:
        PerfError: The kernel refuses, or this machine's system calls are not known.
    """
    calls = find_system_calls()
    if _LIBC is None or calls is None:
        raise PerfError(f"open an event on {platform.machine()}", errno.ENOSYS)
    attributes = ctypes.create_string_buffer(pack_attributes(tracing))
    fileno = _LIBC.syscall(
        ctypes.c_long(calls.perf_event_open),
        attributes,
        ctypes.c_int(_EVERY_PROCESS),
        ctypes.c_int(cpu),
        ctypes.c_int(_NO_GROUP),
        ctypes.c_ulong(_FLAG_FD_CLOEXEC),
    )
    if fileno < 0:
        raise PerfError("open an event", ctypes.get_errno())
    return int(fileno)


def pack_attributes(tracing: Tracing) -> bytes:
    """Return the kernel's ``struct perf_event_attr``.

    Times are of CLOCK_MONOTONIC, so that records of all CPUs have one order and can be turned into
    wall clock.
    """
    flags = _DISABLED | _WATERMARK | _SAMPLE_ID_ALL | _USE_CLOCKID
    if tracing.with_tasks:
        flags |= _TASK | _COMM
    return _ATTRIBUTES.pack(
        _TYPE_TRACEPOINT,
        _ATTRIBUTES.size,
        tracing.tracepoint,
        1,  # every occurrence
        SAMPLE_TYPE,
        0,
        flags,
        tracing.watermark_bytes,
        0,
        time.CLOCK_MONOTONIC,
    )


def set_filter(fileno: int, condition: str) -> None:
    """Let the kernel drop records that do not meet ``condition``.

    Raises:
        PerfError: The kernel does not understand it.
    """
    _control(fileno, _IOC_SET_FILTER, condition.encode("ascii") + b"\0", "set a filter")


def share_ring(fileno: int, *, ring: int) -> None:
    """Let an event write into the ring of another event of the same CPU.

    Raises:
        PerfError: The kernel refuses.
    """
    _control(fileno, _IOC_SET_OUTPUT, ring, "share a ring")


def enable(fileno: int) -> None:
    """Switch an event on.

    Raises:
        PerfError: The kernel refuses.
    """
    _control(fileno, _IOC_ENABLE, 0, "switch an event on")


def _control(fileno: int, request: int, argument: int | bytes, action: str) -> None:
    try:
        fcntl.ioctl(fileno, request, argument)
    except OSError as error:
        raise PerfError(action, error.errno or errno.EIO) from error
