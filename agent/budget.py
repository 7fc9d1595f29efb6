"""Budget: a ceiling for what the agent costs its host, met by seeing less, never by dying.

In: CPU time and memory, looked at every few seconds. Out: a step of a fixed ladder. Each step takes
away the least that the next one can do without; what is taken away is stated in coverage rows, and
comes back once the host is calm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

CPU_CEILING: Final = 0.05  # of one core
MEMORY_CEILING_BYTES: Final = 64 << 20
WINDOW_S: Final = 10.0  # over which cost is measured
OVER_WINDOWS: Final = 2  # in a row, before a step is taken: starting a run costs more for a moment
CALM_SHARE: Final = 0.5  # of the CPU ceiling, below which a window is calm
CALM_MEMORY_SHARE: Final = 0.9
CALM_WINDOWS: Final = 6  # in a row, before a step is taken back
SAMPLED_ONE_IN: Final = 8


class Step(IntEnum):
    """What is done without; every step includes the ones before it."""

    FULL = 0
    SLOW = 1
    """Sensors are read at most every few seconds."""
    SUMMARIES = 2
    """Of a connection only the row of its end is told, which holds all that is known of it."""
    SAMPLED = 3
    """Only one in ``SAMPLED_ONE_IN`` flows is told, chosen by a hash of its addresses and ports."""
    NO_PAYLOAD = 4
    """Nothing is read of payloads, and listeners are not asked."""
    HEARTBEAT = 5
    """Nothing is watched; the agent says only that it lives."""

    @property
    def words(self) -> str:
        """Return what coverage rows say of it."""
        return _WORDS[self]


_WORDS: Final = {
    Step.FULL: "",
    Step.SLOW: "over budget: slower polls",
    Step.SUMMARIES: "over budget: only ends of connections",
    Step.SAMPLED: f"over budget: one in {SAMPLED_ONE_IN} flows",
    Step.NO_PAYLOAD: "over budget: no payload",
    Step.HEARTBEAT: "over budget: heartbeat only",
}


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the agent may cost; 0 = no ceiling."""

    cpu_share: float = CPU_CEILING
    memory_bytes: int = MEMORY_CEILING_BYTES


class Budget:
    """Decides on the step.

    Memory alone never leads beyond ``NO_PAYLOAD``: a process seldom gives memory back, and an
    agent that sees nothing for ever would be of no use.
    """

    def __init__(self, ceiling: Ceiling) -> None:
        """Begin with everything on."""
        self.step = Step.FULL
        self._ceiling = ceiling
        self._from_s: float | None = None
        self._from_cpu_s = 0.0
        self._calm = self._over = 0

    def look(self, *, now_s: float, cpu_s: float, memory_bytes: int | None) -> Step:
        """Return the step from now on.

        Args:
            now_s: Monotonic seconds.
            cpu_s: CPU time of the agent until now.
            memory_bytes: Its resident memory; None = not known.
        """
        if self._from_s is None:
            self._from_s, self._from_cpu_s = now_s, cpu_s
        elif now_s - self._from_s >= WINDOW_S:
            share = (cpu_s - self._from_cpu_s) / (now_s - self._from_s)
            self._from_s, self._from_cpu_s = now_s, cpu_s
            self._judge(share, memory_bytes or 0)
        return self.step

    def _judge(self, share: float, memory_bytes: int) -> None:
        cpu, memory = self._ceiling.cpu_share, self._ceiling.memory_bytes
        if cpu and share > cpu:
            self._worsen(Step.HEARTBEAT)
        elif memory and memory_bytes > memory:
            self._worsen(Step.NO_PAYLOAD)
        elif (not cpu or share < cpu * CALM_SHARE) and (
            not memory or memory_bytes < memory * CALM_MEMORY_SHARE
        ):
            self._over = 0
            self._calm += 1
            if self._calm >= CALM_WINDOWS:
                self._calm = 0
                self.step = Step(max(self.step - 1, Step.FULL))
        else:
            self._calm = self._over = 0

    def _worsen(self, last: Step) -> None:
        self._calm = 0
        self._over += 1
        if self._over >= OVER_WINDOWS and self.step < last:
            self._over = 0
            self.step = Step(self.step + 1)
