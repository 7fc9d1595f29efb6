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
SLACK_S: Final = 0.1  # what comes so soon after another is done with it: each wake-up costs


class Sleeper:
    """One sleeping thread's bed and bell.

    Args:
        clock: Whose monotonic time wakes are in.
        slack_s: How long what is due or readable may wait for more of its kind.
    """

    def __init__(self, clock: Clock, *, slack_s: float = SLACK_S) -> None:
        self._clock = clock
        self._slack_s = slack_s
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
        """Sleep until one of ``wakes`` is due or readable; return which are. None is never.

        Of several that are due within the slack, the last one ends the sleep; and what becomes
        readable waits that long for others to become so.
        """
        moments = [wake.due_s for wake in wakes if wake is not None]
        first_s = min(moments, default=float("inf"))
        due_s = max((each for each in moments if each <= first_s + self._slack_s), default=first_s)
        poller = select.poll()
        poller.register(self._bell, select.POLLIN)
        for wake in wakes:
            if wake is not None and wake.fileno is not None:
                poller.register(wake.fileno, select.POLLIN)
        wait_s = min(max(0.0, due_s - self._clock.monotonic_s()), LONGEST_S)
        if poller.poll(wait_s * 1_000):
            self._doze()
        ready = {fileno for fileno, _ in poller.poll(0)}
        now_s = self._clock.monotonic_s()
        return [
            wake is not None and (wake.due_s <= now_s or wake.fileno in ready) for wake in wakes
        ]

    def _doze(self) -> None:
        """Sleep for the slack, or until the bell."""
        bell = select.poll()
        bell.register(self._bell, select.POLLIN)
        bell.poll(self._slack_s * 1_000)
