import errno
import mmap

import pytest

from agent.errors import PerfError
from agent.sensors import perf_ring
from agent.sensors.perf_ring import PAGE_BYTES, Ring, map_ring, ring_size

DATA_BYTES = 2 * PAGE_BYTES


class Kernel:
    """Writes into a ring as the kernel does."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, PAGE_BYTES + DATA_BYTES)
        self.ring = Ring(self.memory)
        self.head = 0

    @property
    def tail(self) -> int:
        return int.from_bytes(self.memory[1_032:1_040], "little")

    def write(self, block: bytes) -> None:
        for byte in block:
            self.memory[PAGE_BYTES + self.head % DATA_BYTES] = byte
            self.head += 1
        self.memory[1_024:1_032] = self.head.to_bytes(8, "little")


def test_nothing_is_read_from_an_empty_ring() -> None:
    assert Kernel().ring.read() == b""


def test_what_was_read_makes_room() -> None:
    kernel = Kernel()
    kernel.write(b"first record")

    assert kernel.ring.read() == b"first record"
    assert kernel.tail == kernel.head == 12
    assert kernel.ring.read() == b""


def test_records_go_on_at_the_beginning() -> None:
    kernel = Kernel()
    kernel.write(bytes(DATA_BYTES - 3))
    kernel.ring.read()
    kernel.write(b"abcdef")

    assert kernel.ring.read() == b"abcdef"


def test_full_ring_is_read_whole() -> None:
    kernel = Kernel()
    kernel.write(b"x" * 5)
    kernel.ring.read()
    kernel.write(b"y" * DATA_BYTES)

    assert kernel.ring.read() == b"y" * DATA_BYTES


def test_close_gives_the_memory_back() -> None:
    kernel = Kernel()
    kernel.ring.close()

    assert kernel.memory.closed


@pytest.mark.parametrize(
    ("total_bytes", "cpus", "expected"),
    [
        (4 << 20, 2, 2 << 20),
        (4 << 20, 3, 1 << 20),
        (4 << 20, 64, 64 << 10),
        (4 << 20, 1_000, 64 << 10),
        (0, 0, 64 << 10),
    ],
)
def test_rings_share_the_memory(total_bytes: int, cpus: int, expected: int) -> None:
    assert ring_size(total_bytes, cpus, smallest_bytes=64 << 10) == max(expected, PAGE_BYTES)


def test_ring_that_may_not_be_locked_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(_: int, size: int) -> mmap.mmap:
        asked.append(size - PAGE_BYTES)
        if size > PAGE_BYTES + (128 << 10):
            raise OSError(errno.EPERM, "too much")
        return mmap.mmap(-1, size)

    monkeypatch.setattr(perf_ring, "_map", refuse)
    assert map_ring(3, 512 << 10, smallest_bytes=64 << 10).size_bytes == 128 << 10
    assert asked == [512 << 10, 256 << 10, 128 << 10]
    with pytest.raises(PerfError, match="map a ring"):
        map_ring(3, 512 << 10, smallest_bytes=256 << 10)
