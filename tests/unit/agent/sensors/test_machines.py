"""What differs between machines: numbers of system calls, sizes of pages, layouts of structs."""

import platform
import struct
from typing import NamedTuple

import pytest

from agent.sensors import ebpf, netlink, packet_socket, perf_event, perf_ring, perf_rings
from agent.sensors.system_calls import SYSTEM_CALLS, SystemCalls, find_system_calls


class Machine(NamedTuple):
    """A machine as its kernel's headers describe it."""

    name: str
    calls: SystemCalls
    page_bytes: tuple[int, ...]


MACHINES = (
    Machine("x86_64", SystemCalls(perf_event_open=298, bpf=321), (4_096,)),
    Machine("aarch64", SystemCalls(perf_event_open=241, bpf=280), (4_096, 16_384, 65_536)),
)
PAGES = sorted({size for machine in MACHINES for size in machine.page_bytes})


@pytest.mark.parametrize("machine", MACHINES)
def test_system_calls_are_those_of_the_machine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine.name)

    assert find_system_calls() == machine.calls
    assert set(SYSTEM_CALLS) == {each.name for each in MACHINES}


def test_a_python_of_32_bits_knows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(struct, "calcsize", lambda _: 4)

    assert find_system_calls() is None


@pytest.mark.parametrize("page_bytes", PAGES)
@pytest.mark.parametrize("cpus", [1, 2, 64, 192])
def test_rings_are_whole_pages_and_a_power_of_two(
    page_bytes: int, cpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf_ring, "PAGE_BYTES", page_bytes)
    smallest = perf_rings.SMALLEST_BYTES
    for total_bytes in (0, 4 << 20):
        size_bytes = perf_ring.ring_size(total_bytes, cpus, smallest_bytes=smallest)
        assert size_bytes % page_bytes == 0
        assert size_bytes.bit_count() == 1
        assert size_bytes >= smallest


@pytest.mark.parametrize("page_bytes", PAGES)
def test_blocks_of_packets_are_whole_pages(page_bytes: int) -> None:
    assert packet_socket.BLOCK_BYTES % page_bytes == 0


@pytest.mark.parametrize(
    ("layout", "size_bytes"),
    [
        (perf_event._ATTRIBUTES, 112),  # struct perf_event_attr, PERF_ATTR_SIZE_VER5
        (ebpf._INSTRUCTION, 8),  # struct bpf_insn
        (ebpf._MAP_ATTRIBUTES, 20),  # union bpf_attr, BPF_MAP_CREATE up to map_flags
        (ebpf._PROGRAM_ATTRIBUTES, 64),  # union bpf_attr, BPF_PROG_LOAD up to prog_name
        (packet_socket._ADDRESS, 20),  # struct sockaddr_ll
        (packet_socket._REQUEST, 28),  # struct tpacket_req3
        (packet_socket._STATISTICS_FIELDS, 12),  # struct tpacket_stats_v3
        (packet_socket._CLASSIC_PROGRAM, 16),  # struct sock_fprog, with a pointer of 64 bits
        (netlink._REQUEST, 56),  # struct inet_diag_req_v2
        (netlink._TIMEVAL, 16),  # struct timeval, with longs of 64 bits
    ],
)
def test_structs_are_as_large_as_the_kernels(layout: struct.Struct, size_bytes: int) -> None:
    """Machines of 64 bits that are little endian agree on all of them."""
    assert layout.size == size_bytes
