"""Commands: what a whole program takes, from its start to its end.

In: a command line. Out: its time, its memory, and when it first said something.
"""

from __future__ import annotations

import os
import subprocess
import time
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Run(NamedTuple):
    """What one process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    first_line_s: float | None
    """Until it wrote its first line to standard error."""


def run(command: Sequence[str], *, out: IO[bytes] | None = None) -> Run:
    """Return what a command takes; without ``out``, its output is thrown away.

    Raises:
        SystemExit: It failed.
    """
    started_s = time.monotonic()
    process = subprocess.Popen(command, stdout=out or subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None  # noqa: S101 (a pipe was asked for)
    first_line_s = time.monotonic() - started_s if process.stderr.readline() else None
    process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(
        wall_s=round(time.monotonic() - started_s, 2),
        cpu_s=round(usage.ru_utime + usage.ru_stime, 2),
        peak_mb=round(usage.ru_maxrss / 1000, 1),
        first_line_s=None if first_line_s is None else round(first_line_s, 2),
    )
