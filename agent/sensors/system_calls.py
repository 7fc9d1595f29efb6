"""Numbers of the system calls that Python has no function for, by machine.

In: what this machine is. Out: its numbers, or none where they are not known.
Source: Linux arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_POINTER_BYTES: Final = 8


class SystemCalls(NamedTuple):
    """The numbers of one machine."""

    perf_event_open: int
    bpf: int


SYSTEM_CALLS: Final[Mapping[str, SystemCalls]] = MappingProxyType(
    {
        "x86_64": SystemCalls(perf_event_open=298, bpf=321),
        "aarch64": SystemCalls(perf_event_open=241, bpf=280),
    }
)


def find_system_calls() -> SystemCalls | None:
    """Return the numbers of this machine; None where they are not known.

    A Python of 32 bits on a kernel of 64 has other ones, though the machine has the same name.
    """
    if struct.calcsize("P") != _POINTER_BYTES:
        return None
    return SYSTEM_CALLS.get(platform.machine())
