"""Commands: what a whole program takes, from its start to its end.

In: a command line. Out: its time, its memory, and when it first said something. Processes that it
started count as well, those too that outlive it for a moment.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import resource
    from collections.abc import Iterator, Sequence


_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


class Run(NamedTuple):
    """What one command took."""

    wall_s: float
    cpu_s: float
    """Of all its processes."""
    peak_mb: float
    """Of the largest of them."""
    first_line_s: float | None
    """Until it wrote its first line to standard error."""


def run(command: Sequence[str], *, out: IO[bytes] | None = None) -> Run:
    """Return what a command takes; without ``out``, its output is thrown away.

    Raises:
        SystemExit: It failed.
    """
    _adopt_orphans()
    started_s = time.monotonic()
    process = subprocess.Popen(command, stdout=out or subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None  # noqa: S101 (a pipe was asked for)
    first_line_s = time.monotonic() - started_s if process.stderr.readline() else None
    process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.monotonic() - started_s
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    usages = [usage, *_ends_of_orphans()]
    return Run(
        wall_s=round(wall_s, 2),
        cpu_s=round(sum(own.ru_utime + own.ru_stime for own in usages), 2),
        peak_mb=round(max(own.ru_maxrss for own in usages) / 1000, 1),
        first_line_s=None if first_line_s is None else round(first_line_s, 2),
    )


def _adopt_orphans() -> None:
    """Become the parent of processes whose own has ended (Linux; elsewhere they are not seen)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _ends_of_orphans() -> Iterator[resource.struct_rusage]:
    """Wait for every process that is left, and yield what it took."""
    while True:
        try:
            yield os.wait3(0)[2]
        except ChildProcessError:
            return
