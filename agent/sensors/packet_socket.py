"""A packet socket whose packets the kernel lays into shared memory (TPACKET_V3).

In: a filter. Out: the packets that it keeps, from the IP header on, with the kernel's time, in
blocks: one look at memory instead of a system call for each packet.
Source: packet(7), Linux Documentation/networking/packet_mmap.rst, include/uapi/linux/if_packet.h.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Final

from agent.sensors.perf_ring import order_memory

BLOCK_BYTES: Final = 131_072  # holds the largest packet that a network card hands over
BLOCKS: Final = 16
RETIRE_MS: Final = 500  # a block with packets is handed over after this, full or not

_SOL_PACKET: Final = 263
_RX_RING, _STATISTICS, _VERSION = 5, 6, 10
_TPACKET_V3: Final = 2
_ETH_P_ALL: Final = 3
_FRAME_BYTES: Final = 2_048
_SO_ATTACH_FILTER, _SO_ATTACH_BPF = 26, 50

_ADDRESS: Final = Struct("=HHi12x")  # struct sockaddr_ll: family, protocol, any interface
_REQUEST: Final = Struct("=7I")
_STATISTICS_FIELDS: Final = Struct("=3I")
_BLOCK: Final = Struct("=8xIII")  # status, packets, place of the first
_PACKET: Final = Struct("=5I4xHH")  # next, seconds, nanoseconds, captured, length, link, network
_STATUS_OFFSET: Final = 8
_STATUS: Final = Struct("=I")
_OURS: Final = 1
_KERNELS: Final = 0
_DESCRIPTOR: Final = Struct("=I")
_CLASSIC_PROGRAM: Final = Struct("@HP")
_CLASSIC_BYTES: Final = 8  # of one instruction


class PacketSocket:
    """All packets of this network namespace that a filter keeps.

    Attributes:
        dropped: Packets that the kernel had no room for; only ever counts up.

    Raises:
        OSError: The kernel refuses.
    """

    def __init__(self, *, ebpf: int | None = None, classic: bytes = b"") -> None:
        """Open; packets are kept from here on.

        Args:
            ebpf: Descriptor of an eBPF filter.
            classic: A classic filter, where there is none.
        """
        self.dropped = 0
        self._next = 0
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        try:
            self._attach(ebpf, classic)
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V3)
            self._socket.setsockopt(_SOL_PACKET, _RX_RING, _ring())
            self._memory = mmap.mmap(self._socket.fileno(), BLOCK_BYTES * BLOCKS)
            _bind_everywhere(self._socket)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, readable while a block waits."""
        return self._socket.fileno()

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield the packets of blocks that were handed over: time in microseconds, and bytes."""
        for _ in range(BLOCKS):
            begin = self._next * BLOCK_BYTES
            status, packets, first = _BLOCK.unpack_from(self._memory, begin)
            if not status & _OURS:
                return
            order_memory()  # before it, the status; after it, what the kernel wrote before that
            place = begin + first
            for _ in range(packets):
                ahead, seconds, nanoseconds, size, _, _, network = _PACKET.unpack_from(
                    self._memory, place
                )
                start = place + network
                yield seconds * 1_000_000 + nanoseconds // 1_000, self._memory[start : start + size]
                place += ahead
            order_memory()  # the kernel may write there as soon as it sees the status
            _STATUS.pack_into(self._memory, begin + _STATUS_OFFSET, _KERNELS)
            self._next = (self._next + 1) % BLOCKS

    def count_drops(self) -> int:
        """Ask the kernel what it had no room for, and return it as a total."""
        raw = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, _STATISTICS_FIELDS.size)
        self.dropped += _STATISTICS_FIELDS.unpack(raw)[1]
        return self.dropped

    def close(self) -> None:
        """Stop and give the memory back."""
        self._memory.close()
        self._socket.close()

    def _attach(self, ebpf: int | None, classic: bytes) -> None:
        if ebpf is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, _DESCRIPTOR.pack(ebpf))
            return
        code = ctypes.create_string_buffer(classic, len(classic))
        program = _CLASSIC_PROGRAM.pack(len(classic) // _CLASSIC_BYTES, ctypes.addressof(code))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _bind_everywhere(unbound: socket.socket) -> None:
    """Bind to every network interface, which Python's own ``bind`` cannot name.

    Only from here on are there packets, all of which the filter sees.
    """
    address = _ADDRESS.pack(socket.AF_PACKET, socket.htons(_ETH_P_ALL), 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(unbound.fileno(), ctypes.create_string_buffer(address), len(address)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _ring() -> bytes:
    frames = BLOCK_BYTES // _FRAME_BYTES * BLOCKS
    return _REQUEST.pack(BLOCK_BYTES, BLOCKS, _FRAME_BYTES, frames, RETIRE_MS, 0, 0)
