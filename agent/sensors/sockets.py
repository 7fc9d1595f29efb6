"""The sock_diag sensor: listeners, connections and UDP sockets, straight from the kernel.

In: netlink dumps, the kernel's notices of destroyed TCP sockets, and /proc for who holds what.
Out: ``ListenersSeen``, ``ConnectionsSeen`` and ``SocketsClosed``. It needs no privilege.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from agent.errors import NetlinkError
from agent.sensors.activity import Signature, TcpActivity
from agent.sensors.destroy_events import DRAIN_LIMIT, DestroyEvents
from agent.sensors.ended_sockets import EndedSockets, Subscription
from agent.sensors.netlink import REMEDY_NETLINK, SocketTable
from agent.sensors.observations import Observation, SocketsClosed
from agent.sensors.processes import ProcessTable
from agent.sensors.sensor import Capability, Stats, Tools, Wake, Watch
from agent.sensors.socket_owners import SocketOwners
from agent.sensors.socket_polls import ConnectionPoll, ListenerPoll, Owners
from agent.sensors.socket_processes import SocketProcesses, count_unreadable

if TYPE_CHECKING:
    from agent.sensors.socket_rows import ClosedSocket, SocketTables

logger = logging.getLogger(__name__)

PULSE_S: Final = 0.5  # between looks at counters that tell whether a dump would show anything new
RETRY_S: Final = 10.0  # until a dump that the kernel refused is tried again

DUMPS_AND_EVENTS: Final = "netlink dumps and destroy events"
DUMPS: Final = "netlink dumps"
REMEDY_EVENTS: Final = "Load the kernel's module: `modprobe inet_diag tcp_diag`."
REMEDY_OWNERS: Final = (
    "Run it as root, or with two capabilities: `setpriv --reuid=USER --regid=GROUP --init-groups "
    "--inh-caps=+sys_ptrace,+dac_read_search --ambient-caps=+sys_ptrace,+dac_read_search "
    "proctor-agent run`."
)


class SockDiagSensor:
    """Socket tables and ends of sockets, of the agent's own network namespace."""

    name = "sock_diag"
    kinds = ("connection", "listener")

    def __init__(
        self,
        tools: Tools,
        *,
        table: SocketTables | None = None,
        subscribe: Callable[[], Subscription] = DestroyEvents,
        open_owners: Callable[[], Owners] | None = None,
    ) -> None:
        self._tools = tools
        self._clock = clock = tools.clock
        self._table = table or SocketTable()
        self._open_owners = open_owners or (
            lambda: SocketProcesses(SocketOwners(clock=clock), ProcessTable(clock=clock))
        )
        self._subscribe = subscribe
        self._ended = EndedSockets(subscribe, clock)
        self._activity: TcpActivity | None = None
        self._signature: Signature = ()
        self._listeners: ListenerPoll | None = None
        self._connections: ConnectionPoll | None = None
        self._wants_connections = True
        self._is_changed = True
        self._pulse_due_s = 0.0
        self._retry_due_s = 0.0
        self._is_refused = False

    def probe(self) -> Capability:
        """Ask for the listeners, subscribe once, and look whose descriptors may be read."""
        try:
            self._table.listeners()
        except NetlinkError as error:
            return Capability("off", "", str(error), REMEDY_NETLINK)
        try:
            self._subscribe().close()
        except NetlinkError as error:
            return Capability("degraded", DUMPS, str(error), REMEDY_EVENTS)
        unreadable = count_unreadable()
        if unreadable:
            reason = f"{unreadable} processes of other users hide which sockets they hold"
            return Capability("on", DUMPS_AND_EVENTS, reason, REMEDY_OWNERS)
        return Capability("on", DUMPS_AND_EVENTS)

    def start(self, kinds: frozenset[str]) -> None:
        """Subscribe and open what is read from; the first ``drain`` tells what is there.

        Raises:
            OSError: There is no /proc.
            DecodeError: It is not Linux's.
        """
        owners = self._open_owners()
        self._listeners = ListenerPoll(self._table, owners, self._clock, source=self.name)
        self._connections = ConnectionPoll(self._table, owners, self._clock, source=self.name)
        self._wants_connections = "connection" in kinds
        if self._wants_connections:
            self._ended.connect()
            self._open_activity()

    def wake(self) -> Wake:
        """Wait for destroyed sockets, or for the next poll or pulse."""
        if self._is_refused or self._listeners is None:
            return Wake(self._retry_due_s)
        due_s = self._listeners.due_s
        if self._wants_connections:
            due_s = min(due_s, self._pulse_due_s)
        return Wake(*self._ended.wait(due_s))

    def drain(self) -> list[Observation]:
        """Poll what is due and read which sockets were destroyed.

        Connections are dumped before the ends are read, so that one that ends in between is seen
        by both rather than by none.
        """
        now_s = self._clock.monotonic_s()
        if self._is_refused and now_s < self._retry_due_s:
            return []
        listeners: list[Observation] = []
        connections: list[Observation] = []
        ended: list[ClosedSocket] = []
        try:
            connections = self._poll_connections(now_s)
            kernel_tells = self._tools.kernel_tells
            ended = self._ended.read(is_patient=kernel_tells)
            is_asked = bool(ended) and not kernel_tells  # else the kernel told which way it went
            listeners = self._poll_listeners(now_s, is_asked=is_asked)
            self._is_refused = False
        except NetlinkError as error:
            self._refuse(error, now_s)
        is_all = len(ended) < DRAIN_LIMIT
        closed = SocketsClosed(self._clock.now_us(), self.name, ended, is_all)
        return [*listeners, *connections, *([closed] if ended else [])]

    def stats(self) -> Stats:
        """Return what was seen and lost, and what is watched."""
        polls = (self._listeners, self._connections)
        seen = self._ended.seen + sum(poll.seen for poll in polls if poll is not None)
        return Stats(seen, {("connection", "enobufs"): self._ended.lost}, self._watching())

    def blind_spots(self) -> tuple[str, ...]:
        """Return what polls and notices of ends cannot show."""
        spots = [
            "Other network namespaces, such as those of containers, are not seen.",
            "UDP sockets, and listeners nobody uses, are missed if they live less than a second.",
            "UDP sockets without a fixed peer show no flows.",
            "A process that passes a socket on to another keeps it in the reports.",
        ]
        if self._listeners is None or self._ended.is_on:
            spots.append(
                "Connections that open and close between two polls are seen, but without their "
                "process; inbound ones count as their listener's."
            )
        else:
            spots.append("Connections that open and close between two polls are mostly missed.")
        if count_unreadable():
            spots.append("Sockets of other users' processes are seen without their process.")
        return tuple(spots)

    def stop(self) -> None:
        """End the subscription and close the files."""
        self._ended.close()
        if self._activity is not None:
            self._activity.close()
            self._activity = None

    def _open_activity(self) -> None:
        try:
            self._activity = TcpActivity()
        except OSError as error:
            # Then every moment counts as changed, and the polls cost what they may.
            logger.warning("sock_diag.no_counters", extra={"reason": str(error)})

    def _poll_connections(self, now_s: float) -> list[Observation]:
        if not self._wants_connections or self._connections is None:
            return []
        if now_s >= self._pulse_due_s:
            # Where the kernel tells each connection, polls only check on it.
            kernel_tells = self._tools.kernel_tells
            self._pulse_due_s = now_s + (RETRY_S if kernel_tells else PULSE_S)
            self._is_changed |= not kernel_tells and self._has_moved()
            self._ended.connect()
        if now_s < self._connections.due_s(is_changed=self._is_changed):
            return []
        self._is_changed = False
        return [self._connections.poll(ends_are_told=self._ended.is_on)]

    def _has_moved(self) -> bool:
        if self._activity is None:
            return True
        before, self._signature = self._signature, self._activity.read()
        return before != self._signature

    def _poll_listeners(self, now_s: float, *, is_asked: bool) -> list[Observation]:
        if self._listeners is None:
            return []
        if now_s >= self._listeners.due_s:
            return [*self._listeners.poll()]
        return [*self._listeners.poll_tcp()] if is_asked else []

    def _refuse(self, error: NetlinkError, now_s: float) -> None:
        logger.warning("sock_diag.refused", extra={"reason": str(error)})
        self._is_refused = self._is_changed = True
        self._retry_due_s = now_s + RETRY_S

    def _watching(self) -> tuple[Watch, ...]:
        if self._listeners is None:
            return ()
        if self._is_refused:
            return (Watch(self.kinds, "off", "netlink refuses dumps"),)
        if self._ended.is_on:
            return (Watch(self.kinds, "on", DUMPS_AND_EVENTS),)
        return (Watch(("listener",), "on", DUMPS), Watch(("connection",), "degraded", DUMPS))
