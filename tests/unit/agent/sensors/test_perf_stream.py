from collections.abc import Iterator
from itertools import pairwise

import pytest

from agent.decode.perf_records import Record
from agent.errors import PerfError
from agent.sensors import perf_stream
from agent.sensors.perf_stream import CPU_CHECK_S, Drained, RecordStream
from agent.sensors.perf_tracepoints import Tracepoints
from rules.telemetry import ManualClock
from tests.perf_messages import ScriptedRings, exec_sample, fork, lost, tracepoints

S_NS = 1_000_000_000


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock(10_000_000)
        self.made: list[ScriptedRings] = []
        self.cpus: tuple[int, ...] = (0, 1)
        self.stream = RecordStream(
            tracepoints(), 4 << 20, clock=self.clock, open_rings=self.open, cpus=lambda: self.cpus
        )

    def open(self, found: Tracepoints, total_bytes: int) -> ScriptedRings:
        self.made.append(ScriptedRings(found, total_bytes))
        return self.made[-1]

    def read(self, *blocks: bytes) -> list[int]:
        self.made[-1].waiting = list(blocks)
        return pids(self.stream.read().records)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.stream.close()


def pids(records: list[Record]) -> list[int]:
    return [record.pid for record in records]


def test_records_of_all_cpus_come_in_one_order(scene: Scene) -> None:
    first = fork(1, 9, time_ns=1 * S_NS) + fork(4, 9, time_ns=4 * S_NS)
    second = fork(2, 9, time_ns=2 * S_NS) + fork(3, 9, time_ns=3 * S_NS)

    assert scene.read(first, second) == [1, 2, 3, 4]
    assert scene.made[0].total_bytes == 4 << 20


def test_what_is_later_than_the_look_waits(scene: Scene) -> None:
    assert scene.read(fork(1, 9, time_ns=10 * S_NS), fork(2, 9, time_ns=10 * S_NS + 1)) == [1]
    scene.clock.advance(1)
    assert scene.read(fork(3, 9, time_ns=10 * S_NS)) == [3, 2]


def test_time_of_records_becomes_wall_clock(scene: Scene) -> None:
    drained = scene.stream.read()

    assert (drained.until_us, drained.offset_us) == (10_000_000, 0)


def test_loss_makes_a_look_lossy(scene: Scene) -> None:
    scene.made[0].waiting = [lost(5) + fork(1, 9)]
    assert scene.stream.read().is_lossy
    assert not scene.stream.read().is_lossy
    assert scene.stream.lost == {"ring_full": 5}


def test_cpus_that_come_or_go_begin_it_anew(scene: Scene) -> None:
    scene.clock.advance(CPU_CHECK_S)
    assert scene.read(fork(1, 9)) == [1]
    scene.cpus = (0,)
    assert scene.read(fork(2, 9)) == [2]
    scene.clock.advance(CPU_CHECK_S)
    assert scene.read(fork(3, 9)) == [3]

    assert [rings.is_closed for rings in scene.made] == [True, False]
    assert scene.stream.lost == {"cpus_changed": 1}


def test_closed_stream_tells_nothing(scene: Scene) -> None:
    assert scene.stream.fileno() is not None
    scene.stream.close()
    scene.stream.close()
    scene.clock.advance(CPU_CHECK_S)

    assert scene.stream.read().records == []
    assert scene.stream.fileno() is None


def test_refusal_is_raised() -> None:
    def refuse(*_: object) -> ScriptedRings:
        raise PerfError("open an event", 13)

    with pytest.raises(PerfError):
        RecordStream(tracepoints(), 0, clock=ManualClock(), open_rings=refuse)


def slices(scene: Scene, *blocks: bytes) -> list[Drained]:
    """Return what one look at the rings brings, slice by slice."""
    scene.made[-1].waiting = list(blocks)
    found = [scene.stream.read()]
    while found[-1].has_more:
        scene.made[-1].waiting = [fork(99, 9, time_ns=9 * S_NS)]  # waits for the next look
        found.append(scene.stream.read())
    return found


@pytest.mark.parametrize("slice_bytes", [1, 60, 100, 200, 1_000])
@pytest.mark.parametrize("split", range(0, 13, 3))
def test_slices_together_are_the_whole_in_order(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, slice_bytes: int, split: int
) -> None:
    monkeypatch.setattr(perf_stream, "SLICE_BYTES", slice_bytes)
    times = [number * S_NS // 2 for number in range(1, 13)]
    records = [fork(number, 9, time_ns=time_ns) for number, time_ns in enumerate(times)]
    blocks = (
        b"".join(records[split::2]),
        lost(1) + b"".join(records[:split] + records[split + 1 :: 2]),
    )
    found = slices(scene, *(block for block in blocks if block))

    told = [record for drained in found for record in drained.records]
    assert pids(told) == list(range(12))
    moments = [drained.until_us for drained in found]
    assert moments == sorted(moments)
    for before, drained in pairwise(found):
        assert all(record.time_ns >= before.until_us * 1_000 for record in drained.records)
    assert scene.stream.lost == {"ring_full": 1}
    is_lossy = [drained.is_lossy for drained in found]
    assert is_lossy == sorted(is_lossy)  # from where the loss is known, to the end
    assert is_lossy[-1]


def test_a_gap_counts_for_all_that_was_taken_with_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf_stream, "SLICE_BYTES", 1)
    first = b"".join(fork(number, 9, time_ns=number * S_NS) for number in range(1, 5))
    found = slices(scene, first, lost(7) + fork(6, 9, time_ns=6 * S_NS))

    assert [pids(drained.records) for drained in found] == [[1], [2], [3], [4, 6]]
    assert [drained.is_lossy for drained in found] == [True] * 4


def test_a_gap_counts_for_what_waits_until_it_is_told(scene: Scene) -> None:
    late, early = fork(2, 9, time_ns=11 * S_NS), fork(1, 9, time_ns=S_NS)
    assert [drained.is_lossy for drained in slices(scene, lost(1) + early, late)] == [True]
    scene.clock.advance(5)
    assert [drained.is_lossy for drained in slices(scene, b"")] == [True]
    assert [drained.is_lossy for drained in slices(scene, fork(3, 9, time_ns=14 * S_NS))] == [False]


def test_programs_that_wait_are_among_those_to_come(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf_stream, "SLICE_BYTES", 1)
    slices(scene, exec_sample(b"/bin/a", pid=7, time_ns=10 * S_NS + 1))
    scene.clock.advance(5)
    block = b"".join(fork(number, 9, time_ns=(9 + number) * S_NS) for number in (1, 3))
    found = slices(scene, block + exec_sample(b"/bin/b", pid=7, time_ns=13 * S_NS))

    assert [dict(drained.coming) for drained in found] == [{7: 2}, {7: 1}, {}]


def test_slices_know_what_is_executed_behind_them(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perf_stream, "SLICE_BYTES", 1)
    block = b"".join(exec_sample(b"/bin/a", pid=7, time_ns=at * S_NS) for at in (1, 2, 3))

    assert [dict(drained.coming) for drained in slices(scene, block)] == [{7: 2}, {7: 1}, {}]
