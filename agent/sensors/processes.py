"""Facts of processes, read from /proc.

In: process ids. Out: ``ProcessFacts``, or None for a process that is gone: that is no error,
since every read races with the end of the process.
"""

from __future__ import annotations

import os
import pwd
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.decode.procfs import (
    ProcessStat,
    read_boot_time_us,
    read_container_id,
    read_effective_uid,
    read_executable,
    read_stat,
)

if TYPE_CHECKING:
    from rules.telemetry.clock import Clock

CAPACITY: Final = 8_192  # processes remembered, about 1 KB each; the least recently used goes
SETTLED_AFTER_S: Final = 10  # a young process may still drop privileges or enter its container
_FILE_BYTES: Final = 16_384  # more than any of the files has that we read
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")

UserNames = Callable[[int], str | None]


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process instance: the same pid with another start or path is another one."""

    pid: int
    start_us: int
    """UTC microseconds; from the boot time read once, so that it stays the same."""
    process_name: str
    """Base name of the path, else the kernel's command name."""
    process_path: str | None
    """None for kernel threads and where the agent may not look."""
    parent_pid: int
    uid: int
    """The effective user: whose rights it acts with."""
    user: str | None
    container_id: str | None


@dataclass(frozen=True, slots=True)
class _Known:
    stat: ProcessStat
    path: str | None
    is_settled: bool
    facts: ProcessFacts


class ProcessTable:
    """Facts of processes, remembered until the process ends or executes something else.

    Args:
        root: The /proc to read.
        clock: Tells how old a process is.
        capacity: How many processes are remembered.
        user_names: Returns the name of a user id, or None.

    Raises:
        OSError: There is no /proc at ``root``.
        DecodeError: It is not Linux's /proc.
    """

    def __init__(
        self,
        root: str | Path = "/proc",
        *,
        clock: Clock,
        capacity: int = CAPACITY,
        user_names: UserNames | None = None,
    ) -> None:
        self._root = str(root)
        self._clock = clock
        self._capacity = capacity
        self._user_names = user_names or read_user_name
        self._boot_us = read_boot_time_us(Path(root, "stat").read_bytes())
        self._known: OrderedDict[tuple[int, int], _Known] = OrderedDict()

    def pids(self) -> list[int]:
        """Return the ids of all processes, ascending."""
        return list_pids(self._root)

    def start_us(self, since_boot_ns: int) -> int:
        """Return when a process started that began so long after boot, as ``facts`` would."""
        return self._start_us(since_boot_ns * _TICKS_PER_S // 1_000_000_000)

    def facts(self, pid: int) -> ProcessFacts | None:
        """Return what /proc says of a process; None if it is gone or hidden from the agent."""
        try:
            # All reads go through one directory, so they cannot mix two processes of one pid.
            folder = os.open(f"{self._root}/{pid}", os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        try:
            return self._read(pid, folder)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        finally:
            os.close(folder)

    def network(self, pid: int | str) -> int | None:
        """Return a number of the network namespace of a process; None where it is not shown."""
        try:
            return os.stat(f"{self._root}/{pid}/ns/net").st_ino  # noqa: PTH116 - hot path
        except OSError:
            return None

    def _read(self, pid: int, folder: int) -> ProcessFacts:
        stat = read_stat(_read_file("stat", folder))
        path = _read_path(folder)
        known = self._known.get((pid, stat.start_ticks))
        # Another name or path means that it has executed something else.
        if known is None or not known.is_settled or (known.stat, known.path) != (stat, path):
            known = self._learn(pid, folder, stat, path)
        self._known.move_to_end((pid, stat.start_ticks))
        return known.facts

    def _learn(self, pid: int, folder: int, stat: ProcessStat, path: str | None) -> _Known:
        uid = read_effective_uid(_read_file("status", folder))
        start_us = self._start_us(stat.start_ticks)
        facts = ProcessFacts(
            pid=pid,
            start_us=start_us,
            process_name=(path or "").rpartition("/")[2] or stat.command_name,
            process_path=path,
            parent_pid=stat.parent_pid,
            uid=uid,
            user=self._user_names(uid),
            container_id=_read_container(folder),
        )
        is_settled = self._clock.now_us() - start_us >= SETTLED_AFTER_S * 1_000_000
        known = self._known[pid, stat.start_ticks] = _Known(stat, path, is_settled, facts)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return known

    def _start_us(self, ticks: int) -> int:
        return self._boot_us + ticks * 1_000_000 // _TICKS_PER_S


def list_pids(root: str) -> list[int]:
    """Return the ids of all processes below ``root``, ascending."""
    names = os.listdir(root)  # noqa: PTH208 - a Path for each would cost more than the listing
    return sorted(int(name) for name in names if name.isdecimal())


@lru_cache(maxsize=1_024)
def read_user_name(uid: int) -> str | None:
    """Return the name of a user id from the host's user table; None if it has none.

    A host may keep the table on a server, so this can block; each id is asked for once.
    """
    try:
        name = pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None
    return os.fsencode(name).decode("utf-8", "replace")


def _read_file(name: str, folder: int) -> bytes:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(descriptor, _FILE_BYTES)
    finally:
        os.close(descriptor)


def _read_path(folder: int) -> str | None:
    try:
        return read_executable(os.readlink(b"exe", dir_fd=folder)) or None
    except (FileNotFoundError, PermissionError):  # a kernel thread, a zombie, another user's
        return None


def _read_container(folder: int) -> str | None:
    try:
        return read_container_id(_read_file("cgroup", folder))
    except FileNotFoundError:  # a kernel without control groups
        return None
