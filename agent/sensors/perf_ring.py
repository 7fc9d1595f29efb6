"""One perf ring: memory that the kernel fills and this process empties.

In: the mapped memory of an event. Out: blocks of whole records, oldest first.
Source: perf_event_open(2), Linux include/uapi/linux/perf_event.h (struct perf_event_mmap_page).
"""

from __future__ import annotations

import errno
import mmap
import threading
from typing import Final

from agent.errors import PerfError

PAGE_BYTES: Final = mmap.PAGESIZE
_HEAD: Final = 1_024 // 8  # data_head: bytes written since the beginning
_TAIL: Final = 1_032 // 8  # data_tail: bytes read

_fence = threading.Lock()
_map = mmap.mmap


class Ring:
    """A control page and, behind it, data of a size that is a power of two.

    The kernel never overwrites what was not read: it counts what finds no room.

    Args:
        memory: The mapping of both.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._view = memoryview(memory)
        self._control = self._view[:PAGE_BYTES].cast("Q")
        self._data = self._view[PAGE_BYTES:]
        self.size_bytes = len(self._data)

    def read(self) -> bytes:
        """Return everything that was written since the last call, and make room for more."""
        head, tail = self._control[_HEAD], self._control[_TAIL]
        if head == tail:
            return b""
        order_memory()  # before it, the head; after it, what the kernel wrote before the head
        begin, end = tail % self.size_bytes, head % self.size_bytes
        if begin < end:
            block = bytes(self._data[begin:end])
        else:
            block = bytes(self._data[begin:]) + bytes(self._data[:end])
        order_memory()  # the kernel may write there as soon as it sees the new tail
        self._control[_TAIL] = head
        return block

    def close(self) -> None:
        """Give the memory back."""
        self._control.release()
        self._data.release()
        self._view.release()
        self._memory.close()


def map_ring(fileno: int, size_bytes: int, *, smallest_bytes: int) -> Ring:
    """Map the ring of an event, half as large as long as the kernel finds it too large.

    Raises:
        PerfError: Not even the smallest size is allowed.
    """
    while True:
        try:
            return Ring(_map(fileno, PAGE_BYTES + size_bytes))
        except OSError as error:
            # EPERM: beyond perf_event_mlock_kb and the limit of locked memory.
            if size_bytes // 2 < smallest_bytes:
                raise PerfError("map a ring", error.errno or errno.EIO) from error
        size_bytes //= 2


def ring_size(total_bytes: int, cpus: int, *, smallest_bytes: int) -> int:
    """Return the size of each ring: a power of two, so that all fit into ``total_bytes``."""
    share = max(total_bytes // max(cpus, 1), smallest_bytes, PAGE_BYTES)
    return 1 << (share.bit_length() - 1)


def order_memory() -> None:
    """Keep memory accesses before it and after it apart, on CPUs that mix them (aarch64).

    Python has no barrier of its own. Releasing a lock keeps what was before it, and taking one what
    comes after it; a release is never mixed with a later acquisition.
    """
    with _fence:
        pass
    with _fence:
        pass
