"""Collector: runs the sensors that work on this host, and hands out events and coverage.

In: the kinds that somebody wants. Out: events, each with a process and a grade, and what was
watched. Sensors are called from one thread of the collector, so nothing here blocks the event
loop, and a slow consumer does not make the kernel's queues overflow.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Protocol

from agent.budget import Step
from agent.correlate import Correlator
from agent.coverage import read_own_memory
from agent.crew import Member, Rung, SensorReport, climb
from agent.restraint import Restraint
from agent.sensors import LADDERS
from agent.sensors.sensor import Tools
from agent.sleeper import Sleeper

if TYPE_CHECKING:
    from agent.budget import Ceiling
    from agent.config import Settings
    from agent.sensors.observations import Observation
    from agent.sensors.sensor import Ladder, Loss
    from rules.telemetry.clock import Clock
    from rules.telemetry.event import Event
    from rules.telemetry.header import Coverage

__all__ = ["Collector", "HostCollector", "SensorReport"]

logger = logging.getLogger(__name__)

MAX_BACKLOG: Final = 20_000  # events, 0.8 KB each, that wait for ``drain``; more are lost
WAKE_AT: Final = 2_000  # events that make ``wait`` return early
MEMORY_INTERVAL_S: Final = 5.0  # between looks at the agent's own memory
STOP_TIMEOUT_S: Final = 10.0  # far beyond what a sensor may take for one step
_TIME: Final = itemgetter(1)  # of an event
_BY_CONNECTION: Final = frozenset({"aws_call", "dns_answer", "imds_request", "tls_session"})


class Collector(Protocol):
    """What observes a host: the real one, or one that follows a script."""

    async def start(self, kinds: frozenset[str]) -> None:
        """Run every sensor that works and helps with ``kinds``; return once they watch.

        While it runs, say once more what is there, for a run that has just begun.
        """
        ...

    async def stop(self) -> None:
        """Stop all sensors; what they saw until now can still be drained."""
        ...

    async def wait(self, timeout_s: float, *, oldest_s: float = math.inf) -> None:
        """Return after ``timeout_s``, or earlier when there is much to drain or ``wake`` asks.

        Or once something that waits to be drained is ``oldest_s`` old.
        """
        ...

    def wake(self) -> None:
        """Let this wait, or the next one, return at once."""
        ...

    async def catch_up(self) -> None:
        """Take what the sensors have seen until now, so that the next ``drain`` has all of it."""
        ...

    def drain(self) -> list[Event]:
        """Return what was observed since the last call, by time, all of it before now."""
        ...

    def coverage(self, from_us: int, to_us: int) -> tuple[Coverage, ...]:
        """Return what each sensor watched during exactly this interval, and begin the next."""
        ...

    def collected(self) -> tuple[str, ...]:
        """Return the wanted kinds that some sensor watches now, fully or partly."""
        ...

    def reports(self) -> list[SensorReport]:
        """Return what to know of each sensor, as it is now."""
        ...

    @property
    def is_throttled(self) -> bool:
        """Tell whether less is observed than could be, to keep to a budget."""
        ...


class HostCollector:
    """The sensors of this host.

    ``start``, then ``wait`` and ``drain`` again and again, ``coverage`` for each interval that is
    cut, and ``stop``. Up to ``MAX_BACKLOG`` events wait to be drained. Where there is a ceiling,
    less is observed while this process costs more, and coverage says so.
    """

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        *,
        ladders: Sequence[Ladder] = LADDERS,
        ceiling: Ceiling | None = None,
    ) -> None:
        self._clock = clock
        self._restraint = Restraint(ceiling)
        self._ladders = ladders
        self._switched_off = {
            name: name for name in ("packets", "perf", "probe") if not getattr(settings, name)
        }
        self._tools = Tools(clock, ring_bytes=settings.perf_ring_bytes)
        self._correlator = Correlator(self._tools.own)
        self._kinds: frozenset[str] = frozenset()
        self._rungs: list[Rung] = []
        self._crew: list[Member] = []
        self._thread: threading.Thread | None = None
        self._sleeper: Sleeper | None = None
        self._is_started = False
        self._work = threading.Lock()  # sensors and correlation
        self._lock = threading.Lock()  # what is handed out; held for moments only
        self._backlog: list[Event] = []
        self._dropped: Counter[Loss] = Counter()
        self._floor_us = 0
        self._ready_us = 0
        self._rss_bytes: int | None = None
        self._memory_due_s = 0.0
        self._has_much = asyncio.Event()
        self._has_news = asyncio.Event()
        # Whether the event loop was told since the last drain: each time wakes its thread.
        self._is_announced = self._is_much_announced = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self, kinds: frozenset[str]) -> None:
        """Run every sensor that works here and helps with ``kinds``; return once they watch.

        While it runs, what is there is announced once more, for a run that has just begun. Kinds
        that need other sensors start all of them anew; the interval in which that happens then
        counts as not watched.
        """
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._start, kinds)

    async def stop(self) -> None:
        """Stop all sensors; ``drain`` then returns what they saw until now."""
        await asyncio.to_thread(self._stop)

    async def wait(self, timeout_s: float, *, oldest_s: float = math.inf) -> None:
        """Return after ``timeout_s``, or earlier when there is much to drain or ``wake`` asks.

        Or once something that waits to be drained is ``oldest_s`` old.
        """
        end_s = self._clock.monotonic_s() + timeout_s
        await _wait(self._has_news, timeout_s)
        left_s = end_s - self._clock.monotonic_s()
        await _wait(self._has_much, min(left_s, oldest_s - self._age_s()))

    def wake(self) -> None:
        """Let this wait, or the next one, return at once."""
        self._has_news.set()
        self._has_much.set()

    async def catch_up(self) -> None:
        """Take what the sensors have seen until now, so that the next ``drain`` has all of it.

        Without it, what a sensor has seen and not yet told comes with a later ``drain``, which
        must date it later.
        """
        await asyncio.to_thread(self._catch_up)

    def drain(self) -> list[Event]:
        """Return what was observed since the last call, by time.

        Every time lies between the last call and now: what was read a moment too late to be
        handed out in time is dated to the last call, and what ``start`` found to the first one.
        """
        with self._lock:
            events, self._backlog = self._backlog, []
            now_us = self._clock.now_us()
            begin_us, self._floor_us = self._floor_us, max(self._floor_us, now_us)
            ready_us, self._ready_us = self._ready_us, 0
            self._is_announced = self._is_much_announced = False
        self._has_news.clear()
        self._has_much.clear()
        end_us = max(begin_us, now_us - 1)
        events.sort(key=_TIME)
        first = bisect_left(events, max(begin_us, ready_us + 1), key=_TIME)
        last = bisect_right(events, end_us, lo=first, key=_TIME)
        moved = [
            event._replace(ts_us=_moved(event.ts_us, begin_us, end_us, ready_us))
            for event in (*events[:first], *events[last:])
        ]
        return sorted((*moved, *events[first:last]), key=_TIME)

    def coverage(self, from_us: int, to_us: int) -> tuple[Coverage, ...]:
        """Return what each sensor watched during exactly this interval, and begin the next."""
        with self._lock:
            self._floor_us = max(self._floor_us, to_us)
            cuts = [
                member.account.cut(from_us, to_us, kinds=self._kinds, rss_bytes=self._rss_bytes)
                for member in self._crew
            ]
        return tuple(row for rows in cuts for row in rows)

    def collected(self) -> tuple[str, ...]:
        """Return the wanted kinds that some sensor watches now, fully or partly."""
        with self._lock:
            watched = frozenset().union(*(member.account.collecting for member in self._crew))
        return tuple(sorted(watched & self._kinds))

    def reports(self) -> list[SensorReport]:
        """Return what to know of each sensor; of those at work, as it is now."""
        if not self._rungs:
            self._climb()
        states = {id(member.rung): member.account.state for member in self._crew}
        return [rung.report(states.get(id(rung))) for rung in self._rungs]

    @property
    def is_throttled(self) -> bool:
        """Tell whether less is observed than could be, to keep to the ceiling."""
        return self._restraint.step > Step.FULL

    def _climb(self) -> None:
        self._rungs = climb(self._ladders, self._tools, switched_off=self._switched_off)

    def _start(self, kinds: frozenset[str]) -> None:
        # Whoever asks listeners must know them first, and packets get their process by connection.
        needed = kinds | {"connection", "listener"} if kinds & _BY_CONNECTION else kinds
        covered = frozenset().union(*(member.kinds for member in self._crew))
        is_running = self._thread is not None and self._thread.is_alive()
        if is_running and needed & self._known_kinds() <= covered:
            with self._work, self._lock:
                self._kinds = kinds
                self._tools.round += 1
                self._put(self._correlator.announce(self._clock.now_us()))
            return
        was_started = self._is_started
        self._stop()
        self._begin(kinds, needed)
        if not was_started:
            for member in self._crew:
                member.account.forget_start()
        self._sleeper = Sleeper(self._clock)
        self._thread = threading.Thread(target=self._watch, name="proctor-sensors", daemon=True)
        self._thread.start()

    def _begin(self, kinds: frozenset[str], needed: frozenset[str]) -> None:
        self._kinds = kinds
        self._correlator = Correlator(self._tools.own)
        self._climb()
        rungs = [rung for rung in self._rungs if needed & frozenset(rung.sensor.kinds)]
        crew = [Member(rung, self._tools, needed, self._restraint) for rung in rungs]
        with self._lock:
            self._crew = crew
            self._dropped.clear()
        self._is_started = True
        for member in crew:
            member.start()
        self._step([True] * len(crew))
        with self._lock:
            self._ready_us = self._clock.now_us()
            self._floor_us = max(self._floor_us, self._ready_us)

    def _known_kinds(self) -> frozenset[str]:
        return frozenset(kind for rung in self._rungs for kind in rung.sensor.kinds)

    def _stop(self) -> None:
        if not self._is_started:
            return
        if self._thread is not None and self._sleeper is not None:
            self._sleeper.ring()
            self._thread.join(STOP_TIMEOUT_S)
            self._sleeper.close()
            self._thread = self._sleeper = None
        self._step([True] * len(self._crew))
        for member in self._crew:
            member.stop()
        with self._work, self._lock:
            self._put(self._correlator.flush())
        self._is_started = False

    def _catch_up(self) -> None:
        if self._is_started:
            self._step([member.is_fed for member in self._crew])

    def _watch(self) -> None:
        """Call sensors whenever they have something to do; the body of the thread."""
        sleeper = self._sleeper
        try:
            while sleeper is not None and not sleeper.is_rung:
                with self._work:
                    wakes = [member.wake() for member in self._crew]
                self._step(sleeper.sleep(wakes))
        except Exception as error:  # noqa: BLE001 (nobody would hear of it; now coverage says it)
            for member in self._crew:
                member.fail(error)

    def _step(self, due: Sequence[bool]) -> None:
        """Take what the sensors have that are due, and what better ones know of the same kinds.

        Whatever a lesser sensor has read when its turn is over, a better one can tell by then. So
        the lesser ones read first, and the better ones are heard first.
        """
        with self._work:
            is_last = all(due)
            observed: list[tuple[Member, Sequence[Observation]]] = []
            read: frozenset[str] = frozenset()
            for member, is_due in zip(reversed(self._crew), reversed(due), strict=True):
                is_asked = bool(read & member.kinds)
                if is_due or is_asked:
                    observations = member.step(is_forced=is_last or is_asked)
                    observed.append((member, observations))
                    read |= member.kinds if observations else frozenset()
            for member, observations in reversed(observed):
                self._take(member, observations)
                while member.has_more:
                    self._take(member, member.step(is_forced=True))
            if any(observations for _, observations in observed):
                self._note_losses()
        now_s = self._clock.monotonic_s()
        if now_s >= self._memory_due_s:
            self._memory_due_s = now_s + MEMORY_INTERVAL_S
            self._rss_bytes = read_own_memory()
            self._look_at_cost(now_s)

    def _look_at_cost(self, now_s: float) -> None:
        cpu_s = time.process_time()
        if self._restraint.look(now_s=now_s, cpu_s=cpu_s, memory_bytes=self._rss_bytes):
            words = self._restraint.step.words or "within budget"
            logger.warning("budget.step", extra={"step": int(self._restraint.step), "means": words})
            with self._work, self._lock:
                for member in self._crew:
                    member.restrain()

    def _note_losses(self) -> None:
        """Let every sensor of a kind tell what had no room, whoever has seen it."""
        with self._lock:
            for member in self._crew:
                member.account.lose(self._correlator.lost)
                member.account.lose(self._dropped)

    def _take(self, member: Member, observations: Sequence[Observation]) -> None:
        try:
            for observation in observations:
                events = self._correlator.add(observation)
                with self._lock:
                    self._put(events)
        except Exception as error:  # noqa: BLE001 (facts of one sensor must not stop the others)
            member.fail(error)
            return
        self._tools.listeners = self._correlator.listeners

    def _put(self, events: Iterable[Event]) -> None:
        wanted = self._restraint.kept(event for event in events if event.kind in self._kinds)
        room = MAX_BACKLOG - len(self._backlog)
        self._backlog += wanted[:room]
        for event in wanted[room:]:
            self._dropped[event.kind, "backlog_full"] += 1
        if self._loop is None or not self._backlog:
            return
        if not self._is_announced:
            self._is_announced = True
            self._loop.call_soon_threadsafe(self._has_news.set)
        if len(self._backlog) >= WAKE_AT and not self._is_much_announced:
            self._is_much_announced = True
            self._loop.call_soon_threadsafe(self._has_much.set)

    def _age_s(self) -> float:
        """Return how old the event is that has waited for the longest time, as it will be dated."""
        now_us = self._clock.now_us()
        with self._lock:
            first_us = self._backlog[0].ts_us if self._backlog else now_us
            return (now_us - max(first_us, self._floor_us)) / 1e6


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, timeout_s)):
            await event.wait()


def _moved(ts_us: int, begin_us: int, end_us: int, ready_us: int) -> int:
    return end_us if ts_us <= ready_us else min(max(ts_us, begin_us), end_us)
