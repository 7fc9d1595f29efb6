"""Ends of connections between the kernel's two words of them: the change, and the notice.

In: connections that the kernel said have ended. Out: each once, when its notice comes, or has been
waited for enough; and whether a notice is of an end that was told without it. A notice of a
connection that this host broke off may lack the peer, so that only its local port is known. All of
it is bounded, and nothing is searched: a host may break off thousands of connections a second.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.correlate.connection_rows import Connection, Ends

MAX_WAITING: Final = 16_384  # ends, about 0.5 KB each; beyond it the oldest go without their notice
MAX_AWAITED: Final = 32_768  # pairs of ends whose notice may still come, while notices are late


@dataclass(slots=True)
class Ending:
    """A connection that has ended."""

    closed_us: int
    connection: Connection
    is_abort: bool
    """Whether its holder broke it off: the notice may then lack the peer."""
    following: Ending | None = None
    """Another one between the same ends, later or in another network namespace."""
    last: Ending | None = None
    """Of several, on the first: the last one."""


class Endings:
    """Ends that wait for their notice, and notices that are awaited of ends that were told."""

    def __init__(self, *, max_waiting: int = MAX_WAITING, max_awaited: int = MAX_AWAITED) -> None:
        self._max_waiting = max_waiting
        self._max_awaited = max_awaited
        self._waiting: OrderedDict[Ends, Ending] = OrderedDict()  # the oldest first
        self._count = 0
        self._aborted = _Aborted()
        # The values say which were broken off.
        self._awaited: OrderedDict[Ends, list[bool]] = OrderedDict()
        self._awaited_aborted = _Aborted()

    def __len__(self) -> int:
        return self._count + len(self._awaited)

    def wait(self, ending: Ending) -> Ending | None:
        """Let an end wait; return the oldest one if there is no room for both."""
        ends = ending.connection.ends
        first = self._waiting.setdefault(ends, ending)
        if first is not ending:
            (first.last or first).following = ending
            first.last = ending
        if ending.is_abort:
            self._aborted.add(ends)
        self._count += 1
        return self.take(next(iter(self._waiting))) if self._count > self._max_waiting else None

    def take(self, ends: Ends) -> Ending | None:
        """Return the oldest end that waits between these ends, which waits no longer."""
        ending = self._waiting.pop(ends, None)
        if ending is None:
            return None
        following = ending.following
        if following is not None:
            following.last = None if ending.last is following else ending.last
            self._waiting[ends] = following
        if ending.is_abort:
            self._aborted.discard(ends)
        self._count -= 1
        return ending

    def take_aborted(self, port: int) -> Ending | None:
        """Return the oldest end at a local port that this host broke off."""
        for ends in self._aborted.at(port):
            if self._waiting[ends].is_abort:
                return self.take(ends)
        return None

    def take_late(self, before_us: int) -> list[Ending]:
        """Return the ends of before a moment, and others between the same ends."""
        late: list[Ends] = []
        for ends, ending in self._waiting.items():
            if ending.closed_us > before_us:
                break
            late.append(ends)
        return [each for ends in late for each in self._take_each(ends)]

    def take_all(self) -> list[Ending]:
        """Return all ends that wait."""
        return [each for ends in list(self._waiting) for each in self._take_each(ends)]

    def remember(self, ending: Ending) -> None:
        """Take note that an end was told without its notice."""
        ends = ending.connection.ends
        self._awaited.setdefault(ends, []).append(ending.is_abort)
        if ending.is_abort:
            self._awaited_aborted.add(ends)
        if len(self._awaited) > self._max_awaited:
            oldest, are_aborts = self._awaited.popitem(last=False)
            for _ in filter(None, are_aborts):
                self._awaited_aborted.discard(oldest)

    def is_awaited(self, ends: Ends) -> bool:
        """Tell whether a notice is of an end that was told; it is awaited no longer."""
        are_aborts = self._awaited.get(ends)
        if are_aborts is None:
            return False
        if are_aborts.pop(0):
            self._awaited_aborted.discard(ends)
        if not are_aborts:
            del self._awaited[ends]
        return True

    def is_abort_awaited(self, port: int) -> bool:
        """Tell the same of a notice without the peer."""
        for ends in self._awaited_aborted.at(port):
            if self._awaited[ends][0]:
                return self.is_awaited(ends)
        return False

    def _take_each(self, ends: Ends) -> list[Ending]:
        taken: list[Ending] = []
        while (ending := self.take(ends)) is not None:
            taken.append(ending)
        return taken


class _Aborted:
    """Ends of connections that this host broke off, by local port, the oldest first."""

    def __init__(self) -> None:
        self._ports: dict[int, OrderedDict[Ends, int]] = {}

    def add(self, ends: Ends) -> None:
        counts = self._ports.setdefault(ends.local_port, OrderedDict())
        counts[ends] = counts.get(ends, 0) + 1

    def discard(self, ends: Ends) -> None:
        counts = self._ports[ends.local_port]
        counts[ends] -= 1
        if not counts[ends]:
            del counts[ends]
        if not counts:
            del self._ports[ends.local_port]

    def at(self, port: int) -> OrderedDict[Ends, int]:
        return self._ports.get(port) or OrderedDict()
