"""Processes as the kernel tells of them: who ran under a pid at the moment of a record.

In: records of forks, names, executed files and ends, in the order of time; /proc for what they do
not say. Out: ``Process``. One that was gone before /proc could be read keeps what the records say.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from agent.decode.perf_records import CommRecord, ExecRecord, Record, TaskRecord
from agent.sensors.processes import ProcessFacts, read_user_name
from agent.sensors.socket_processes import to_process
from rules.telemetry.event import Process

if TYPE_CHECKING:
    from rules.telemetry.clock import Clock

CAPACITY: Final = 8_192  # processes alive at a time, about 0.5 KB each; the oldest go
MAX_ENDED: Final = 256  # a socket may still be closed by a thread that outlives its process' first
SAME_START_US: Final = 20_000  # two ticks of /proc: a fork is told a moment after it is dated
_FRESH_US: Final = (1_000_000, 60_000_000)  # bounds of how long facts of /proc are believed
_NOBODY: Final = frozenset({0, 0xFFFF_FFFF})  # idle, or in a pid namespace that is not seen
_ROOT: Final = 0


class Facts(Protocol):
    """What /proc says of processes."""

    def pids(self) -> list[int]:
        """Return the ids of all processes."""
        ...

    def facts(self, pid: int) -> ProcessFacts | None:
        """Return what it says of one; None if it is gone."""
        ...

    def start_us(self, since_boot_ns: int) -> int:
        """Return when a process started that began so long after boot."""
        ...

    def network(self, pid: int | str) -> int | None:
        """Return a number of the network namespace of a process; None where it is not shown."""
        ...


@dataclass(slots=True)
class _Entry:
    """What is known of the process that has a pid now."""

    start_us: int | None = None
    parent_pid: int | None = None
    name: str | None = None
    path: str | None = None
    uid: int | None = None
    container_id: str | None = None
    is_elsewhere: bool = False
    """Whether it is known to be in another network namespace."""
    is_program: bool = True
    """Whether it has executed a file, and is no mere copy of its parent."""
    is_confirmed: bool = False
    """Whether /proc has said so."""
    process: Process | None = None
    fresh_until_us: int = 0


class KernelProcesses:
    """Who is who, kept up to date by the kernel's records.

    Args:
        table: /proc.
        clock: Tells how fresh facts are, and how long ago the host booted.
    """

    def __init__(self, table: Facts, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._entries: dict[int, _Entry] = {}
        self._ended: dict[int, _Entry] = {}
        self._coming: Counter[int] = Counter()
        self._is_lossy = False
        self._network = table.network("self")
        self._now_us = clock.now_us()

    def begin(
        self,
        records: Iterable[Record],
        *,
        is_lossy: bool,
        coming: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        """Take note of what is to come.

        Args:
            records: What comes next. Before a process executes a file in it, /proc speaks of later.
            is_lossy: Whether others were lost: a copy may have become a program unheard.
            coming: How many files each process executes in what comes after them.
        """
        self._now_us = self._clock.now_us()
        self._coming = Counter(each.pid for each in records if type(each) is ExecRecord)
        self._coming.update(coming)
        self._is_lossy = is_lossy
        if is_lossy:
            self._entries = {
                pid: replace(entry, fresh_until_us=0)
                for pid, entry in self._entries.items()
                if entry.is_confirmed
            }

    def learn_all(self) -> None:
        """Look at every process that is there, so that its end can be told with its name."""
        for pid in self._table.pids()[:CAPACITY]:
            self.find(pid)

    def find(self, pid: int) -> Process | None:
        """Return the process that has a pid at this point of the records; None for nobody."""
        entry = self._entries.get(pid)
        if entry is not None and entry.process is not None and self._now_us < entry.fresh_until_us:
            return entry.process
        if pid in _NOBODY:
            return None
        if entry is None and pid in self._ended:
            return _from_records(pid, self._ended[pid])
        return self._look(pid, entry)

    def is_elsewhere(self, pid: int) -> bool:
        """Tell whether a process that was found is in another network namespace."""
        entry = self._entries.get(pid)
        return entry is not None and entry.is_elsewhere

    def fork(self, record: TaskRecord) -> None:
        """Take in that a process began; it is a copy of its parent until it executes a file."""
        if record.pid != record.tid:
            return  # a thread
        parent = self._entries.get(record.parent_pid)
        is_unknown = parent is None or (parent.is_program and parent.process is None)
        if is_unknown and record.parent_pid not in _NOBODY:
            self.find(record.parent_pid)
            parent = self._entries.get(record.parent_pid)
        copy = _Entry() if parent is None or self._is_lossy else _copy(parent)
        copy.start_us = self._table.start_us(record.time_ns + suspended_ns())
        copy.parent_pid = record.parent_pid
        copy.is_program = False
        self._ended.pop(record.pid, None)
        self._keep(record.pid, copy)

    def execute(self, record: ExecRecord, *, is_wanted: bool = True) -> Process | None:
        """Take in that a process executed a file; return it as it is from then on.

        If it is not wanted, nobody looks it up until it opens or closes a connection.
        """
        self._coming[record.pid] -= 1
        if record.pid in _NOBODY:
            return None
        # Where another thread executes than the first, the end of the first is told before.
        ended = self._ended.pop(record.pid, None)
        entry = self._entries.get(record.pid) or ended or _Entry()
        entry.name = record.file_name.rpartition("/")[2] or None
        entry.path = record.file_name if record.file_name.startswith("/") else None
        entry.uid = None if _may_change_user(entry.path) else entry.uid
        entry.is_program, entry.is_confirmed, entry.process = True, False, None
        self._keep(record.pid, entry)
        return self._look(record.pid, entry) if is_wanted else None

    def rename(self, record: CommRecord) -> None:
        """Take in a name, which counts where no path is known."""
        entry = self._entries.get(record.pid)
        if entry is not None and record.pid == record.tid and entry.path is None:
            entry.name = record.name
            entry.process = None

    def end(self, record: TaskRecord) -> Process | None:
        """Take in an end; return the process if it was a program, and no copy or thread."""
        if record.pid != record.tid or record.pid in _NOBODY:
            return None
        entry = self._entries.pop(record.pid, None)
        if entry is None:
            return Process(pid=record.pid, parent_pid=record.parent_pid)
        self._ended[record.pid] = entry
        while len(self._ended) > MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        return _from_records(record.pid, entry) if entry.is_program else None

    def _keep(self, pid: int, entry: _Entry) -> None:
        self._entries[pid] = entry
        while len(self._entries) > CAPACITY:
            del self._entries[next(iter(self._entries))]

    def _look(self, pid: int, entry: _Entry | None) -> Process:
        """Read /proc, unless it speaks of another process or of a later program."""
        facts = self._table.facts(pid) if self._coming[pid] <= 0 else None
        if facts is not None and entry is not None and entry.start_us is not None:
            is_other = abs(facts.start_us - entry.start_us) > SAME_START_US
            facts = None if is_other else facts
        if entry is None:
            if facts is None:
                return Process(pid=pid)
            entry = _Entry()
            self._keep(pid, entry)
        shortest_us, longest_us = _FRESH_US
        if facts is None:
            entry.process = _from_records(pid, entry)
            entry.fresh_until_us = self._now_us + shortest_us
        else:
            _learn(entry, facts)
            entry.is_elsewhere = self._network not in (
                None,
                self._table.network(pid) or self._network,
            )
            entry.process = to_process(facts)._replace(name=entry.name, path=entry.path)
            age_us = self._now_us - facts.start_us
            entry.fresh_until_us = self._now_us + min(max(age_us, shortest_us), longest_us)
        return entry.process


def suspended_ns() -> int:
    """Return how long the host has slept since boot, in whole ms: CLOCK_MONOTONIC leaves it out."""
    awake_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - awake_ns) // 1_000_000 * 1_000_000


def _copy(parent: _Entry) -> _Entry:
    copy = replace(parent, process=None, is_confirmed=False, fresh_until_us=0)
    if copy.uid == _ROOT:
        copy.uid = None  # root may become anybody
    return copy


def _learn(entry: _Entry, facts: ProcessFacts) -> None:
    entry.is_confirmed = True
    entry.start_us = facts.start_us
    entry.parent_pid = facts.parent_pid
    entry.uid = facts.uid
    entry.container_id = facts.container_id
    if facts.process_path is not None or entry.path is None:
        # Without a path, as of one that waits to be reaped, /proc knows less than the records.
        entry.name, entry.path = facts.process_name, facts.process_path


def _from_records(pid: int, entry: _Entry) -> Process:
    if entry.process is not None:
        return entry.process
    return Process(
        pid=pid,
        start_us=entry.start_us,
        name=entry.name,
        path=entry.path,
        parent_pid=entry.parent_pid,
        uid=entry.uid,
        user=None if entry.uid is None else read_user_name(entry.uid),
        container_id=entry.container_id,
    )


def _may_change_user(path: str | None) -> bool:
    """Tell whether a program may run as somebody else than who executed it."""
    if path is None:
        return True
    try:
        return bool(os.stat(path).st_mode & stat.S_ISUID)  # noqa: PTH116 - hot: every exec
    except (OSError, ValueError):  # of another mount namespace, or gone
        return True
