"""Time as a value that is passed in: system time for programs, manual time for tests.

Nothing below a program's entry reads the wall clock by itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Where a component reads time from."""

    def now_us(self) -> int:
        """Return the wall clock in microseconds since 1970, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never steps back."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The clock of the host."""

    def now_us(self) -> int:
        """Return the host's wall clock in microseconds since 1970, UTC."""
        return time.time_ns() // 1_000

    def monotonic_s(self) -> float:
        """Return the host's monotonic clock in seconds."""
        return time.monotonic()


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told to."""

    time_us: int = 0

    def now_us(self) -> int:
        """Return the set time in microseconds."""
        return self.time_us

    def monotonic_s(self) -> float:
        """Return the set time in seconds."""
        return self.time_us / 1e6

    def advance(self, seconds: float) -> None:
        """Move forward by ``seconds``."""
        self.time_us += round(seconds * 1e6)
