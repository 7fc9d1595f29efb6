"""Watched: what the batches of one host say was looked at, and what was lost or came late.

In: headers and coverage rows, batch by batch, in any order. Out: the same statements merged into
few, entered into a coverage ledger. Twenty-four hours of batches become a handful of intervals.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.telemetry.batch import Coverage
from rules.telemetry.ledger import Intervals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rules.telemetry.batch import Header
    from rules.telemetry.ledger import Ledger

MAX_LATE = 100_000  # late events kept by moment; beyond it they are only counted

_Statement = tuple[str, tuple[str, ...], str, str, int]
"""Sensor, kinds, state, method, sampled one in: what rows must share to be merged."""


@dataclass(slots=True)
class Watched:
    """What is known of one host."""

    covered: Intervals = field(default_factory=Intervals)
    kinds: set[str] = field(default_factory=set)
    lost: Counter[str] = field(default_factory=Counter)
    _statements: dict[_Statement, Intervals] = field(default_factory=dict)
    _sensor_losses: dict[_Statement, Counter[str]] = field(default_factory=dict)
    _doubtful: Intervals = field(default_factory=Intervals)
    """Where events are missing although a sensor was on."""
    _late: list[tuple[str, int]] = field(default_factory=list)

    def add(self, header: Header) -> None:
        """Enter what one batch says of its interval."""
        self.covered = self.covered | Intervals([(header.from_us, header.to_us)])
        self.kinds.update(header.kinds)
        for loss in header.losses:
            self.lost[loss.cause] += loss.events
            # What lies before the batch speaks of batches that were dropped: nobody claims to have
            # watched then, except in the gaps of a hull of several drops.
            if loss.to_us > header.from_us:
                self.doubt(loss.from_us, loss.to_us)
        for row in header.coverage:
            self._add_coverage(row)

    def add_late(self, kind: str, times_us: Sequence[int]) -> None:
        """Count events of one kind that came after their slice was sealed."""
        room = max(0, MAX_LATE - len(self._late))
        self._late.extend((kind, ts_us) for ts_us in times_us[:room])
        if times_us[room:]:
            self.lost["late"] += len(times_us) - room

    def doubt(self, from_us: int, to_us: int) -> None:
        """Note that events of [from_us, to_us) are missing: its sensors count as degraded."""
        self._doubtful = self._doubtful | Intervals([(from_us, to_us)])

    def enter(self, ledger: Ledger, agent_id: str) -> None:
        """Enter everything into a ledger; a host that never reported has watched nothing."""
        ledger.add_host(agent_id, watched=self.covered, kinds=self.kinds)
        # A run that was stopped ends earlier than was known when its rows were doubted.
        doubtful = self._doubtful & Intervals([(ledger.from_us, ledger.to_us)])
        for row in self._coverage(doubtful):
            ledger.add_coverage(agent_id, row)
        for cause, events in self.lost.items():
            ledger.add_lost(agent_id, cause, events)
        for kind, ts_us in self._late:
            if ts_us < ledger.to_us:
                ledger.add_late(agent_id, kind, ts_us)

    def state(self) -> dict[str, Any]:
        """Return all that is known as plain values, for ``of``."""
        return {
            "covered": list(self.covered),
            "kinds": sorted(self.kinds),
            "lost": dict(self.lost),
            "statements": [
                [list(key), list(stated), dict(self._sensor_losses.get(key, {}))]
                for key, stated in self._statements.items()
            ],
            "doubtful": list(self._doubtful),
            "late": self._late,
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> Watched:
        """Return what a state was made of."""
        found = cls(
            covered=Intervals.of(state["covered"]),
            kinds=set(state["kinds"]),
            lost=Counter(state["lost"]),
            _doubtful=Intervals.of(state["doubtful"]),
            _late=[(kind, ts_us) for kind, ts_us in state["late"]],
        )
        for (sensor, kinds, *rest), stated, losses in state["statements"]:
            key = (sensor, tuple(kinds), *rest)
            found._statements[key] = Intervals.of(stated)
            if losses:
                found._sensor_losses[key] = Counter(losses)
        return found

    def _add_coverage(self, row: Coverage) -> None:
        lost = {cause: events for cause, events in (row.lost or {}).items() if events}
        # A row that states losses says "degraded", whatever it calls itself: so it may be merged.
        state = "degraded" if lost and row.state == "on" else row.state
        key = (row.sensor, tuple(sorted(row.kinds)), state, row.method, row.sampled_one_in)
        before = self._statements.get(key, Intervals())
        self._statements[key] = before | Intervals([(row.from_us, row.to_us)])
        if lost:
            self._sensor_losses.setdefault(key, Counter()).update(lost)

    def _coverage(self, doubtful: Intervals) -> Iterator[Coverage]:
        for key, stated in sorted(self._statements.items(), key=lambda item: item[0]):
            lost: Counter[str] | None = self._sensor_losses.get(key)
            for state, (from_us, to_us) in _split(key[2], stated, doubtful):
                yield Coverage(
                    sensor=key[0],
                    kinds=key[1],
                    from_us=from_us,
                    to_us=to_us,
                    state=state,
                    method=key[3],
                    sampled_one_in=key[4],
                    lost=lost,
                )
                lost = None  # once: the ledger adds them up


def _split(
    state: str, stated: Intervals, doubtful: Intervals
) -> Iterator[tuple[str, tuple[int, int]]]:
    if state != "on":
        yield from ((state, pair) for pair in stated)
        return
    yield from (("on", pair) for pair in stated - doubtful)
    yield from (("degraded", pair) for pair in stated & doubtful)
