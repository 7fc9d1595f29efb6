"""The perf sensor: every TCP connection and every program, told by the kernel as it happens.

In: the kernel's records of socket states, forks, executed files and ends, of every network
namespace. Out: ``KernelChanges``. It needs CAP_PERFMON, and tracefs to be mounted and readable.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

from agent.errors import DecodeError, PerfError
from agent.sensors.observations import (
    KernelChanges,
    Observation,
    ProcessChange,
    SocketChange,
)
from agent.sensors.pace import at_tick
from agent.sensors.perf_changes import read_changes
from agent.sensors.perf_processes import Facts, KernelProcesses
from agent.sensors.perf_rings import KernelRings, OpenRings
from agent.sensors.perf_stream import Drained, RecordStream
from agent.sensors.perf_tracepoints import TracefsError, Tracepoints, find_tracepoints
from agent.sensors.processes import ProcessTable
from agent.sensors.sensor import Capability, Loss, Stats, Tools, Wake, Watch

DRAIN_S: Final = 0.5  # between looks at rings that did not ask for one
METHOD: Final = "kernel events"

REMEDY_TRACEFS: Final = "Mount it: `mount -t tracefs tracefs /sys/kernel/tracing`."
REMEDY_PRIVILEGE: Final = (
    "Run it as root, or with three capabilities: `setpriv --reuid=USER --regid=GROUP --init-groups "
    "--inh-caps=+perfmon,+sys_ptrace,+dac_read_search "
    "--ambient-caps=+perfmon,+sys_ptrace,+dac_read_search proctor-agent run`."
)
REMEDY_KERNEL: Final = "It needs Linux 4.16 or newer with CONFIG_FTRACE and CONFIG_PERF_EVENTS."
_REFUSED: Final = (errno.EACCES, errno.EPERM)
_PROBE_BYTES: Final = 0  # rings as small as may be


class PerfSensor:
    """TCP connections of every network namespace, and programs, from the kernel's own events."""

    name = "perf"
    kinds = ("connection", "process")

    def __init__(
        self,
        tools: Tools,
        *,
        find: Callable[[], Tracepoints] = find_tracepoints,
        open_rings: OpenRings = KernelRings,
        open_table: Callable[[], Facts] | None = None,
    ) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._find = find
        self._open_rings = open_rings
        self._open_table = open_table or (lambda: ProcessTable(clock=tools.clock, capacity=64))
        self._stream: RecordStream | None = None
        self._processes: KernelProcesses | None = None
        self._wanted: tuple[str, ...] = ()
        self._told_until_us: int | None = None
        self._due_s = 0.0
        self._has_more = False
        self._seen = 0

    def probe(self) -> Capability:
        """Look the tracepoints up and open both of them for a moment."""
        try:
            self._open_rings(self._find(), _PROBE_BYTES).close()
        except TracefsError as error:
            remedy = REMEDY_PRIVILEGE if error.is_hidden else REMEDY_TRACEFS
            return Capability("off", "", str(error), remedy)
        except PerfError as error:
            remedy = REMEDY_PRIVILEGE if error.errno in _REFUSED else REMEDY_KERNEL
            return Capability("off", "", str(error), remedy)
        except DecodeError as error:
            return Capability("off", "", str(error), REMEDY_KERNEL)
        return Capability("on", METHOD)

    def start(self, kinds: frozenset[str]) -> None:
        """Listen; programs that run already are looked at if their ends are wanted.

        Raises:
            AgentError: The kernel refuses.
            OSError: There is no /proc.
        """
        processes = KernelProcesses(self._open_table(), self._clock)
        self._stream = RecordStream(
            self._find(), self._tools.ring_bytes, clock=self._clock, open_rings=self._open_rings
        )
        self._processes = processes
        self._wanted = tuple(kind for kind in self.kinds if kind in kinds)
        self._tools.kernel_tells = "connection" in kinds
        if "process" in kinds:
            processes.learn_all()

    def wake(self) -> Wake:
        """Wait for a ring that has much in it, or for the next look."""
        fileno = None if self._stream is None else self._stream.fileno()
        return Wake(self._due_s, fileno, self._has_more)

    def drain(self) -> list[Observation]:
        """Return what the kernel has told since the last call, of a burst only the beginning.

        So a burst takes the memory of its bytes, and not of all that is made of them.

        Raises:
            AgentError: CPUs were switched on, and the kernel refuses to tell what happens there.
        """
        if self._stream is None or self._processes is None:
            return []
        self._due_s = at_tick(self._clock.monotonic_s() + DRAIN_S)
        drained = self._stream.read()
        goes_on, self._has_more = self._has_more, drained.has_more
        changes = self._read(drained, self._processes)
        if drained.until_us == self._told_until_us and not changes:
            return []  # without a change, only that time has passed is news
        is_first, self._told_until_us = self._told_until_us is None, drained.until_us
        return [KernelChanges(drained.until_us, self.name, changes, is_first, goes_on)]

    def _read(
        self, drained: Drained, processes: KernelProcesses
    ) -> list[SocketChange | ProcessChange]:
        records = drained.records
        self._seen += len(records)
        processes.begin(records, is_lossy=drained.is_lossy, coming=drained.coming)
        return read_changes(
            records,
            processes,
            offset_us=drained.offset_us,
            with_programs="process" in self._wanted,
        )

    def stats(self) -> Stats:
        """Return what was seen and lost; a lost record may have been of any kind."""
        if self._stream is None:
            return Stats(self._seen)
        lost: dict[Loss, int] = {
            (kind, cause): count
            for kind in self._wanted
            for cause, count in self._stream.lost.items()
        }
        return Stats(self._seen, lost, (Watch(self._wanted, "on", METHOD),))

    def blind_spots(self) -> tuple[str, ...]:
        """Return what these events do not show."""
        return (
            "UDP, QUIC, SCTP and MPTCP have no such events.",
            "Connections that were open before are told by their end alone.",
            "A socket that was passed on counts as its opener's; an inbound one as its closer's.",
            "A program that has ended at once is named by what was executed: a link, or a script.",
            "Such a program's user is unknown if root or a set-uid file started it.",
            "A process that forks and executes nothing makes no row of its own.",
            "A process whose first thread ends before the others counts as ended then.",
            "Connections that another network namespace had open before are not seen.",
            "Inbound connections elsewhere may count as a listener's here until they close.",
        )

    def stop(self) -> None:
        """Stop listening."""
        self._tools.kernel_tells = False
        if self._stream is not None:
            self._stream.close()
