"""Collectors that play a script: events at known moments, instead of what a host does."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable

from agent.crew import SensorReport
from rules.telemetry import Clock, Coverage, Event

SENSOR = "script"


class ScriptedCollector:
    """Hands out events once the clock has reached them.

    Attributes:
        events: The script, by time; may be changed while it plays.
        started: The kinds of each start.
        stops: How often it was stopped.
        lost: Events lost by cause, told with the next coverage.
        fault: Raised by the next drain.
    """

    def __init__(
        self,
        events: Iterable[Event],
        *,
        clock: Clock,
        kinds: Iterable[str],
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        self.events = sorted(events, key=lambda event: event.ts_us)
        self.started: list[frozenset[str]] = []
        self.stops = 0
        self.lost: dict[str, int] = {}
        self.fault: Exception | None = None
        self._clock = clock
        self._kinds = frozenset(kinds)
        self._wanted: frozenset[str] = frozenset()
        self._drained_us: int | None = None
        self._on_wait = on_wait
        self._woken = asyncio.Event()

    async def start(self, kinds: frozenset[str]) -> None:
        self.started.append(kinds)
        self._wanted = kinds
        if self._drained_us is None:
            self._drained_us = self._clock.now_us()

    async def stop(self) -> None:
        self.stops += 1
        self._drained_us = None

    async def wait(self, timeout_s: float, *, oldest_s: float = math.inf) -> None:
        timeout_s = max(0.0, min(timeout_s, oldest_s - self._age_s()))
        if self._on_wait is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._woken.wait()
            self._woken.clear()
        else:
            self._on_wait(timeout_s)
            await asyncio.sleep(0)

    def _age_s(self) -> float:
        """Return how old the next event is; of one that is still to come, less than nothing."""
        waiting = (event.ts_us for event in self.events if event.ts_us >= (self._drained_us or 0))
        now_us = self._clock.now_us()
        return (now_us - next(waiting, now_us)) / 1e6

    def wake(self) -> None:
        self._woken.set()

    async def catch_up(self) -> None:
        """Nothing waits: the script tells everything with ``drain``."""

    def drain(self) -> list[Event]:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        if self._drained_us is None:
            return []
        begin_us, self._drained_us = self._drained_us, self._clock.now_us()
        return [
            event
            for event in self.events
            if begin_us <= event.ts_us < self._drained_us and event.kind in self._wanted
        ]

    def coverage(self, from_us: int, to_us: int) -> tuple[Coverage, ...]:
        lost, self.lost = self.lost, {}
        state = "degraded" if lost else "on"
        kinds = tuple(sorted(self._wanted & self._kinds))
        return (Coverage(SENSOR, kinds, from_us, to_us, state, "script", lost=lost or None),)

    def collected(self) -> tuple[str, ...]:
        return tuple(sorted(self._wanted & self._kinds))

    is_throttled = False

    def reports(self) -> list[SensorReport]:
        return [SensorReport(SENSOR, tuple(sorted(self._kinds)), "on", "script", "", "", ())]
