"""The rings of all CPUs: one stream of socket and process records.

In: the tracepoints of this kernel. Out: blocks of records, one per CPU that has any.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from agent.errors import PerfError
from agent.sensors.perf_event import Tracing, enable, open_event, set_filter, share_ring
from agent.sensors.perf_ring import Ring, map_ring, ring_size
from agent.sensors.perf_tracepoints import Tracepoints
from agent.sensors.socket_rows import TcpState

WATERMARK_BYTES: Final = 128 << 10  # each wake-up costs, the programs that are watched too
SMALLEST_BYTES: Final = 64 << 10  # of a ring
LARGEST_BYTES: Final = 2 << 20
_ONLINE: Final = "/sys/devices/system/cpu/online"

_TOLD: Final = (
    TcpState.ESTABLISHED,
    TcpState.SYN_SENT,
    TcpState.FIN_WAIT1,
    TcpState.CLOSE,
    TcpState.LAST_ACK,
    TcpState.LISTEN,
)
SOCKET_FILTER: Final = "protocol == 6 && ({})".format(
    " || ".join(f"newstate == {state:d}" for state in _TOLD)
)
"""What the kernel may tell: the states that begin or end a connection, or in which a process acts.
A connection takes six to seven records instead of ten."""


class Rings(Protocol):
    """A stream of records."""

    @property
    def cpus(self) -> Sequence[int]:
        """Return the CPUs that are listened to."""
        ...

    def fileno(self) -> int:
        """Return the descriptor that is readable once much waits."""
        ...

    def read(self) -> list[bytes]:
        """Return what waits, a block for each CPU that has something."""
        ...

    def close(self) -> None:
        """End the stream."""
        ...


OpenRings: TypeAlias = Callable[[Tracepoints, int], Rings]


class KernelRings:
    """The rings of this kernel.

    Args:
        tracepoints: What to listen to.
        total_bytes: Memory of all rings together; each has at least ``SMALLEST_BYTES``.

    Raises:
        PerfError: The kernel refuses.
    """

    def __init__(self, tracepoints: Tracepoints, total_bytes: int) -> None:
        self.cpus = online_cpus()
        self._tracepoints = tracepoints
        self._filenos: list[int] = []
        self._rings: list[Ring] = []
        self._poll = select.epoll()
        size_bytes = min(
            ring_size(total_bytes, len(self.cpus), smallest_bytes=SMALLEST_BYTES), LARGEST_BYTES
        )
        try:
            for cpu in self.cpus:
                self._open(cpu, size_bytes)
            for fileno in self._filenos:
                enable(fileno)
        except (PerfError, OSError):
            self.close()
            raise

    @property
    def size_bytes(self) -> int:
        """Return the memory of all rings."""
        return sum(ring.size_bytes for ring in self._rings)

    def fileno(self) -> int:
        """Return the descriptor that is readable once a ring holds many records."""
        return self._poll.fileno()

    def read(self) -> list[bytes]:
        """Return what waits, a block for each CPU that has something."""
        return [block for ring in self._rings if (block := ring.read())]

    def close(self) -> None:
        """End the stream and give everything back."""
        for ring in self._rings:
            ring.close()
        for fileno in self._filenos:
            os.close(fileno)
        self._rings.clear()
        self._filenos.clear()
        self._poll.close()

    def _open(self, cpu: int, size_bytes: int) -> None:
        """Open both tracepoints of a CPU; processes come with the first one."""
        watermark = min(WATERMARK_BYTES, size_bytes // 4)
        sockets = self._keep(
            open_event(Tracing(self._tracepoints.sockets.id, watermark, with_tasks=True), cpu)
        )
        set_filter(sockets, SOCKET_FILTER)
        self._rings.append(map_ring(sockets, size_bytes, smallest_bytes=SMALLEST_BYTES))
        execs = self._keep(
            open_event(Tracing(self._tracepoints.execs.id, watermark, with_tasks=False), cpu)
        )
        share_ring(execs, ring=sockets)
        self._poll.register(sockets, select.EPOLLIN)

    def _keep(self, fileno: int) -> int:
        self._filenos.append(fileno)
        return fileno


def online_cpus(path: str | Path = _ONLINE) -> tuple[int, ...]:
    """Return the numbers of the CPUs that are switched on; without /sys, as many as Python says."""
    with suppress(OSError, ValueError):
        return read_cpu_list(Path(path).read_text("ascii"))
    return tuple(range(os.cpu_count() or 1))


def read_cpu_list(text: str) -> tuple[int, ...]:
    """Return the numbers in a list such as ``0-3,6``.

    Raises:
        ValueError: It is no such list.
    """
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return tuple(cpus)
