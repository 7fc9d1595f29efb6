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

from agent.decode.perf_records import ExecRecord, Record, RecordReader
from agent.sensors.perf_rings import OpenRings, Rings, online_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.sensors.perf_tracepoints import Tracepoints
    from rules.telemetry.clock import Clock

logger = logging.getLogger(__name__)

CPU_CHECK_S: Final = 10.0  # between looks at which CPUs are switched on
CPUS_CHANGED: Final = "cpus_changed"
SLICE_BYTES: Final = 256 << 10  # of a ring that are read at once; a record takes 4 times as much
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
    has_more: bool = False
    """Whether more has been taken from the rings than stands here: ask once more."""
    coming: Mapping[int, int] = {}
    """How many files each process executes in what follows: /proc speaks of the last one."""


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
        self._is_lossy = False  # of what was taken
        self._lossy_until_ns = 0  # of what was taken before, and waits still
        self._early: list[Record] = []
        self._blocks: list[tuple[bytes, int]] = []  # taken from the rings, and read up to there
        self._reached_ns: list[int] = []  # of each of them: when its last record happened
        self._coming: Counter[int] = Counter()
        self._taken_s = 0.0
        self._taken_us = 0
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
        being written during the first. What was taken is read in slices, so that a burst takes the
        memory of its bytes and not of its records.

        Raises:
            PerfError: CPUs were switched on, and the kernel refuses to tell what happens there.
        """
        records = self._early
        if not self._blocks:
            records = records + self._take()
        records += self._read_slice()
        records.sort(key=_TIME)
        # Of a ring that has more, what comes is no earlier than its last record that was read.
        now_s, offset_us = self._taken_s, self._taken_us - round(self._taken_s * 1e6)
        until_ns = min((now_s * 1e9, *self._reached_ns))
        told = bisect_right(records, until_ns, key=_TIME)
        self._early = records[told:]
        has_more = bool(self._blocks)
        is_lossy = self._look_for_losses(records[:told], has_more=has_more)
        until_us = int(until_ns / 1e3) + offset_us if has_more else self._taken_us
        if self._coming:
            executed = (each.pid for each in records[:told] if type(each) is ExecRecord)
            self._coming = self._coming - Counter(executed)  # anew: others may hold the old one
        return Drained(records[:told], until_us, offset_us, is_lossy, has_more, self._coming)

    def close(self) -> None:
        """End the stream."""
        if self._rings is not None:
            self._rings.close()
            self._rings = None

    def _look_for_losses(self, told: list[Record], *, has_more: bool) -> bool:
        """Return whether something may be missing between these records.

        A loss counts for all that was taken with it: its record is read before what is around it
        is told, as blocks are read side by side.
        """
        lost = self._reader.lost.total()
        self._is_lossy |= lost > self._lost_before
        self._lost_before = lost
        is_lossy = self._is_lossy or bool(told and _TIME(told[0]) <= self._lossy_until_ns)
        if self._is_lossy and not has_more:
            self._is_lossy = False
            self._lossy_until_ns = max(map(_TIME, self._early), default=0)
        return is_lossy

    def _take(self) -> list[Record]:
        """Take everything from the rings; return records of CPUs that are switched off now."""
        now_s = self._taken_s = self._clock.monotonic_s()
        self._taken_us = self._clock.now_us()
        if self._rings is not None:
            blocks = (*self._rings.read(), *self._rings.read())
            self._blocks = [(block, 0) for block in blocks]
            self._coming = Counter()
            if any(len(block) > SLICE_BYTES for block in blocks):
                self._coming.update(each.pid for each in self._early if type(each) is ExecRecord)
                for block in blocks:
                    self._coming.update(self._reader.exec_pids(block))
        if now_s < self._check_due_s:
            return []
        self._check_due_s = now_s + CPU_CHECK_S
        return self._follow_cpus()

    def _read_slice(self) -> list[Record]:
        """Read the next slice of each block; what is left stays."""
        records: list[Record] = []
        left: list[tuple[bytes, int]] = []
        self._reached_ns = []
        for block, begin in self._blocks:
            some, end = self._reader.read_some(block, begin, SLICE_BYTES)
            records += some
            if end < len(block):
                left.append((block, end))
                self._reached_ns.append(some[-1][3])
        self._blocks = left
        return records

    def _follow_cpus(self) -> list[Record]:
        """Begin anew where CPUs were switched on or off; what happened there until now is lost."""
        if self._rings is None or tuple(self._rings.cpus) == tuple(self._cpus()):
            return []
        logger.warning("perf.cpus_changed", extra={"cpus": len(self._cpus())})
        records = [each for block in self._rings.read() for each in self._reader.read(block)]
        self.close()
        self._rings = self._open_rings()
        self._reader.lost[CPUS_CHANGED] += 1
        return records
