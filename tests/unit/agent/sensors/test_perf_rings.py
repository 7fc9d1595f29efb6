import errno
import mmap
import os
from pathlib import Path

import pytest

from agent.errors import PerfError
from agent.sensors import perf_rings
from agent.sensors.perf_event import Tracing
from agent.sensors.perf_ring import PAGE_BYTES, Ring
from agent.sensors.perf_rings import SOCKET_FILTER, KernelRings, online_cpus, read_cpu_list
from tests.perf_messages import tracepoints


class Kernel:
    """Stands in for the system calls; its descriptors are pipes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[tuple[int, int, int, bool]] = []
        self.filters: list[str] = []
        self.shared: list[tuple[int, int]] = []
        self.enabled: list[int] = []
        self.rings: list[mmap.mmap] = []
        self.refused_cpu = -1
        monkeypatch.setattr(perf_rings, "open_event", self._open)
        monkeypatch.setattr(perf_rings, "set_filter", lambda _, text: self.filters.append(text))
        monkeypatch.setattr(perf_rings, "map_ring", self._map)
        monkeypatch.setattr(perf_rings, "enable", self.enabled.append)
        monkeypatch.setattr(
            perf_rings, "share_ring", lambda fileno, ring: self.shared.append((fileno, ring))
        )
        monkeypatch.setattr(perf_rings, "online_cpus", lambda: (0, 3))

    def _open(self, tracing: Tracing, cpu: int) -> int:
        if cpu == self.refused_cpu:
            raise PerfError("open an event", errno.EACCES)
        reading, writing = os.pipe()
        os.close(writing)
        self.opened.append((cpu, *tracing))
        return reading

    def _map(self, _: int, size_bytes: int, *, smallest_bytes: int) -> Ring:
        self.rings.append(mmap.mmap(-1, PAGE_BYTES + max(size_bytes, smallest_bytes)))
        return Ring(self.rings[-1])


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_both_tracepoints_of_a_cpu_write_into_one_ring(kernel: Kernel) -> None:
    rings = KernelRings(tracepoints(), 1 << 20)

    assert kernel.opened == [
        (0, 2_287, 128 << 10, True),
        (0, 365, 128 << 10, False),
        (3, 2_287, 128 << 10, True),
        (3, 365, 128 << 10, False),
    ]
    assert kernel.filters == [SOCKET_FILTER] * 2
    assert len(kernel.shared) == len(set(kernel.shared)) == 2
    assert sorted(kernel.enabled) == sorted(each for pair in kernel.shared for each in pair)
    assert rings.size_bytes == 1 << 20
    rings.close()


def test_small_rings_wake_when_a_quarter_is_full(kernel: Kernel) -> None:
    KernelRings(tracepoints(), 0).close()

    assert {watermark for _, _, watermark, _ in kernel.opened} == {16 << 10}


def test_blocks_come_from_cpus_that_have_some(kernel: Kernel) -> None:
    rings = KernelRings(tracepoints(), 0)
    kernel.rings[1][PAGE_BYTES : PAGE_BYTES + 3] = b"abc"
    kernel.rings[1][1_024] = 3

    assert rings.read() == [b"abc"]
    assert rings.read() == []
    assert rings.fileno() >= 0
    rings.close()


def test_refusal_leaves_nothing_open(kernel: Kernel) -> None:
    kernel.refused_cpu = 3
    before = open_files()
    with pytest.raises(PerfError):
        KernelRings(tracepoints(), 0)

    assert open_files() == before
    assert [memory.closed for memory in kernel.rings] == [True]


def test_filter_lets_only_tcp_and_states_that_matter_pass() -> None:
    assert SOCKET_FILTER.startswith("protocol == 6 && (newstate == 1 || newstate == 2")
    assert "newstate == 8" not in SOCKET_FILTER  # the peer's end alone


@pytest.mark.parametrize(
    ("text", "cpus"), [("0\n", (0,)), ("0-3\n", (0, 1, 2, 3)), ("0,2-3,7", (0, 2, 3, 7))]
)
def test_list_of_cpus_is_read(text: str, cpus: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "online").write_text(text)

    assert read_cpu_list(text) == online_cpus(tmp_path / "online") == cpus


def test_without_a_list_python_counts(tmp_path: Path) -> None:
    assert online_cpus(tmp_path / "none") == tuple(range(os.cpu_count() or 1))
