"""Connections of the last moments, by their ends: whose was the one that a packet belonged to?

In: rows of connections. Out: the process behind a connection and how it is known. Of several
between the same ends, the nearest in time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rules.telemetry.event import Event, Process

MAX_OPEN: Final = 16_384  # connections; the oldest are forgotten
MAX_ENDED: Final = 8_192  # since lately, about 0.4 KB each; a second of many
MAX_OWNERS: Final = 8  # of connections between the same ends
KEEP_US: Final = 2_000_000  # after the end at least: facts about packets come a moment later

Ends: TypeAlias = tuple[str, str, int, str, int]
"""Protocol, local address and port, remote address and port."""


@dataclass(slots=True)
class Owner:
    """Whose a connection was, and from when to when."""

    opened_us: int
    closed_us: int | None
    process: Process | None
    attribution: str
    earlier: Owner | None = None
    """Another one between the same ends, of those that are open or of those that are not."""

    @property
    def is_known(self) -> bool:
        """Tell whether it is known which process it was."""
        return self.process is not None and self.process.pid is not None

    def distance_us(self, ts_us: int) -> int:
        """Return how far a moment lies outside its life."""
        after = 0 if self.closed_us is None else ts_us - self.closed_us
        return max(0, self.opened_us - ts_us, after)


class RecentConnections:
    """Connections that are open or were until lately.

    Those that ended stand in two tables, of which the older one goes as a whole: thousands end each
    second, and none of them should cost a look at its age.
    """

    def __init__(self, *, max_open: int = MAX_OPEN, max_ended: int = MAX_ENDED) -> None:
        self._max_open = max_open
        self._max_ended = max_ended
        self._open: OrderedDict[Ends, Owner] = OrderedDict()
        self._ended: dict[Ends, Owner] = {}
        self._ended_before: dict[Ends, Owner] = {}
        self._turned_us = 0
        self._latest_us = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._ended) + len(self._ended_before)

    def note(self, event: Event) -> Ends | None:
        """Take a row of a connection; return its ends, None where the peer is not known."""
        ends = ends_of(event)
        if ends is None:
            return None
        _, ts_us, process, values = event
        grade = values["attribution"]
        if values["state"] == "opened":
            _put(self._open, ends, Owner(ts_us, None, process, grade))
            if len(self._open) > self._max_open:
                self._open.popitem(last=False)
            return ends
        owner = self._open.pop(ends, None)
        if owner is None:
            owner = Owner(ts_us - values.get("duration_us", 0), None, None, grade)
        elif owner.earlier is not None:
            self._open[ends] = owner.earlier
        owner.closed_us, owner.process, owner.attribution = ts_us, process, grade
        owner.earlier = None
        if len(self._ended) >= self._max_ended // 2:
            self._turn(ts_us)
        _put(self._ended, ends, owner)
        self._latest_us = max(self._latest_us, ts_us)
        return ends

    def find(self, ends: Ends, ts_us: int) -> Owner | None:
        """Return whose the connection between these ends was at a moment."""
        owners = list(self._all(ends))
        if len(owners) < 2:  # noqa: PLR2004 (nothing to choose from)
            return owners[0] if owners else None
        return min(owners, key=lambda owner: owner.distance_us(ts_us))

    def forget(self, before_us: int) -> None:
        """Forget what ended long before a moment."""
        if self._latest_us + KEEP_US < before_us:
            self._ended, self._ended_before = {}, {}
        elif self._turned_us + KEEP_US < before_us:
            self._turn(before_us)

    def _turn(self, ts_us: int) -> None:
        self._ended, self._ended_before = {}, self._ended
        self._turned_us = ts_us

    def _all(self, ends: Ends) -> Iterator[Owner]:
        """Yield the connections between these ends, those that are open first."""
        for table in (self._open, self._ended, self._ended_before):
            owner = table.get(ends)
            while owner is not None:
                yield owner
                owner = owner.earlier


def _put(table: dict[Ends, Owner], ends: Ends, owner: Owner) -> None:
    """Put the latest before the others; of too many the earliest goes."""
    owner.earlier = earlier = table.get(ends)
    table[ends] = owner
    for _ in range(MAX_OWNERS - 2):
        if earlier is None:
            return
        earlier = earlier.earlier
    if earlier is not None:
        earlier.earlier = None


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
