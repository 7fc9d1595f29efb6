import errno
from collections.abc import Iterator

import pytest

from agent.errors import DecodeError, PerfError
from agent.sensors.observations import KernelChanges, SocketChange
from agent.sensors.perf import (
    DRAIN_S,
    METHOD,
    REMEDY_KERNEL,
    REMEDY_PRIVILEGE,
    REMEDY_TRACEFS,
    PerfSensor,
)
from agent.sensors.perf_stream import SLICE_BYTES
from agent.sensors.perf_tracepoints import TracefsError, Tracepoints
from agent.sensors.processes import ProcessFacts
from agent.sensors.sensor import Capability, Tools, Wake, Watch
from agent.sensors.socket_rows import TcpState
from rules.telemetry import ManualClock
from tests.perf_messages import PEER, WEB, ScriptedRings, life, lost, tracepoints


class Proc:
    """A /proc with one process; it remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def pids(self) -> list[int]:
        return [80]

    def facts(self, pid: int) -> ProcessFacts | None:
        self.asked.append(pid)
        return ProcessFacts(pid, 0, "curl", None, 1, 33, None, None)

    def network(self, pid: int | str) -> int | None:
        return {"self": 1, 80: 2}.get(pid)

    def start_us(self, since_boot_ns: int) -> int:
        return since_boot_ns // 1_000


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock(10_000_000)
        self.tools = Tools(self.clock, ring_bytes=1 << 20)
        self.proc = Proc()
        self.rings: list[ScriptedRings] = []
        self.sensor = PerfSensor(
            self.tools, find=tracepoints, open_rings=self.open, open_table=lambda: self.proc
        )

    def open(self, found: Tracepoints, total_bytes: int) -> ScriptedRings:
        self.rings.append(ScriptedRings(found, total_bytes))
        return self.rings[-1]

    def start(self, *kinds: str) -> None:
        self.sensor.start(frozenset(kinds))

    def drain(self, *records: bytes) -> KernelChanges:
        self.rings[-1].waiting = [b"".join(records)]
        (told,) = self.sensor.drain()
        assert isinstance(told, KernelChanges)
        return told


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.sensor.stop()


def probe(error: Exception) -> Capability:
    def refuse() -> Tracepoints:
        raise error

    return PerfSensor(Tools(ManualClock()), find=refuse).probe()


def test_probe_opens_rings_for_a_moment(scene: Scene) -> None:
    assert scene.sensor.probe() == Capability("on", METHOD)
    assert [(rings.total_bytes, rings.is_closed) for rings in scene.rings] == [(0, True)]


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (TracefsError("no tracepoints"), REMEDY_TRACEFS),
        (TracefsError("may not be read", is_hidden=True), REMEDY_PRIVILEGE),
        (PerfError("open an event", errno.EACCES), REMEDY_PRIVILEGE),
        (PerfError("open an event", errno.ENOSYS), REMEDY_KERNEL),
        (DecodeError("tracepoint format", "no field 'skaddr'"), REMEDY_KERNEL),
    ],
)
def test_what_is_refused_has_a_reason_and_a_remedy(error: Exception, remedy: str) -> None:
    assert probe(error) == Capability("off", "", str(error), remedy)


def test_life_of_a_connection_is_told(scene: Scene) -> None:
    scene.start("connection")
    told = scene.drain(*life(time_ns=2_000_000, pid=80, local=WEB, remote=PEER))

    assert (told.ts_us, told.source, told.is_first) == (10_000_000, "perf", True)
    states = [change.new_state for change in told.changes if isinstance(change, SocketChange)]
    assert states == [TcpState.SYN_SENT, TcpState.ESTABLISHED, TcpState.FIN_WAIT1, TcpState.CLOSE]
    assert [change.ts_us for change in told.changes] == [2_000, 2_001, 2_002, 2_003]
    assert scene.sensor.drain() == []
    scene.clock.advance(1)
    assert not scene.drain().is_first
    assert scene.rings[-1].total_bytes == 1 << 20
    assert scene.sensor.stats().seen == 4


def test_burst_is_told_in_parts_that_go_on_from_each_other(scene: Scene) -> None:
    scene.start("connection")
    one = b"".join(life(time_ns=2_000_000, pid=80, local=WEB, remote=PEER))
    lives = 2 * SLICE_BYTES // len(one) + 1
    first = scene.drain(one * lives)
    assert scene.sensor.wake().has_more
    told = [first]
    while scene.sensor.wake().has_more:
        told += [each for each in scene.sensor.drain() if isinstance(each, KernelChanges)]

    assert sum(len(each.changes) for each in told) == 4 * lives
    assert max(len(each.changes) for each in told) <= SLICE_BYTES * 4 // len(one) + 4
    assert [each.goes_on for each in told] == [False, *([True] * (len(told) - 1))]
    scene.clock.advance(1)
    assert not scene.drain().goes_on


def test_programs_that_run_are_looked_at_for_their_ends_alone(scene: Scene) -> None:
    scene.start("connection")
    assert scene.proc.asked == []
    scene.sensor.stop()
    scene.start("process")
    assert scene.proc.asked == [80]


@pytest.mark.parametrize(
    ("kinds", "kernel_tells"), [(("connection", "process"), True), (("process",), False)]
)
def test_others_hear_whether_connections_are_told(
    kinds: tuple[str, ...],
    kernel_tells: bool,  # noqa: FBT001
    scene: Scene,
) -> None:
    scene.start(*kinds)
    assert scene.tools.kernel_tells == kernel_tells
    assert scene.sensor.stats().watching == (Watch(kinds, "on", METHOD),)
    scene.sensor.stop()
    assert not scene.tools.kernel_tells


def test_loss_counts_for_every_kind(scene: Scene) -> None:
    scene.start("connection", "process")
    scene.drain(lost(7))

    assert scene.sensor.stats().lost == {
        ("connection", "ring_full"): 7,
        ("process", "ring_full"): 7,
    }
    scene.sensor.stop()


def test_it_wakes_for_a_ring_or_after_a_while(scene: Scene) -> None:
    assert scene.sensor.wake() == Wake(0.0, None)
    assert scene.sensor.drain() == []
    scene.start("connection")
    scene.drain()

    assert scene.sensor.wake() == Wake(10 + DRAIN_S, scene.rings[-1].fileno())
    scene.sensor.stop()
    assert scene.sensor.wake().fileno is None
