"""The records of all CPUs in one order: what happened first comes first.

In: the rings. Out: records by time, up to a moment before which nothing is missing, and what was
lost by cause.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import Counter
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from agent.decode.perf_records import Record, RecordReader
from agent.sensors.perf_rings import OpenRings, Rings, online_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.sensors.perf_tracepoints import Tracepoints
    from rules.telemetry.clock import Clock

logger = logging.getLogger(__name__)

CPU_CHECK_S: Final = 10.0  # between looks at which CPUs are switched on
CPUS_CHANGED: Final = "cpus_changed"
_TIME: Final = itemgetter(3)  # of any record, nanoseconds of CLOCK_MONOTONIC


class Drained(NamedTuple):
    """What one look at the rings has brought."""

    records: list[Record]
    until_us: int
    """Everything before this moment stands here or stood in an earlier one."""
    offset_us: int
    """Wall clock minus the records' clock."""
    is_lossy: bool
    """Whether something between these records is missing."""


class RecordStream:
    """Records of every CPU that is switched on.

    Args:
        tracepoints: What to listen to.
        total_bytes: Memory of all rings together.
        clock: Its monotonic time is the records'.
        open_rings: Opens the rings; the kernel's unless a test says otherwise.
        cpus: Returns the CPUs that are switched on.

    Raises:
        PerfError: The kernel refuses.
        DecodeError: A tracepoint lacks a field.
    """

    def __init__(
        self,
        tracepoints: Tracepoints,
        total_bytes: int,
        *,
        clock: Clock,
        open_rings: OpenRings,
        cpus: Callable[[], Sequence[int]] = online_cpus,
    ) -> None:
        self._open_rings = partial(open_rings, tracepoints, total_bytes)
        self._clock = clock
        self._cpus = cpus
        self._reader = RecordReader(*tracepoints)
        self._lost_before = 0
        self._early: list[Record] = []
        self._rings: Rings | None = self._open_rings()
        self._check_due_s = clock.monotonic_s() + CPU_CHECK_S

    @property
    def lost(self) -> Counter[str]:
        """Return what is missing, by cause; only ever counts up."""
        return self._reader.lost

    def fileno(self) -> int | None:
        """Return the descriptor that is readable once much waits."""
        return None if self._rings is None else self._rings.fileno()

    def read(self) -> Drained:
        """Return what was told since the last call.

        Rings are read one after the other, so the last ones show what is later than anything that
        was seen in the first ones: that waits for the next call. A second look catches what was
        being written during the first.

        Raises:
            PerfError: CPUs were switched on, and the kernel refuses to tell what happens there.
        """
        now_s, now_us = self._clock.monotonic_s(), self._clock.now_us()
        records = self._early + self._look() + self._look()
        if now_s >= self._check_due_s:
            self._check_due_s = now_s + CPU_CHECK_S
            records += self._follow_cpus()
        records.sort(key=_TIME)
        told = bisect_right(records, now_s * 1e9, key=_TIME)
        self._early = records[told:]
        lost = self._reader.lost.total()
        is_lossy, self._lost_before = lost > self._lost_before, lost
        offset_us = now_us - round(now_s * 1e6)
        return Drained(records[:told], now_us, offset_us, is_lossy)

    def close(self) -> None:
        """End the stream."""
        if self._rings is not None:
            self._rings.close()
            self._rings = None

    def _look(self) -> list[Record]:
        if self._rings is None:
            return []
        return [record for block in self._rings.read() for record in self._reader.read(block)]

    def _follow_cpus(self) -> list[Record]:
        """Begin anew where CPUs were switched on or off; what happened there until now is lost."""
        if self._rings is None or tuple(self._rings.cpus) == tuple(self._cpus()):
            return []
        logger.warning("perf.cpus_changed", extra={"cpus": len(self._cpus())})
        records = self._look()
        self.close()
        self._rings = self._open_rings()
        self._reader.lost[CPUS_CHANGED] += 1
        return records
