"""Process: carries out one task, read from standard input, and prints what came of it.

In: a ``Task`` as JSON, and a limit. Out: a ``Measured`` as the last line of standard output.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.judging.bandwidth import measure_bandwidth
from benchmarks.judging.others import measure_peer
from benchmarks.judging.ours import (
    measure_memory,
    measure_ours,
    measure_profile,
    measure_wire,
)
from benchmarks.judging.spread import measure_workers
from benchmarks.judging.task import Measured, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MEASURE: Final[Mapping[str, Callable[[Task], Measured]]] = {
    "ours": measure_ours,
    "peer": measure_peer,
    "wire": measure_wire,
    "memory": measure_memory,
    "profile": measure_profile,
    "bandwidth": measure_bandwidth,
    "workers": measure_workers,
}


def main() -> None:
    """Carry out the task, in as many seconds of CPU as the command line allows."""
    limit_s = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 1))
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    if task.core is not None:
        os.sched_setaffinity(0, {task.core})
    sys.stdout.write(msgspec.json.encode(_MEASURE[task.what](task)).decode() + "\n")


if __name__ == "__main__":
    main()
