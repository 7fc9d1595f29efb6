"""Meter: CPU time and memory of a process and its children.

In: a pid. Out: the share of one core since the meter was made, and the greatest sum of VmRSS.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

LOOK_S = 1.0  # between looks at memory


class Meter:
    """What a process and its children have cost since the meter was made.

    Attributes:
        rss_mb: The greatest sum of VmRSS so far, in 10⁶ bytes; seen by ``watch``.
    """

    def __init__(self, pid: int) -> None:
        self.rss_mb = 0.0
        self._pid = pid
        self._begin_s = time.monotonic()
        self._cpu_s: dict[str, float] = {}
        self._begin_cpu_s = self._spent_s()

    async def watch(self) -> None:
        """Keep the greatest memory."""
        while True:
            self.rss_mb = max(self.rss_mb, sum(map(rss_mb, family(self._pid))))
            self._spent_s()
            await asyncio.sleep(LOOK_S)

    def cpu_s(self) -> float:
        """Return the CPU time since the meter was made."""
        return self._spent_s() - self._begin_cpu_s

    def cpu_percent(self) -> float:
        """Return the share of one core since the meter was made."""
        return 100 * self.cpu_s() / (time.monotonic() - self._begin_s)

    def _spent_s(self) -> float:
        """Return the CPU time of all threads so far; what has ended counts as it was seen last.

        It is the scheduler's own account: clock ticks of 10 ms would be too coarse.
        """
        for pid in family(self._pid):
            for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    self._cpu_s[str(schedstat)] = int(schedstat.read_text().split()[0]) / 1e9
        return sum(self._cpu_s.values())


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]
    return []


def rss_mb(pid: int) -> float:
    """Return VmRSS in megabytes."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        kilobytes = [line.split()[1] for line in lines if line.startswith("VmRSS")]
        return sum(map(int, kilobytes)) * 1_024 / 1e6
    return 0.0
