"""What the kernel writes is read whole, and whatever else stands in a ring breaks nothing."""

import contextlib
import mmap
from collections import Counter, defaultdict
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from agent.correlate import Correlator
from agent.decode.perf_records import RecordReader
from agent.decode.trace_format import make_layout, read_format
from agent.errors import DecodeError
from agent.sensors.observations import SocketChange
from agent.sensors.perf_ring import PAGE_BYTES, Ring
from rules.telemetry import Event
from tests.perf_messages import (
    AARCH64,
    RECORDED,
    X86_64,
    comm,
    end,
    exec_sample,
    fork,
    lost,
    lost_samples,
    record,
    socket_sample,
    throttle,
    tracepoints,
)
from tests.socket_facts import CURL, Told, closed, connections, row, told
from tests.socket_facts import end as noticed

DATA_BYTES = PAGE_BYTES
STEPS = 6  # longest life
LOCAL, PEER = "192.0.2.1", ("198.51.100.7", 443)

machines = st.sampled_from([X86_64, AARCH64])
records = st.one_of(
    st.builds(socket_sample, st.integers(1, 12), st.integers(1, 12)),
    st.builds(exec_sample, st.binary(min_size=1, max_size=40)),
    st.builds(fork, st.integers(0, 2**22), st.integers(0, 2**22)),
    st.builds(end, st.integers(0, 2**22)),
    st.builds(comm, st.binary(max_size=15), pid=st.integers(0, 2**22)),
    st.builds(lost, st.integers(0, 2**40)),
    st.builds(lost_samples, st.integers(0, 2**40)),
    st.just(throttle()),
    st.builds(record, st.integers(0, 30), st.binary(max_size=80)),
)


@given(machine=machines, block=st.binary(max_size=400))
def test_any_bytes_are_read_without_a_fault(machine: str, block: bytes) -> None:
    RecordReader(*tracepoints(machine)).read(block)


@given(
    machine=machines,
    written=st.lists(records, max_size=12),
    cut=st.integers(0, 300),
    spoiled=st.dictionaries(st.integers(0, 2_000), st.integers(0, 255), max_size=6),
)
def test_spoiled_blocks_are_read_without_a_fault(
    machine: str, written: list[bytes], cut: int, spoiled: dict[int, int]
) -> None:
    block = bytearray(b"".join(written))
    for place, value in spoiled.items():
        if place < len(block):
            block[place] = value
    RecordReader(*tracepoints(machine)).read(bytes(block[: max(0, len(block) - cut)]))


@given(cut=st.integers(0, RECORDED.stat().st_size))
def test_block_that_ends_early_is_read_up_to_there(cut: int) -> None:
    block = RECORDED.read_bytes()
    reader = RecordReader(*tracepoints())
    whole = reader.read(block)
    part = reader.read(block[:cut])

    assert part == whole[: len(part)]


@given(text=st.text(max_size=300))
def test_any_text_is_a_format_or_is_refused(text: str) -> None:
    with contextlib.suppress(DecodeError):
        made = read_format(f"ID: 7\n{text}")
        make_layout(made, list(made.fields), head="Q", size=64)


@given(st.lists(st.tuples(st.binary(max_size=DATA_BYTES // 2), st.booleans()), max_size=30))
def test_ring_gives_back_what_was_written(writes: list[tuple[bytes, bool]]) -> None:
    memory = mmap.mmap(-1, PAGE_BYTES + DATA_BYTES)
    ring = Ring(memory)
    head, written, taken = 0, b"", b""
    for block, is_read in writes:
        free = DATA_BYTES - (len(written) - len(taken))
        for byte in block[:free]:
            memory[PAGE_BYTES + head % DATA_BYTES] = byte
            head += 1
        written += block[:free]
        memory[1_024:1_032] = head.to_bytes(8, "little")
        if is_read:
            taken += ring.read()
    assert taken + ring.read() == written
    ring.close()


class Life(NamedTuple):
    """One connection: how long after the one before it, and which words of it are lost."""

    pause: int
    lasts: int
    told_late: int
    is_inbound: bool
    loses: frozenset[int]


class Placed(NamedTuple):
    """A connection at its time, between ends that others had before."""

    number: int
    port: int
    opens: int
    ends: int
    noticed: int
    life: Life


lives = st.builds(
    Life,
    st.integers(1, 3),
    st.integers(0, STEPS),
    st.integers(0, 4),
    st.booleans(),
    st.frozensets(st.integers(0, 3), max_size=3),
)
stories = st.lists(st.lists(lives, max_size=4), max_size=3)
"""For each port one life after the other."""
LONGEST = 4 * (STEPS + 3) + 6


def place(story: list[list[Life]]) -> list[Placed]:
    """Return every life at its time; notices of one port come in the order of the ends."""
    placed: list[Placed] = []
    for port, chain in enumerate(story, 10_000):
        ends = noticed = 0
        for life in chain:
            opens = ends + life.pause
            ends = opens + life.lasts
            noticed = max(noticed, ends + life.told_late)
            placed.append(Placed(len(placed) + 1, port, opens, ends, noticed, life))
    return placed


def changes_of(each: Placed, step: int) -> list[SocketChange]:
    """Return what the kernel tells of a life at a step, and is not lost."""
    life = each.life
    side = Told((LOCAL, each.port), PEER, socket=each.number, process=CURL)
    opened = side.accepted if life.is_inbound else side.connected
    all_told = [
        (each.opens, None if life.is_inbound else side.connect(each.opens)),
        (each.opens, opened(each.opens + 0.1)),
        (each.ends, side.shut(each.ends + 0.2)),
        (each.ends, side.gone(each.ends + 0.3)),
    ]
    return [
        change
        for number, (at, change) in enumerate(all_told)
        if at == step and change is not None and number not in life.loses
    ]


def play(story: list[Placed], polls: set[int]) -> dict[int, list[Event]]:
    """Return the events by port; polls are made before the kernel is heard, and told after."""
    correlator = Correlator()
    events = correlator.add(told(0, is_first=True)) + correlator.add(connections(0))
    for step in range(1, LONGEST + 3):
        changes = [change for each in story for change in changes_of(each, step)]
        changes.sort(key=lambda change: change.ts_us)
        events += correlator.add(told(step + 0.5, *changes))
        if step in polls:
            shown = [
                row((LOCAL, each.port), PEER, cookie=each.number)
                for each in story
                if each.opens < step <= each.ends
            ]
            events += correlator.add(connections(step, *shown))
        notices = [
            noticed((LOCAL, each.port), PEER, cookie=each.number)
            for each in story
            if each.noticed == step
        ]
        events += correlator.add(closed(step + 0.6, *notices))
    by_port: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_port[event.values["local_port"]].append(event)
    return by_port


@given(story=stories, polls=st.sets(st.integers(1, LONGEST)))
def test_every_connection_is_told_once_whatever_is_lost(
    story: list[list[Life]], polls: set[int]
) -> None:
    by_port = play(place(story), polls)

    for port, chain in enumerate(story, 10_000):
        rows = by_port[port]
        states = Counter(event.values["state"] for event in rows)
        assert states == Counter({"opened": len(chain), "closed": len(chain)} if chain else {})
        if not any(life.loses for life in chain):
            ends = [event for event in rows if event.values["state"] == "closed"]
            assert {event.values["attribution"] for event in ends} <= {"exact"}
            assert [event.values["direction"] for event in ends] == [
                "inbound" if life.is_inbound else "outbound" for life in chain
            ]
