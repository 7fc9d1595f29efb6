"""Losses that wait to be told: what the spool dropped, until a stored batch speaks of it.

In: drops by cause. Out: ``Losses`` for the header of the next batch. Two steps: handing them out
forgets nothing; they are settled when the batch that tells them stands in the spool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from rules.telemetry.batch import Loss

if TYPE_CHECKING:
    from collections.abc import Iterable


class Drop(msgspec.Struct, frozen=True, array_like=True):
    """Batches that are gone, the events in them, and the hull [from_us, to_us) of their time."""

    cause: str
    batches: int
    events: int
    from_us: int
    to_us: int

    def __add__(self, other: Drop) -> Drop:
        """Return both drops as one; their causes are the same."""
        return Drop(
            self.cause,
            self.batches + other.batches,
            self.events + other.events,
            min(self.from_us, other.from_us),
            max(self.to_us, other.to_us),
        )


class Losses(NamedTuple):
    """Drops that were handed out together, one per cause; ``mark`` numbers the hand-overs."""

    mark: int = 0
    drops: tuple[Drop, ...] = ()

    def for_header(self) -> tuple[Loss, ...]:
        """Return the losses as a batch header states them."""
        return tuple(
            Loss(cause=drop.cause, events=drop.events, from_us=drop.from_us, to_us=drop.to_us)
            for drop in self.drops
        )


class LossBook(msgspec.Struct):
    """The drops that no stored batch has told yet, by cause.

    Attributes:
        mark: Number of the latest hand-over.
        handed: Drops that were handed out at ``mark`` and are not settled.
        waiting: Drops since then.
    """

    mark: int = 0
    handed: dict[str, Drop] = {}
    waiting: dict[str, Drop] = {}

    def add(self, drops: Iterable[Drop]) -> None:
        """Enter drops."""
        for drop in drops:
            _add(self.waiting, drop)

    def take(self) -> Losses:
        """Hand out everything that is not settled."""
        for drop in self.waiting.values():
            _add(self.handed, drop)
        self.waiting = {}
        self.mark += 1
        return Losses(self.mark, tuple(self.handed.values()))

    def settle(self, mark: int) -> None:
        """Forget what was handed out at ``mark``, unless it was handed out again since."""
        if mark == self.mark:
            self.handed = {}

    def recover(self, mark: int) -> None:
        """Bring a book up to date that was saved before the batch of hand-over ``mark`` stood."""
        if mark > self.mark:
            # The hand-over came after the save, and it took all there was.
            self.mark = mark
            self.waiting = {}
        self.settle(mark)


def _add(drops: dict[str, Drop], drop: Drop) -> None:
    known = drops.get(drop.cause)
    drops[drop.cause] = drop if known is None else known + drop
