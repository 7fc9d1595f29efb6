"""Opens the capture of packets with the best filter that this host allows.

In: nothing. Out: an open capture and how well it sees.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, Protocol

from agent.sensors.classic_filter import build_classic_filter
from agent.sensors.ebpf import create_flow_map, load_socket_filter
from agent.sensors.flow_filter import KEY_BYTES, VALUE_BYTES, build_flow_filter
from agent.sensors.packet_socket import PacketSocket

FLOWS: Final = 16_384  # whose start the kernel remembers, 100 bytes each
BY_FLOW: Final = "packets, the start of each flow"
BY_CONTENT: Final = "packets that begin like something known"


class Capture(Protocol):
    """Packets of this network namespace, from the IP header on."""

    @property
    def method(self) -> str:
        """Return how packets are chosen."""
        ...

    @property
    def reason(self) -> str:
        """Return why they are not chosen better; empty where they cannot be."""
        ...

    def fileno(self) -> int:
        """Return a descriptor that is readable while packets wait."""
        ...

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield the packets that wait: time in microseconds, and bytes."""
        ...

    def count_drops(self) -> int:
        """Return how many packets had no room, as a total."""
        ...

    def close(self) -> None:
        """Stop."""
        ...


class KernelCapture:
    """Packets that the kernel hands over.

    Raises:
        OSError: The kernel allows no packets.
    """

    def __init__(self) -> None:
        self.method = BY_FLOW
        self.reason = ""
        self._filter: list[int] = []
        try:
            self._filter.append(create_flow_map(KEY_BYTES, VALUE_BYTES, entries=FLOWS))
            self._filter.append(load_socket_filter(build_flow_filter(self._filter[0])))
        except OSError as error:
            self.method = BY_CONTENT
            self.reason = f"no filter by flow: {error.strerror}"
        try:
            self._socket = self._open()
        finally:
            for fileno in self._filter:  # the socket holds the program, and that the map
                os.close(fileno)

    def fileno(self) -> int:
        """Return a descriptor that is readable while packets wait."""
        return self._socket.fileno()

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield the packets that wait: time in microseconds, and bytes."""
        return self._socket.read()

    def count_drops(self) -> int:
        """Return how many packets had no room, as a total."""
        return self._socket.count_drops()

    def close(self) -> None:
        """Stop."""
        self._socket.close()

    def _open(self) -> PacketSocket:
        if self.reason:
            return PacketSocket(classic=build_classic_filter())
        return PacketSocket(ebpf=self._filter[1])
