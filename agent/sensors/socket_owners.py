"""Which process holds a socket: inode → pid, kept up to date at little cost.

In: inodes of socket rows. Out: the pid of each that a readable process holds.
Only an inode that is not known yet makes it look at descriptors, and then first at those of
processes whose number of open descriptors has changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.sensors.processes import list_pids

if TYPE_CHECKING:
    from rules.telemetry.clock import Clock

CAPACITY: Final = 262_144  # inodes remembered, about 150 bytes each; when full it starts over
BUDGET_S: Final = 0.25  # of one call; a descriptor takes about 5 microseconds
FULL_WALK_INTERVAL_S: Final = 10.0  # a look at every process costs most and mostly brings nothing
_SOCKET_PREFIX: Final = "socket:["
_INIT: Final = 1


class SocketOwners:
    """The owners of sockets, remembered from call to call; one caller at a time.

    A socket that several processes hold belongs to the one found first: ascending by pid, but
    init last, since it holds the sockets of the services that it starts.

    Args:
        root: The /proc to read.
        clock: Measures the budget and the interval.
        capacity: How many inodes are remembered.
        budget_s: How long one call looks at descriptors; what is left is for the next call.
        full_walk_interval_s: How often, at most, processes are looked at that show no change.
    """

    def __init__(
        self,
        root: str | Path = "/proc",
        *,
        clock: Clock,
        capacity: int = CAPACITY,
        budget_s: float = BUDGET_S,
        full_walk_interval_s: float = FULL_WALK_INTERVAL_S,
    ) -> None:
        self._root = str(root)
        self._clock = clock
        self._capacity = capacity
        self._budget_s = budget_s
        self._full_walk_interval_s = full_walk_interval_s
        self._full_walk_due_s = clock.monotonic_s()
        self._counts: dict[int, int] = {}  # the process that was read longest ago comes first
        self._held: dict[int, set[int]] = {}
        self._owners: dict[int, int] = {}
        self._ownerless: set[int] = set()
        self.unreadable: frozenset[int] = frozenset()
        """Processes whose descriptors the agent may not read, as of the last look."""
        self.walked = 0
        """Processes whose descriptors were read so far."""

    def find(self, inodes: Iterable[int]) -> dict[int, int]:
        """Return the pid of each inode that a process is known to hold."""
        wanted = set(inodes) - {0}
        pids = list_pids(self._root)
        self._forget_ended(pids)
        self._ownerless &= wanted
        missing = wanted - self._owners.keys() - self._ownerless
        if missing:
            missing = self._take_from_other_holders(missing)
        if missing:
            self._search(missing, pids)
        return {inode: self._owners[inode] for inode in wanted if inode in self._owners}

    def _forget_ended(self, pids: list[int]) -> None:
        if len(self._owners) > self._capacity:
            self._counts.clear()
        for pid in self._counts.keys() - pids:
            del self._counts[pid]
        for pid in self._held.keys() - self._counts.keys():
            self._release(pid, self._held.pop(pid))
        self.unreadable &= self._counts.keys()

    def _release(self, pid: int, inodes: set[int]) -> None:
        for inode in inodes:
            if self._owners.get(inode) == pid:
                del self._owners[inode]

    def _take_from_other_holders(self, missing: set[int]) -> set[int]:
        """Give sockets of ended processes to those that hold them too; return the rest."""
        for pid, held in self._held.items():
            for inode in held & missing:
                self._owners.setdefault(inode, pid)
        return missing - self._owners.keys()

    def _search(self, missing: set[int], pids: list[int]) -> None:
        """Read descriptors until nothing is missing, all is read, or the budget is used up."""
        began_s = self._clock.monotonic_s()
        is_full = began_s >= self._full_walk_due_s
        for pid, count in self._candidates(pids, is_full=is_full):
            if is_full and self._counts.get(pid) == count:
                self._full_walk_due_s = began_s + self._full_walk_interval_s
            self._walk(pid, count)
            missing -= self._owners.keys()
            if not missing or self._clock.monotonic_s() - began_s >= self._budget_s:
                return
        if is_full:
            # Nobody whom the agent may look at holds these, so they cause no further walks.
            self._ownerless |= missing

    def _candidates(self, pids: list[int], *, is_full: bool) -> Iterator[tuple[int, int]]:
        """Yield pid and number of descriptors, the most promising processes first."""
        unchanged: dict[int, int] = {}
        for pid in sorted(pids, key=lambda pid: (pid == _INIT, pid)):
            count = self._count(pid)
            if count is not None and self._counts.get(pid) != count:
                yield pid, count
            elif count is not None:
                unchanged[pid] = count
        # One descriptor closed and another opened shows no change in number. A walk that ran out
        # of its budget goes on where it stopped, since those read longest ago come first.
        longest_ago = [pid for pid in self._counts if pid in unchanged]
        yield from ((pid, unchanged[pid]) for pid in longest_ago if is_full or self._held[pid])

    def _count(self, pid: int) -> int | None:
        """Return the number of open descriptors, 0 before Linux 6.2; None if it is gone."""
        try:
            return os.stat(f"{self._root}/{pid}/fd").st_size  # noqa: PTH116 - hot: every process
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None

    def _walk(self, pid: int, count: int) -> None:
        self.walked += 1
        self._counts.pop(pid, None)
        self._counts[pid] = count
        held = self._read_inodes(pid)
        self._release(pid, self._held.get(pid, set()) - held)
        self._held[pid] = held
        for inode in held:
            if self._owners.setdefault(inode, pid) == _INIT:
                self._owners[inode] = pid

    def _read_inodes(self, pid: int) -> set[int]:
        inodes: set[int] = set()
        try:
            folder = os.open(f"{self._root}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:
            self.unreadable |= {pid}
            return inodes
        except (FileNotFoundError, ProcessLookupError):
            return inodes
        try:
            for name in os.listdir(folder):  # noqa: PTH208 - a folder given by its descriptor
                target = _read_link(name, folder)
                if target.startswith(_SOCKET_PREFIX):
                    inodes.add(int(target[len(_SOCKET_PREFIX) : -1]))
        finally:
            os.close(folder)
        return inodes


def _read_link(name: str, folder: int) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:  # closed since the listing, or the process has ended
        return ""
