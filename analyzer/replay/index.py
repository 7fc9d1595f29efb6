"""Index: where the batches of each host stand in a log, so that a shard reads those of its own.

In: the records of a log, once. Out: columns, one row per batch in the order of the log, 24 bytes
each; those of some hosts; and how far each host is complete after each of its batches.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rules.telemetry.records import Position

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import numpy.typing as npt

    from analyzer.ingest.segments import SegmentRecord


@dataclass(frozen=True, slots=True)
class LogIndex:
    """Where batches stand; it can be sent to another process or machine.

    Attributes:
        agents: Agent ids, by number.
        hosts: Number of each batch's agent.
        segments: Number of its file.
        offsets: Where it starts there.
        from_us: Start of the interval it covers.
    """

    agents: tuple[str, ...]
    hosts: npt.NDArray[np.uint32]
    segments: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]
    from_us: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.hosts)

    def of(self, agents: Collection[str]) -> LogIndex:
        """Return the batches of some hosts."""
        wanted = frozenset(agents)
        is_wanted = np.array([agent_id in wanted for agent_id in self.agents], np.bool_)
        rows = np.flatnonzero(is_wanted[self.hosts])
        return LogIndex(
            self.agents,
            self.hosts[rows],
            self.segments[rows],
            self.offsets[rows],
            self.from_us[rows],
        )

    def positions(self) -> Iterator[Position]:
        """Yield where each batch stands."""
        return map(Position, map(int, self.segments), map(int, self.offsets))

    def complete_until(self, to_us: int) -> npt.NDArray[np.int64]:
        """Return, for each batch, the moment that no later batch of its host has rows before.

        What a batch holds from before its own interval is late whenever it comes: so the start of
        the earliest interval to come is such a moment.

        Args:
            to_us: The moment for the last batch of each host.
        """
        ends = np.empty(len(self), np.int64)
        if not len(self):
            return ends
        order = np.argsort(self.hosts, kind="stable")
        bounds = np.flatnonzero(np.diff(self.hosts[order])) + 1
        for own in np.split(order, bounds):
            following = np.append(self.from_us[own[1:]], to_us)
            ends[own] = np.minimum.accumulate(following[::-1])[::-1]
        return ends


class IndexDraft:
    """An index that grows with each record."""

    def __init__(self) -> None:
        """Start with no batch."""
        self._numbers: dict[str, int] = {}
        self._hosts = array("I")
        self._segments = array("I")
        self._offsets = array("q")
        self._from_us = array("q")

    def add(self, position: Position, record: SegmentRecord) -> None:
        """Enter the next record of the log."""
        self._hosts.append(self._numbers.setdefault(record.agent_id, len(self._numbers)))
        self._segments.append(position.segment)
        self._offsets.append(position.offset)
        self._from_us.append(record.from_us)

    def index(self) -> LogIndex:
        """Return the index of everything so far."""
        return LogIndex(
            tuple(self._numbers),
            np.array(self._hosts, np.uint32),
            np.array(self._segments, np.uint32),
            np.array(self._offsets, np.int64),
            np.array(self._from_us, np.int64),
        )
