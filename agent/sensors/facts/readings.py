"""Readings: what sensors of host facts share: files are read when they are due, in a thread.

In: readers of the host's files. Out: ``FactsRead`` with the facts that are new or have changed.
What a run begins with is told again for every run. What cannot be read is no clean host: its kinds
are off.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from agent.sensors.facts.host_files import Fact, HostFiles
from agent.sensors.observations import FactsRead, Observation
from agent.sensors.pace import Pace
from agent.sensors.sensor import State, Stats, Tools, Wake, Watch

REREAD_S: Final = 600.0  # between two readings of files
DRAIN_S: Final = 5.0  # between looks whether something was read
FIRST_READING_S: Final = 5.0  # how long ``start`` waits for it
STALLED_S: Final = 60.0  # of one reading, such as of a file on a server that is gone
MAX_TOLD: Final = 32_768  # facts remembered as told; of more, the oldest are told again
_STOP_TIMEOUT_S: Final = 5.0
_NAMED_FILES: Final = 3  # that could not be read; the others are counted

Reader = Callable[[], Iterable[Fact]]
Blind = dict[str, tuple[State, str]]
"""Kind → how well it is seen, and why not better."""


@dataclass(slots=True)
class Reading:
    """Files that are read together: the kinds they become, when they are due, what is hidden."""

    kinds: frozenset[str]
    read: Reader
    pace: Pace = field(default_factory=lambda: Pace(shortest_s=REREAD_S, longest_s=REREAD_S))
    blind: Blind = field(default_factory=dict)


class FileFactsSensor:
    """What two sensors share: readings that a thread of their own makes when they are due."""

    name = ""
    kinds: tuple[str, ...] = ()
    method = ""

    def __init__(self, tools: Tools, *, host: HostFiles | None = None) -> None:
        """Read ``host``; None = the one this process runs on."""
        self._tools = tools
        self._clock = tools.clock
        self._host = host or HostFiles()
        self._wanted: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._has_work = threading.Event()  # a new run, or the end
        self._has_read = threading.Event()  # everything, once
        self._read: deque[FactsRead] = deque()
        self._told: dict[int, None] = {}
        self._readings = self._plan()
        self._began_s: float | None = None  # the reading that is under way
        self._round = tools.round
        self._error: Exception | None = None
        self._seen = 0
        self._cpu_s = 0.0

    def start(self, kinds: frozenset[str]) -> None:
        """Begin to read what ``kinds`` need; return when that was read once, or takes too long."""
        self._wanted = kinds & frozenset(self.kinds)
        self._readings = [each for each in self._readings if each.kinds & self._wanted]
        self._round = self._tools.round
        self._thread = threading.Thread(target=self._work, name=f"proctor-{self.name}", daemon=True)
        self._thread.start()
        self._has_read.wait(FIRST_READING_S)

    def wake(self) -> Wake:
        """Look now and then whether something was read, all such sensors at the same moment."""
        return Wake((self._clock.monotonic_s() // DRAIN_S + 1) * DRAIN_S)

    def drain(self) -> list[Observation]:
        """Return what was read since the last call.

        Raises:
            RuntimeError: The thread has failed.
        """
        if self._error is not None:
            raise RuntimeError("the thread that reads facts has failed") from self._error
        if self._round != self._tools.round:
            self._has_work.set()
        found: list[Observation] = []
        while self._read:
            found.append(self._read.popleft())
        return found

    def stats(self) -> Stats:
        """Return how many facts were read, and what the thread has cost."""
        return Stats(self._seen, {}, self._watching() if self._thread else (), self._cpu_s)

    def stop(self) -> None:
        """End the thread."""
        self._is_stopping = True
        self._has_work.set()
        if self._thread is not None:
            self._thread.join(_STOP_TIMEOUT_S)

    def _plan(self) -> list[Reading]:
        """Return all readings."""
        raise NotImplementedError

    def _blind_kinds(self, reading: Reading) -> Blind:
        """Return which kinds of a reading that has just been made are not known, and why."""
        missing = sorted(self._host.unreadable)
        if not missing:
            return {}
        more = len(missing) - _NAMED_FILES
        names = ", ".join(missing[:_NAMED_FILES]) + (f" and {more} more" if more > 0 else "")
        return dict.fromkeys(reading.kinds, ("off", f"{names} cannot be read"))

    def _watching(self) -> tuple[Watch, ...]:
        began_s = self._began_s
        if not self._has_read.is_set():
            return (self._watch("off", "the first reading is under way"),)
        if began_s is not None and self._clock.monotonic_s() - began_s > STALLED_S:
            return (self._watch("off", "a reading does not end"),)
        groups: dict[tuple[State, str], list[str]] = {}
        blind = {kind: why for each in self._readings for kind, why in each.blind.items()}
        for kind in sorted(self._wanted):
            groups.setdefault(blind.get(kind, ("on", "")), []).append(kind)
        return tuple(self._watch(state, why, kinds) for (state, why), kinds in groups.items())

    def _watch(self, state: State, why: str, kinds: Iterable[str] | None = None) -> Watch:
        told = tuple(sorted(self._wanted if kinds is None else kinds))
        return Watch(told, state, f"{self.method}; {why}" if why else self.method)

    def _work(self) -> None:
        try:
            while not self._is_stopping:
                self._has_work.clear()
                self._step()
                self._has_read.set()
                due_s = min(each.pace.due_s(is_changed=True) for each in self._readings)
                self._has_work.wait(max(0.0, due_s - self._clock.monotonic_s()))
        except Exception as error:  # noqa: BLE001 (the thread's end; ``drain`` tells the caller)
            self._error = error

    def _step(self) -> None:
        """Read what is due; for a new run, everything."""
        is_new_run = self._round != self._tools.round
        if is_new_run:
            self._round = self._tools.round
            self._told.clear()
        for reading in self._readings:
            is_due = reading.pace.due_s(is_changed=True) <= self._clock.monotonic_s()
            if (is_due or is_new_run) and not self._is_stopping:
                self._take(reading)

    def _take(self, reading: Reading) -> None:
        began_s = time.thread_time()
        self._began_s = self._clock.monotonic_s()
        self._host.unreadable.clear()
        facts = [
            fact for fact in reading.read() if fact.kind in self._wanted and self._is_new(fact)
        ]
        reading.blind = self._blind_kinds(reading)
        self._began_s = None
        self._seen += len(facts)
        if facts:
            self._read.append(FactsRead(self._clock.now_us(), "facts", facts))
        self._cpu_s = time.thread_time()
        reading.pace.spend(self._clock.monotonic_s(), self._cpu_s - began_s)

    def _is_new(self, fact: Fact) -> bool:
        name = fact.process.name if fact.process else None
        key = hash((fact.kind, name, *sorted(fact.values.items())))
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > MAX_TOLD:
            del self._told[next(iter(self._told))]
        return True
