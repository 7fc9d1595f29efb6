"""Connections of the last moments, by their ends: whose was the one that a packet belonged to?

In: rows of connections. Out: the process behind a connection and how it is known. Of several
between the same ends, the nearest in time.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from rules.telemetry.event import Event, Process

MAX_ENDS: Final = 16_384  # remembered, open or not; the oldest are forgotten
MAX_OWNERS: Final = 8  # of connections between the same ends
KEEP_US: Final = 5_000_000  # after the end: facts about packets come a moment later

Ends: TypeAlias = tuple[str, str, int, str, int]
"""Protocol, local address and port, remote address and port."""


@dataclass(slots=True)
class Owner:
    """Whose a connection was, and from when to when."""

    opened_us: int
    closed_us: int | None
    process: Process | None
    attribution: str

    @property
    def is_known(self) -> bool:
        """Tell whether it is known which process it was."""
        return self.process is not None and self.process.pid is not None

    def distance_us(self, ts_us: int) -> int:
        """Return how far a moment lies outside its life."""
        after = 0 if self.closed_us is None else ts_us - self.closed_us
        return max(0, self.opened_us - ts_us, after)


class RecentConnections:
    """Connections that are open or were until lately."""

    def __init__(self, *, limit: int = MAX_ENDS) -> None:
        self._limit = limit
        self._owners: OrderedDict[Ends, list[Owner]] = OrderedDict()
        self._ended: deque[tuple[int, Ends]] = deque()

    def __len__(self) -> int:
        return len(self._owners)

    def note(self, event: Event) -> Ends | None:
        """Take a row of a connection; return its ends, None where the peer is not known."""
        ends = ends_of(event)
        if ends is None:
            return None
        owners = self._owners.get(ends)
        if owners is None:
            owners = self._owners[ends] = []
        grade = event.values["attribution"]
        if event.values["state"] == "opened":
            owners.append(Owner(event.ts_us, None, event.process, grade))
            del owners[:-MAX_OWNERS]
        else:
            self._end(owners, ends, event)
        if len(self._owners) > self._limit:
            self._owners.popitem(last=False)
        return ends

    def find(self, ends: Ends, ts_us: int) -> Owner | None:
        """Return whose the connection between these ends was at a moment."""
        owners = self._owners.get(ends)
        if owners is not None and len(owners) == 1:
            return owners[0]
        return min(owners, key=lambda owner: owner.distance_us(ts_us)) if owners else None

    def forget(self, before_us: int) -> None:
        """Forget what ended long before a moment."""
        while self._ended and self._ended[0][0] + KEEP_US < before_us:
            closed_us, ends = self._ended.popleft()
            owners = [owner for owner in self._owners.get(ends, ()) if owner.closed_us != closed_us]
            if owners:
                self._owners[ends] = owners
            else:
                self._owners.pop(ends, None)

    def _end(self, owners: list[Owner], ends: Ends, event: Event) -> None:
        still_open = [owner for owner in owners if owner.closed_us is None]
        if not still_open:
            duration_us = event.values.get("duration_us", 0)
            still_open = [Owner(event.ts_us - duration_us, None, None, "unknown")]
            owners += still_open
            del owners[:-MAX_OWNERS]
        owner = still_open[-1]
        owner.closed_us = event.ts_us
        owner.process, owner.attribution = event.process, event.values["attribution"]
        self._ended.append((event.ts_us, ends))


def ends_of(event: Event) -> Ends | None:
    """Return the ends of a row of a connection; None where the peer is not known."""
    values = event.values
    if "remote_address" not in values or "remote_port" not in values:
        return None
    return (
        values["protocol"],
        values["local_address"],
        values["local_port"],
        values["remote_address"],
        values["remote_port"],
    )
