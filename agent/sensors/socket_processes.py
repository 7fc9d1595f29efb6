"""Which process holds a socket, with what is known of that process.

In: socket rows. Out: inode → ``Process``; where the agent may not see the holder, a process
without pid that names the owner of the socket.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agent.sensors.processes import ProcessFacts, ProcessTable, list_pids, read_user_name
from rules.telemetry.event import Process

if TYPE_CHECKING:
    from agent.sensors.socket_owners import SocketOwners
    from agent.sensors.socket_rows import SocketRow


class SocketProcesses:
    """The holders of the sockets of the latest polls, kept by group of sockets.

    Groups (listeners, connections) are polled at different times; a socket is forgotten when the
    next poll of its group does not show it any more.
    """

    def __init__(self, owners: SocketOwners, processes: ProcessTable) -> None:
        self._owners = owners
        self._processes = processes
        self._groups: dict[str, dict[int, int | None]] = {}
        self._known: dict[int, Process] = {}

    def update(self, group: str, rows: Sequence[SocketRow]) -> Mapping[int, Process]:
        """Take in the rows of a group's latest poll; return inode → process of every group."""
        self._groups[group] = {row.inode: row.uid for row in rows if row.inode}
        uids = {inode: uid for each in self._groups.values() for inode, uid in each.items()}
        pids = self._owners.find(uids)
        facts: dict[int, Process | None] = {}
        known: dict[int, Process] = {}
        for inode, uid in uids.items():
            process = self._find(inode, pids.get(inode), facts) or _only_owner(uid)
            if process is not None:
                known[inode] = process
        self._known = known
        return known

    def _find(
        self, inode: int, pid: int | None, facts: dict[int, Process | None]
    ) -> Process | None:
        if pid is None:
            return None
        process = self._known.get(inode)
        if process is not None and process.pid == pid:
            return process
        if pid not in facts:
            found = self._processes.facts(pid)
            facts[pid] = None if found is None else to_process(found)
        return facts[pid]


def count_unreadable(root: str = "/proc") -> int:
    """Return how many processes do not let the agent see which sockets they hold."""
    unreadable = 0
    for pid in list_pids(root):
        try:
            os.close(os.open(f"{root}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY))
        except PermissionError:
            unreadable += 1
        except OSError:  # gone since it was listed
            continue
    return unreadable


def to_process(facts: ProcessFacts) -> Process:
    """Return a process as events name it."""
    return Process(
        pid=facts.pid,
        start_us=facts.start_us,
        name=facts.process_name,
        path=facts.process_path,
        parent_pid=facts.parent_pid,
        uid=facts.uid,
        user=facts.user,
        container_id=facts.container_id,
    )


def _only_owner(uid: int | None) -> Process | None:
    return None if uid is None else Process(uid=uid, user=read_user_name(uid))
