"""Restraint: what a step of the budget does to sensors, to their events and to what they claim.

In: the step. Out: fewer reads, fewer events, and coverage that says so.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.budget import SAMPLED_ONE_IN, Budget, Ceiling, Step
from agent.sensors.sensor import Wake, Watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.telemetry.event import Event

SLOW_INTERVAL_S: Final = 5.0  # between two reads of a sensor
UNTOUCHED: Final = frozenset({"facts", "sshd_config"})
"""Sensors that cost next to nothing; only a heartbeat does without them."""
PAYLOAD: Final = frozenset({"packets", "probe"})
"""Sensors that read or ask for payload."""
SAMPLED_KINDS: Final = frozenset({"aws_call", "connection", "tls_session"})
_ENDS: Final = ("local_address", "local_port", "remote_address", "remote_port")


class Restraint:
    """Applies the step that the budget has come to."""

    def __init__(self, ceiling: Ceiling | None) -> None:
        """Hold to ``ceiling``; None = there is none."""
        self._budget = None if ceiling is None else Budget(ceiling)
        self.step = Step.FULL

    def look(self, *, now_s: float, cpu_s: float, memory_bytes: int | None) -> bool:
        """Take a look at the cost; return whether the step has changed."""
        if self._budget is None:
            return False
        before = self.step
        self.step = self._budget.look(now_s=now_s, cpu_s=cpu_s, memory_bytes=memory_bytes)
        return self.step is not before

    def pauses(self, sensor: str) -> bool:
        """Tell whether a sensor must not run now."""
        is_payload = sensor in PAYLOAD and self.step >= Step.NO_PAYLOAD
        return is_payload or self.step >= Step.HEARTBEAT

    def delayed(self, sensor: str, wake: Wake, last_s: float) -> Wake:
        """Return when a sensor that was read at ``last_s`` is read next."""
        if self.step < Step.SLOW or sensor in UNTOUCHED:
            return wake
        return Wake(max(wake.due_s, last_s + SLOW_INTERVAL_S))

    def is_early(self, sensor: str, now_s: float, last_s: float) -> bool:
        """Tell whether a sensor that was read at ``last_s`` must not be read yet."""
        is_slow = self.step >= Step.SLOW and sensor not in UNTOUCHED
        return is_slow and now_s < last_s + SLOW_INTERVAL_S

    def kept(self, events: Iterable[Event]) -> list[Event]:
        """Return the events that are told."""
        if self.step < Step.SUMMARIES:
            return list(events)
        return [event for event in events if self._is_told(event)]

    def claimed(self, sensor: str, watches: Iterable[Watch]) -> list[Watch]:
        """Return what a sensor may claim to watch."""
        if self.step is Step.FULL or sensor in UNTOUCHED:
            return list(watches)
        return [self._weaker(watch) for watch in watches]

    def _is_told(self, event: Event) -> bool:
        if event.kind == "connection" and event.values.get("state") == "opened":
            return False
        if self.step < Step.SAMPLED or event.kind not in SAMPLED_KINDS:
            return True
        ends = "|".join(str(event.values.get(name)) for name in _ENDS)
        return zlib.crc32(ends.encode()) % SAMPLED_ONE_IN == 0

    def _weaker(self, watch: Watch) -> Watch:
        is_sampled = self.step >= Step.SAMPLED and SAMPLED_KINDS & set(watch.kinds)
        return replace(
            watch,
            state="degraded" if watch.state == "on" else watch.state,
            method=f"{watch.method}; {self.step.words}",
            sampled_one_in=SAMPLED_ONE_IN if is_sampled else 1,
        )
