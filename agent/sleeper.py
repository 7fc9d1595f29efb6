"""Sleeper: lets a thread wait for descriptors, for a moment, or for another thread's call.

In: what sensors say about when they have something to do. Out: which of them have.
"""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.sensors.sensor import Wake
    from rules.telemetry.clock import Clock

LONGEST_S: Final = 60.0


class Sleeper:
    """One sleeping thread's bed and bell."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bell, self._cord = os.pipe()
        self.is_rung = False

    def ring(self) -> None:
        """End this sleep and every later one; for other threads."""
        self.is_rung = True
        os.write(self._cord, b"!")

    def close(self) -> None:
        """Release the bell; nobody may sleep or ring any more."""
        os.close(self._bell)
        os.close(self._cord)

    def sleep(self, wakes: Sequence[Wake | None]) -> list[bool]:
        """Sleep until one of ``wakes`` is due or readable; return which are. None is never."""
        due_s = min((wake.due_s for wake in wakes if wake is not None), default=float("inf"))
        poller = select.poll()
        poller.register(self._bell, select.POLLIN)
        for wake in wakes:
            if wake is not None and wake.fileno is not None:
                poller.register(wake.fileno, select.POLLIN)
        wait_s = min(max(0.0, due_s - self._clock.monotonic_s()), LONGEST_S)
        ready = {fileno for fileno, _ in poller.poll(wait_s * 1_000)}
        now_s = self._clock.monotonic_s()
        return [
            wake is not None and (wake.due_s <= now_s or wake.fileno in ready) for wake in wakes
        ]
