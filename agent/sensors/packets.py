"""The packet sensor: TLS hellos, certificates, DNS answers, metadata requests, protocols.

In: the start of each flow of this network namespace, filtered in the kernel. Out: ``TrafficSeen``.
It needs CAP_NET_RAW, and CAP_BPF to see messages that span packets. Payload stays in memory until
it is decoded, 16 KB of a direction at most, and is never stored or sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from agent.decode.packet import Link
from agent.decode.traffic import Traffic
from agent.errors import NetlinkError
from agent.sensors.local_networks import networks_of, read_addresses
from agent.sensors.netlink import REMEDY_NETLINK
from agent.sensors.observations import Observation, TrafficSeen
from agent.sensors.pace import TICK_S, at_tick
from agent.sensors.packet_capture import Capture, KernelCapture
from agent.sensors.packet_socket import RETIRE_MS
from agent.sensors.sensor import Capability, Loss, State, Stats, Tools, Wake, Watch

if TYPE_CHECKING:
    from agent.sensors.local_networks import Network

LOOK_S: Final = 1.0  # between looks when no packet comes: hellos wait for answers
CALM_PACKETS: Final = 500  # of one look; the capture holds some 14,000
ADDRESSES_S: Final = 10.0  # between looks at the host's addresses
MAX_FLOWS: Final = 8_192  # of which something is still to be read, 1 KB each and up to 16 KB more
LAG_US: Final = RETIRE_MS * 1_000 + 100_000  # packets of the last moments may still be on the way
SKEW_US: Final = 20_000  # CPUs may lay packets down in another order than they came

REMEDY_PACKETS: Final = (
    "Run it as root, or with two capabilities: `setpriv --reuid=USER --regid=GROUP --init-groups "
    "--inh-caps=+net_raw,+bpf --ambient-caps=+net_raw,+bpf proctor-agent run`."
)


class PacketSensor:
    """What the traffic of this host's network namespace says of itself."""

    name = "packets"
    kinds = ("aws_call", "dns_answer", "imds_request", "tls_session")

    def __init__(
        self,
        tools: Tools,
        *,
        open_capture: Callable[[], Capture] = KernelCapture,
        addresses: Callable[[], Sequence[str]] = read_addresses,
    ) -> None:
        self._clock = tools.clock
        self._open_capture = open_capture
        self._addresses = addresses
        self._capture: Capture | None = None
        self._traffic = Traffic(max_flows=MAX_FLOWS, is_live=True)
        self._local: tuple[Network, ...] = ()
        self._wanted: tuple[str, ...] = ()
        self._addresses_due_s = self._tick_due_s = 0.0
        self._is_calm = False
        self._dropped = 0

    def probe(self) -> Capability:
        """Open a capture for a moment, and look which addresses are this host's."""
        try:
            self._addresses()
        except NetlinkError as error:
            return Capability("off", "", str(error), REMEDY_NETLINK)
        try:
            capture = self._open_capture()
        except OSError as error:
            return Capability("off", "", f"no packets: {error.strerror}", REMEDY_PACKETS)
        capture.close()
        if capture.reason:
            return Capability("degraded", capture.method, capture.reason, REMEDY_PACKETS)
        return Capability("on", capture.method)

    def start(self, kinds: frozenset[str]) -> None:
        """Begin to capture.

        Raises:
            OSError: The kernel allows no packets.
        """
        self._wanted = tuple(kind for kind in self.kinds if kind in kinds)
        self._capture = self._open_capture()

    def wake(self) -> Wake:
        """Wait for packets, or for the next look at what waits for an answer.

        Packets that keep coming in small numbers are looked at when it is time for others, too.
        """
        if self._capture is None or self._is_calm:
            return Wake(self._tick_due_s)
        return Wake(self._tick_due_s, self._capture.fileno())

    def drain(self) -> list[Observation]:
        """Decode the packets that wait."""
        if self._capture is None:
            return []
        now_s, now_us = self._clock.monotonic_s(), self._clock.now_us()
        if now_s >= self._addresses_due_s:
            self._addresses_due_s = now_s + ADDRESSES_S
            self._look_at_addresses()
        before, ts_us = self._seen, 0
        for ts_us, packet in self._capture.read():
            self._traffic.add(packet, Link.RAW, ts_us)
        packets = self._seen - before
        if not packets and now_s < self._tick_due_s:
            return []
        self._is_calm = 0 < packets <= CALM_PACKETS
        self._tick_due_s = at_tick(now_s + (TICK_S if self._is_calm else LOOK_S))
        self._dropped = self._capture.count_drops()
        self._traffic.pass_time(now_us - LAG_US)
        until_us = min(max(now_us - LAG_US, ts_us - SKEW_US), now_us)
        return [TrafficSeen(until_us, self.name, self._traffic.drain(), self._local)]

    def stats(self) -> Stats:
        """Return what was seen, what had no room, and what is watched."""
        if self._capture is None:
            return Stats(self._seen)
        causes = self._traffic.lost
        causes["packet_drops"] = self._dropped
        lost: dict[Loss, int] = {
            (kind, cause): count for kind in self._wanted for cause, count in causes.items()
        }
        state: State = "degraded" if self._capture.reason else "on"
        return Stats(self._seen, lost, (Watch(self._wanted, state, self._capture.method),))

    def blind_spots(self) -> tuple[str, ...]:
        """Return what packets do not show, or not here."""
        spots = (
            "Traffic inside other network namespaces, such as those of containers, is not seen.",
            "TLS 1.3 hides certificates, and Encrypted Client Hello the name that is asked for.",
            "QUIC and DTLS are not read.",
            "IP fragments, IPv6 extension headers and tunnels are not read.",
            "Of each direction of a connection only the first 16 KB are read.",
            "Of connections that were open before, only a TLS handshake that follows is seen.",
            "DNS answers over TLS or HTTPS are hidden; the process of an answer is mostly unknown.",
        )
        if self._capture is not None and self._capture.reason:
            return (*spots, "Hellos and certificates that span packets are missed.")
        return spots

    def stop(self) -> None:
        """Stop to capture."""
        if self._capture is not None:
            self._capture.close()
            self._capture = None

    @property
    def _seen(self) -> int:
        return self._traffic.packets

    def _look_at_addresses(self) -> None:
        local = networks_of(self._addresses())
        if local != self._local:
            self._local = local
