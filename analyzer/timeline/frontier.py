"""Frontier: up to which moment everything that a host has sent has arrived.

In: the sequence numbers and covered intervals of batches, in any order. Out: the end of the
interval in which nothing is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rules.telemetry.ledger import Intervals

TAIL_US = 5_000_000  # after a restart, how long the last batches before it may still be on the way


class Boot(NamedTuple):
    """What sequence numbers belong to: inside it they start at 1 and never repeat."""

    boot_id: str
    stream: str


class Arrival(NamedTuple):
    """A batch that is there: the interval [from_us, to_us) it covers, and when it came."""

    from_us: int
    to_us: int
    at_us: int
    """By the analyzer's clock."""


class Frontier:
    """How far the telemetry of one host is complete."""

    def __init__(self, run_from_us: int) -> None:
        """Start at the beginning of the run."""
        self.run_from_us = run_from_us
        self._sequences: dict[Boot, _Sequence] = {}
        self.seen_to_us = run_from_us
        """The latest moment that any batch covers."""

    def has(self, boot: Boot, number: int) -> bool:
        """Tell whether this batch came before, or nobody waits for it any more."""
        return boot in self._sequences and number in self._sequences[boot]

    def add(
        self, boot: Boot, number: int, *, arrival: Arrival, dropped: Intervals | None = None
    ) -> None:
        """Enter a batch, and the intervals before it whose batches the spool dropped."""
        sequence = self._sequences.setdefault(boot, _Sequence())
        sequence.dropped = sequence.dropped | (dropped or Intervals())
        sequence.add(number, arrival)
        if arrival.from_us < self.run_from_us:
            sequence.skip_to(number)  # what came before it is no part of the run
        self.seen_to_us = max(self.seen_to_us, arrival.to_us)
        self._note_successors(boot.stream, arrival.at_us)

    def settle(self, boot: Boot, *, low: int, high: int) -> None:
        """Do not wait for the batches ``low`` to ``high``: they are no part of this run."""
        sequence = self._sequences.setdefault(boot, _Sequence())
        sequence.settled = sequence.settled | Intervals([(low, high + 1)])
        sequence.advance()

    def give_up(self, *, before_us: int) -> None:
        """Stop waiting for what was missing before the analyzer's clock showed ``before_us``."""
        for sequence in self._sequences.values():
            while sequence.waiting and sequence.waits_since_us <= before_us:
                sequence.skip_to(min(sequence.waiting))

    def at(self, now_us: int) -> int:
        """Return the moment before which nothing is missing."""
        streams = {boot.stream for boot in self._sequences}
        return min((self._at(stream, now_us) for stream in streams), default=self.run_from_us)

    def state(self) -> dict[str, Any]:
        """Return all that is known as plain values, for ``load``."""
        return {
            "seen_to_us": self.seen_to_us,
            "sequences": [[*boot, each.state()] for boot, each in self._sequences.items()],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up what another frontier of the same run knew."""
        self.seen_to_us = state["seen_to_us"]
        self._sequences = {
            Boot(boot_id, stream): _Sequence.of(each)
            for boot_id, stream, each in state["sequences"]
        }

    def _at(self, stream: str, now_us: int) -> int:
        reached = self.run_from_us
        for sequence in self._of_stream(stream):
            reached = max(reached, sequence.frontier_us or reached)
            since_us = sequence.succeeded_since_us
            may_have_tail = since_us is not None and now_us < since_us + TAIL_US
            if sequence.waiting or may_have_tail:
                break
        return reached

    def _of_stream(self, stream: str) -> list[_Sequence]:
        """Return the boots that sent anything, oldest first."""
        found = [
            (sequence.start_us, boot, sequence)
            for boot, sequence in self._sequences.items()
            if boot.stream == stream and sequence.start_us is not None
        ]
        return [sequence for _, _, sequence in sorted(found, key=lambda item: item[:2])]

    def _note_successors(self, stream: str, now_us: int) -> None:
        *older, newest = self._of_stream(stream)
        newest.succeeded_since_us = None
        for sequence in older:
            if sequence.succeeded_since_us is None:
                sequence.succeeded_since_us = now_us


@dataclass(slots=True)
class _Sequence:
    """The batches of one boot."""

    next: int = 1
    start_us: int | None = None
    frontier_us: int | None = None
    waiting: dict[int, Arrival] = field(default_factory=dict)
    """Batches that came before one with a lower number."""
    settled: Intervals = field(default_factory=Intervals)
    """Sequence numbers, not moments."""
    dropped: Intervals = field(default_factory=Intervals)
    succeeded_since_us: int | None = None
    """When a later boot of the same stream was first heard of, by the analyzer's clock."""

    def state(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {
            "next": self.next,
            "start_us": self.start_us,
            "frontier_us": self.frontier_us,
            "waiting": [[number, *arrival] for number, arrival in self.waiting.items()],
            "settled": list(self.settled),
            "dropped": list(self.dropped),
            "succeeded_since_us": self.succeeded_since_us,
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> _Sequence:
        """Return the sequence that a state was made of."""
        return cls(
            next=state["next"],
            start_us=state["start_us"],
            frontier_us=state["frontier_us"],
            waiting={number: Arrival(*arrival) for number, *arrival in state["waiting"]},
            settled=Intervals.of(state["settled"]),
            dropped=Intervals.of(state["dropped"]),
            succeeded_since_us=state["succeeded_since_us"],
        )

    def __contains__(self, number: int) -> bool:
        return number < self.next or number in self.waiting or number in self.settled

    @property
    def waits_since_us(self) -> int:
        """When it was first noticed that something is missing; only while something waits."""
        return min(arrival.at_us for arrival in self.waiting.values())

    def add(self, number: int, arrival: Arrival) -> None:
        known_us = arrival.from_us if self.start_us is None else self.start_us
        self.start_us = min(arrival.from_us, known_us)
        self.waiting[number] = arrival
        self.advance()

    def skip_to(self, number: int) -> None:
        """Wait for nothing below ``number``."""
        self.next = max(self.next, number)
        for key in [key for key in self.waiting if key < self.next]:
            self._reach(self.waiting.pop(key).to_us)
        self.advance()

    def advance(self) -> None:
        """Move over every batch that is there, settled, or dropped by the spool."""
        while True:
            if self.next in self.waiting:
                self._reach(self.waiting.pop(self.next).to_us)
                self.next += 1
            elif self.next in self.settled:
                self.next = next(end for _, end in self.settled if end > self.next)
            elif self._hole_was_dropped():
                self.next = min(self.waiting)
            else:
                break
        if self.settled:
            self.settled = self.settled - Intervals([(0, self.next)])

    def _reach(self, to_us: int) -> None:
        self.frontier_us = max(to_us, self.frontier_us or to_us)

    def _hole_was_dropped(self) -> bool:
        if not self.waiting or self.frontier_us is None:
            return False
        hole = Intervals([(self.frontier_us, self.waiting[min(self.waiting)].from_us)])
        return bool(hole) and not hole - self.dropped
