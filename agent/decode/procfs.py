"""Files of /proc, from bytes to facts.

In: content of ``stat``, ``status`` and ``cgroup``, parts of which their processes choose.
Out: numbers and text. Source: proc(5), cgroups(7).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from agent.errors import DecodeError

_PARENT_FIELD: Final = 1  # fields of stat counted from the state, which follows the name
_START_FIELD: Final = 19
_DELETED: Final = b" (deleted)"  # the kernel's mark on an executable that was replaced

# The id that a container runtime puts at the end of a control group's path. Docker, containerd,
# CRI-O, Podman and Kubernetes: 64 hexadecimal digits, bare or as `<runtime>-<id>.scope`.
# Amazon ECS on Fargate: the task's 32 digits and a number. `conmon` watches a container from
# outside and has a group of its own.
_CONTAINER: Final = re.compile(
    rb"(?:^|[/-])(?<!conmon-)([0-9a-f]{64}|[0-9a-f]{32}-[0-9]{1,10})(?:\.scope)?(?=/|$)",
    re.MULTILINE,
)


class ProcessStat(NamedTuple):
    """What ``stat`` says of a process."""

    command_name: str
    """At most 15 bytes of the thread's name, freely chosen by the process."""
    parent_pid: int
    start_ticks: int
    """Clock ticks from boot to its start."""


def read_stat(content: bytes) -> ProcessStat:
    """Return name, parent and start of a process from its ``stat`` file.

    Raises:
        DecodeError: The file is not what proc(5) says.
    """
    # A name may hold anything, brackets and spaces too, so it ends at the last bracket.
    begin, end = content.find(b"("), content.rfind(b")")
    fields = content[end + 1 :].split()
    try:
        parent_pid, start_ticks = int(fields[_PARENT_FIELD]), int(fields[_START_FIELD])
    except (IndexError, ValueError) as error:
        raise DecodeError("stat", "fields are missing or no numbers") from error
    if not 0 <= begin < end:
        raise DecodeError("stat", "no name in brackets")
    return ProcessStat(read_text(content[begin + 1 : end]), parent_pid, start_ticks)


def read_effective_uid(content: bytes) -> int:
    """Return the effective user id from a ``status`` file.

    Raises:
        DecodeError: There is none.
    """
    # Before this line stands only the escaped name, so a process cannot forge it.
    _, found, rest = content.partition(b"\nUid:\t")
    fields = rest.split(b"\n", 1)[0].split()
    try:
        return int(fields[1])
    except (IndexError, ValueError) as error:
        raise DecodeError("status", "no effective user id" if found else "no Uid line") from error


def read_boot_time_us(content: bytes) -> int:
    """Return when the host started, UTC microseconds, from ``/proc/stat``.

    Raises:
        DecodeError: There is no ``btime`` line.
    """
    found = re.search(rb"^btime ([0-9]{1,12})$", content, re.MULTILINE)
    if found is None:
        raise DecodeError("/proc/stat", "no btime line")
    return int(found[1]) * 1_000_000


def read_container_id(content: bytes) -> str | None:
    """Return the innermost container id in a ``cgroup`` file; None outside containers."""
    ids: list[bytes] = _CONTAINER.findall(content)
    return ids[-1].decode("ascii") if ids else None


def read_executable(link: bytes) -> str:
    """Return the path that an ``exe`` link names, also when the file has been replaced since."""
    return read_text(link.removesuffix(_DELETED))


def read_text(raw: bytes) -> str:
    """Return ``raw`` as text that can be encoded again; what is no UTF-8 becomes U+FFFD."""
    return raw.decode("utf-8", "replace")
