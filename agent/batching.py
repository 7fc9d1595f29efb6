"""Batching: the events of a span of collecting, cut into batches that cover its time gaplessly.

In: drained events and the moment up to which they are complete; coverage rows of what is cut. Out:
batches of bounded size and age. Their intervals follow each other without hole or overlap, and no
event comes after the interval that holds its time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Final

from rules.telemetry.batch import MAX_EVENTS, Batch, Coverage, Event, Header, Loss
from rules.telemetry.batch_builder import REFUSALS, BatchBuilder

STREAM: Final = "main"  # an agent has one stream; sequences count within boot id and stream
MALFORMED: Final = "malformed"  # cause of loss: a sensor's event that its kind does not allow
CHUNK: Final = 1_024  # events that are added at once
_TIME: Final = itemgetter(1)  # of an event


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a batch is cut: events, and ages in seconds with and without any event."""

    max_events: int = MAX_EVENTS
    max_age_s: float = 2.0
    idle_age_s: float = 10.0


class Batcher:
    """Cuts one agent's stream; spans begin and end, sequence numbers go on.

    Attributes:
        from_us: Start of what is not cut yet.
        to_us: End of it: events are complete before this moment.
    """

    def __init__(
        self,
        *,
        agent_id: str,
        boot_id: str,
        limits: Limits,
        stream: str = STREAM,
    ) -> None:
        """Start outside any span; the first batch gets sequence 1."""
        self.from_us = 0
        self.to_us = 0
        self._agent_id = agent_id
        self._boot_id = boot_id
        self._stream = stream
        self._limits = limits
        self._sequence = 0
        self._runs: tuple[str, ...] = ()
        self._wanted: frozenset[str] = frozenset()
        self._collected: tuple[str, ...] = ()
        self._begun_us = 0
        self._ahead: list[Event] = []  # beyond to_us: they belong to the next interval
        self._reset()

    def __len__(self) -> int:
        """Return the number of events that are not cut yet."""
        return sum(len(part.builder) for part in self._parts)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to cut: no event and no time."""
        return not len(self) and self.from_us == self.to_us

    @property
    def is_due(self) -> bool:
        """Tell whether size or age ask for a cut."""
        is_full = self._parts[-1].builder.is_full or len(self) >= self._limits.max_events
        return is_full or self.to_us >= self.due_us

    @property
    def due_us(self) -> int:
        """Return the moment at which age asks for a cut."""
        idle_us = self.from_us + round(self._limits.idle_age_s * 1e6)
        first_us = self._first_us
        if first_us is None and self._ahead:
            first_us = self._ahead[0].ts_us
        if first_us is None:
            return idle_us
        return min(idle_us, first_us + round(self._limits.max_age_s * 1e6))

    def begin(
        self,
        *,
        from_us: int,
        runs: Iterable[str],
        wanted: Iterable[str],
        collected: Iterable[str],
    ) -> None:
        """Open a span at the moment from which collecting is complete; see ``switch``."""
        self.from_us = self.to_us = self._begun_us = from_us
        self._ahead = []
        self._reset()
        self.switch(runs=runs, wanted=wanted, collected=collected)

    def switch(
        self, *, runs: Iterable[str], wanted: Iterable[str], collected: Iterable[str]
    ) -> None:
        """Go on for other runs or kinds, right behind what was cut.

        Args:
            runs: The runs that events are collected for.
            wanted: The kinds they need; nothing is sent of any other kind.
            collected: The kinds that some sensor collects.

        Raises:
            ValueError: Events of the runs before are not cut yet.
        """
        if not self.is_empty:
            raise ValueError("a batch speaks of one set of runs; cut first")
        self._runs = tuple(runs)
        self._wanted = frozenset(wanted)
        self._collected = tuple(sorted(self._wanted.intersection(collected)))

    def add(self, events: Iterable[Event], *, until_us: int) -> None:
        """Take over drained events; with those before, they are complete before ``until_us``.

        Events of kinds that nobody wants are left out. What a sensor found while it got ready is
        dated to the beginning of the span, where it still held.
        """
        self.to_us = max(self.to_us, until_us)
        waiting = sorted((*self._ahead, *events), key=_TIME)
        told = bisect_left(waiting, self.to_us, key=_TIME)
        self._ahead = waiting[told:]
        ready = [event for event in waiting[:told] if event[0] in self._wanted]
        late = bisect_left(ready, self._begun_us, key=_TIME)
        ready[:late] = [event._replace(ts_us=self._begun_us) for event in ready[:late]]
        while ready:
            chunk = ready[: min(CHUNK, max(1, self._room))]
            del ready[: len(chunk)]
            self._put_all(chunk)

    def cut(self, coverage: Collection[Coverage], *, is_forced: bool = False) -> list[Batch]:
        """Return what is not cut yet as batches; none where no time has passed.

        Args:
            coverage: Rows of the whole interval from ``from_us`` to ``to_us``.
            is_forced: Make a batch even of nothing, for what only its header has to say.
        """
        if self.is_empty and not is_forced:
            return []
        ends = [*(part.from_us for part in self._parts[1:]), self.to_us]
        batches = [
            self._build(part, to_us=end, coverage=coverage, is_last=part is self._parts[-1])
            for part, end in zip(self._parts, ends, strict=True)
        ]
        self.from_us = self.to_us
        self._reset()
        return batches

    def _reset(self) -> None:
        self._parts = [_Part(BatchBuilder(), self.from_us)]
        self._first_us: int | None = None
        self._malformed = 0

    @property
    def _room(self) -> int:
        """Return how many events the last batch may still take."""
        builder = self._parts[-1].builder
        return 0 if builder.is_full else self._limits.max_events - len(builder)

    def _put_all(self, events: Sequence[Event]) -> None:
        if self._room >= len(events) and self._parts[-1].builder.extend(events):
            if self._first_us is None:
                self._first_us = events[0].ts_us
            return
        for event in events:  # one of them is refused, or fills the batch
            self._put(event)

    def _put(self, event: Event) -> None:
        part = self._parts[-1]
        if self._room <= 0:
            # More events than fit. What follows is no earlier than this one, so the interval of
            # the full batch ends here; it is empty where they all have the same time.
            part = _Part(BatchBuilder(), max(event.ts_us, part.from_us))
            self._parts.append(part)
        try:
            part.builder.add(event)
        except REFUSALS:
            self._malformed += 1
            return
        if self._first_us is None:
            self._first_us = event.ts_us

    def _build(
        self, part: _Part, *, to_us: int, coverage: Collection[Coverage], is_last: bool
    ) -> Batch:
        self._sequence += 1
        lost = self._malformed if is_last else 0
        header = Header(
            agent_id=self._agent_id,
            boot_id=self._boot_id,
            stream=self._stream,
            sequence=self._sequence,
            from_us=part.from_us,
            to_us=to_us,
            runs=self._runs,
            kinds=self._collected,
            losses=(Loss(MALFORMED, lost, self.from_us, to_us),) if lost else (),
            coverage=tuple(self._cover(coverage, part.from_us, to_us, is_last=is_last)),
        )
        return part.builder.build(header)

    def _cover(
        self, coverage: Iterable[Coverage], from_us: int, to_us: int, *, is_last: bool
    ) -> Iterator[Coverage]:
        """Yield the rows of one batch; what was lost at some time marks the whole time."""
        if from_us == to_us:
            return
        for row in coverage:
            kinds = tuple(kind for kind in row.kinds if kind in self._wanted)
            if not kinds:
                continue
            own = replace(row, kinds=kinds, from_us=from_us, to_us=to_us)
            # Counts stand once, in the last batch.
            yield own if is_last else replace(own, state=_state(row), lost=None, cpu_ms=None)


@dataclass(frozen=True, slots=True)
class _Part:
    builder: BatchBuilder
    from_us: int


def _state(row: Coverage) -> str:
    return "degraded" if row.state == "on" and any((row.lost or {}).values()) else row.state
