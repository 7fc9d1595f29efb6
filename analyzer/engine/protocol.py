"""The seam of engines: sealed slices, in; the outcome of every rule on every host, out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from rules.outcome import MAX_GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.telemetry.slices import Slice
    from rules.outcome import Outcome
    from rules.telemetry.clock import Clock
    from rules.telemetry.ledger import Ledger

PROVISIONAL_SHARE: Final = 0.05  # of one core, for findings that are not final
_BURST_S: Final = 0.25  # what a long silence may save up

Effort = Callable[[], float]
"""Returns the time that a processor has spent on this thread, seconds."""


class Engine(Protocol):
    """Judges the telemetry of one run."""

    def feed(self, piece: Slice) -> None:
        """Take the next slice of a host."""
        ...

    def provisional(self, ledger: Ledger, agents: Sequence[str]) -> list[Outcome]:
        """Return outcomes as far as they are known now, at bounded cost; some may be outdated."""
        ...

    def outcomes(
        self, ledger: Ledger, agents: Sequence[str], *, max_groups: int | None = MAX_GROUPS
    ) -> list[Outcome]:
        """Return the outcome of every rule on every host, exactly, by rule and host."""
        ...


class Budget:
    """Lets work go on while it has taken no more than its share of the time.

    What counts is the processor's time and not what passes: on a busy machine work takes longer
    and yet costs no more. One piece of work may overdraw it; then nothing is done until that is
    made up for.
    """

    def __init__(self, clock: Clock, share: float, *, effort: Effort = time.thread_time) -> None:
        """Grant a share of the time that ``clock`` shows; work is measured by ``effort``."""
        self._clock = clock
        self._share = share
        self._effort = effort
        self._saved_s = _BURST_S
        self._at_s = clock.monotonic_s()
        self._begin_s = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether another piece of work may begin."""
        now_s = self._clock.monotonic_s()
        self._saved_s = min(_BURST_S, self._saved_s + (now_s - self._at_s) * self._share)
        self._at_s = now_s
        return self._saved_s > 0

    def __enter__(self) -> None:
        """Begin a piece of work, which this thread does from its begin to its end."""
        self._begin_s = self._effort()

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._saved_s -= self._effort() - self._begin_s
