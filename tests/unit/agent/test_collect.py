import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from agent import collect
from agent.collect import Collector, HostCollector
from agent.config import Settings
from agent.sensors.observations import Observation, TlsAnswered
from agent.sensors.sensor import Capability, Ladder, Sensor, Tools, Wake
from rules.telemetry import Coverage, ManualClock, SystemClock
from tests.scripted_sensors import ScriptedSensor
from tests.socket_facts import (
    PEER,
    WEB,
    S,
    Told,
    columns,
    connections,
    listeners,
    listening,
    row,
    told,
)

SOCKETS = frozenset({"connection", "listener"})
ALL = SOCKETS | {"tls_session"}


class Scene:
    """A host with two scripted sensors."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.sockets: list[ScriptedSensor] = []
        self.probes: list[ScriptedSensor] = []
        self.first: list[Observation] = [listeners(1, listening(WEB, cookie=1)), connections(1)]
        self.capability = Capability("on", "script")

    def _make_sockets(self, tools: Tools) -> Sensor:
        sensor = ScriptedSensor(tools, "sock_diag", ("connection", "listener"))
        sensor.observations = list(self.first)
        sensor.capability = self.capability
        self.sockets.append(sensor)
        return sensor

    def _make_probe(self, tools: Tools) -> Sensor:
        self.probes.append(ScriptedSensor(tools, "probe", ("tls_session",)))
        return self.probes[-1]

    @property
    def ladders(self) -> list[Ladder]:
        return [(self._make_sockets,), (self._make_probe,)]

    def collector(self, *, probe: bool = True) -> HostCollector:
        return HostCollector(self.clock, Settings(probe=probe), ladders=self.ladders)

    def observe(self, *observations: Observation) -> None:
        self.sockets[-1].observations += observations


@pytest.fixture
def scene() -> Scene:
    return Scene(ManualClock(10 * S))


async def settle(is_so: Callable[[], bool]) -> None:
    """Wait until the sensors' thread has done something."""
    async with asyncio.timeout(15):
        while not is_so():  # noqa: ASYNC110 (another thread does it, and tells nobody)
            await asyncio.sleep(0.001)


async def drained(scene: Scene, collector: HostCollector) -> None:
    """Wait until the thread has taken what was observed, and has made events of it."""
    await settle(lambda: not scene.sockets[-1].observations)
    with collector._work:
        pass


def states(rows: tuple[Coverage, ...]) -> list[tuple[str, tuple[str, ...], str]]:
    return [(row.sensor, row.kinds, row.state) for row in rows]


def test_it_is_a_collector() -> None:
    collector: Collector = HostCollector(SystemClock(), Settings())

    assert collector.collected() == ()


async def test_start_is_ready_when_it_returns(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(ALL)
    scene.clock.advance(1)

    assert columns(collector.drain(), "state", "local_port") == [("present", 443)]
    assert collector.collected() == ("connection", "listener", "tls_session")
    assert states(collector.coverage(10 * S, 11 * S)) == [
        ("sock_diag", ("connection", "listener"), "on"),
        ("probe", ("tls_session",), "on"),
    ]
    await collector.stop()


async def test_what_start_found_is_dated_to_the_first_drain(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(ALL)
    scene.clock.advance(1)

    assert [event.ts_us for event in collector.drain()] == [11 * S - 1]
    await collector.stop()


async def test_times_lie_between_two_drains(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(SOCKETS)
    scene.clock.advance(1)
    collector.drain()
    collector.coverage(10 * S, 12 * S)
    scene.clock.advance(4)
    scene.observe(
        connections(14, row(WEB, PEER, cookie=5)),
        connections(3, row(WEB, PEER, cookie=5), row(WEB, PEER, cookie=6)),
        connections(90, row(WEB, PEER, cookie=7)),
    )
    await drained(scene, collector)

    assert [event.ts_us for event in collector.drain()] == [12 * S, 14 * S, 15 * S - 1]
    await collector.stop()


async def test_what_was_seen_until_now_is_drained_after_catching_up(scene: Scene) -> None:
    collector = scene.collector()
    await collector.catch_up()  # before the start there is nothing to take
    await collector.start(SOCKETS)
    collector._crew[0].is_fed = True
    collector.drain()
    scene.clock.advance(2)
    scene.observe(connections(11, row(WEB, PEER, cookie=5)))
    await collector.catch_up()

    assert columns(collector.drain(), "ts_us", "state") == [(11 * S, "opened")]
    await collector.stop()


async def test_better_sensors_read_last_and_are_heard_first(scene: Scene) -> None:
    """What a lesser sensor shows, the better one has told by then: it is no news."""
    read: list[str] = []

    def make(name: str, *observations: Observation) -> Callable[[Tools], Sensor]:
        def make_sensor(tools: Tools) -> Sensor:
            sensor = ScriptedSensor(tools, name, ("connection",))
            drain = sensor.drain

            def noted() -> list[Observation]:
                read.append(name)
                return drain()

            sensor.observations = list(observations)
            sensor.drain = noted  # type: ignore[method-assign]
            return sensor

        return make_sensor

    side = Told(WEB, PEER)
    kernel = told(9, side.accepted(8), is_first=True)
    polls = (connections(9), connections(9, row(WEB, PEER, cookie=5)))
    ladders = [(make("perf", kernel),), (make("sock_diag", *polls),)]
    collector = HostCollector(scene.clock, Settings(), ladders=ladders)
    await collector.start(SOCKETS)
    scene.clock.advance(1)

    assert read[:2] == ["sock_diag", "perf"]
    assert columns(collector.drain(), "state", "source") == [("opened", "perf")]
    await collector.stop()


async def test_sensor_that_has_more_is_read_to_the_end_before_lesser_ones_are_heard(
    scene: Scene,
) -> None:
    side, other = Told(WEB, PEER), Told(WEB, ("198.51.100.8", 50_000), socket=0xB000)
    parts = [
        told(9, side.accepted(8), is_first=True),
        told(9, other.accepted(8))._replace(goes_on=True),
    ]

    class Burst(ScriptedSensor):
        def drain(self) -> list[Observation]:
            return [parts.pop(0)] if parts else []

        def wake(self) -> Wake:
            return replace(super().wake(), has_more=bool(parts))

    def make_polls(tools: Tools) -> Sensor:
        polls = ScriptedSensor(tools, "sock_diag", ("connection",))
        rows = (row(WEB, PEER, cookie=5), row(WEB, ("198.51.100.8", 50_000), cookie=6))
        polls.observations = [connections(9), connections(9, *rows)]
        return polls

    ladders: list[Ladder] = [
        (lambda tools: Burst(tools, "perf", ("connection",)),),
        (make_polls,),
    ]
    collector = HostCollector(scene.clock, Settings(), ladders=ladders)
    await collector.start(SOCKETS)
    scene.clock.advance(1)

    assert columns(collector.drain(), "source") == [("perf",), ("perf",)]
    await collector.stop()


async def test_wait_returns_when_something_gets_old(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(SOCKETS)
    collector.drain()
    scene.observe(connections(11, row(WEB, PEER, cookie=5)))
    scene.clock.advance(3)  # it is two seconds old, as soon as it is seen
    async with asyncio.timeout(5):
        await collector.wait(60, oldest_s=1.5)

    assert columns(collector.drain(), "state") == [("opened",)]
    await collector.stop()


async def test_what_came_late_is_as_old_as_it_will_be_dated(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(SOCKETS)
    scene.clock.advance(5)
    collector.drain()
    scene.observe(connections(11, row(WEB, PEER, cookie=5)))
    await drained(scene, collector)
    scene.clock.advance(1)

    assert collector._age_s() == 1
    assert columns(collector.drain(), "ts_us") == [(15 * S,)]
    await collector.stop()


async def test_event_loop_is_woken_once_for_what_waits(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "WAKE_AT", 1)
    collector = scene.collector()
    await collector.start(SOCKETS)
    collector.drain()
    woken: list[object] = []
    monkeypatch.setattr(collector._loop, "call_soon_threadsafe", woken.append)
    for cookie in (5, 6, 7):
        rows = (row(WEB, PEER, cookie=each) for each in range(5, cookie + 1))
        scene.observe(connections(11, *rows))
        await drained(scene, collector)
    assert len(woken) == 2  # something is there, and there is much of it
    monkeypatch.undo()

    scene.clock.advance(3)
    assert len(collector.drain()) == 3
    await collector.stop()


async def test_only_wanted_kinds_come_out(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(frozenset({"connection", "aws_call"}))
    scene.observe(connections(2, row(WEB, PEER, cookie=5)))
    await drained(scene, collector)
    scene.clock.advance(1)

    assert {event.kind for event in collector.drain()} == {"connection"}
    assert collector.collected() == ("connection",)
    assert states(collector.coverage(0, 1)) == [("sock_diag", ("connection",), "on")]
    await collector.stop()


async def test_sessions_need_to_know_listeners_and_connections(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(frozenset({"tls_session"}))

    assert scene.sockets[0].log[-1] == "start connection listener"
    (listener,) = scene.probes[0].tools.listeners
    assert (listener.address, listener.port) == WEB
    assert collector.collected() == ("tls_session",)
    assert states(collector.coverage(0, 1)) == [("probe", ("tls_session",), "on")]
    await collector.stop()


async def test_answers_of_the_probe_become_events(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(ALL)
    scene.probes[0].observations = [TlsAnswered(11 * S, "probe", *WEB, None, {})]
    await settle(lambda: not scene.probes[0].observations)
    await collector.stop()
    scene.clock.advance(2)

    assert [event.kind for event in collector.drain()] == ["tls_session", "listener"]


async def test_probe_is_off_by_setting(scene: Scene) -> None:
    collector = scene.collector(probe=False)
    await collector.start(ALL)

    assert collector.collected() == ("connection", "listener")
    assert states(collector.coverage(0, 1))[1:] == [("probe", ("tls_session",), "off")]
    reports = {report.name: report for report in collector.reports()}
    assert reports["probe"].remedy == "Set probe = true."
    await collector.stop()


async def test_start_again_announces_what_is_there(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(ALL)
    collector.drain()
    scene.clock.advance(5)
    await collector.start(SOCKETS)
    scene.clock.advance(1)

    assert columns(collector.drain(), "ts_us", "state") == [(15 * S, "present")]
    assert len(scene.sockets) == 1
    assert collector.collected() == ("connection", "listener")
    await collector.stop()


async def test_more_kinds_start_sensors_anew_and_that_interval_is_off(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(SOCKETS)
    await collector.start(ALL)

    assert len(scene.sockets) == 2
    assert {state for _, _, state in states(collector.coverage(0, 1))} == {"off"}
    assert {state for _, _, state in states(collector.coverage(1, 2))} == {"on"}
    await collector.stop()


async def test_stop_keeps_what_was_seen_until_then(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(SOCKETS)
    scene.sockets[0].interval_s = 60
    scene.observe(connections(11, row(WEB, PEER, cookie=5)))
    await collector.stop()
    await collector.stop()
    scene.clock.advance(9)

    assert columns(collector.drain(), "state") == [("opened",), ("present",)]
    assert states(collector.coverage(0, 1)) == [("sock_diag", ("connection", "listener"), "on")]
    assert scene.sockets[0].log[-1] == "stop"


async def test_full_backlog_is_counted(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "MAX_BACKLOG", 2)
    collector = scene.collector()
    await collector.start(SOCKETS)
    scene.observe(connections(2, *(row(WEB, PEER, cookie=each) for each in (5, 6, 7))))
    await drained(scene, collector)

    assert len(collector.drain()) == 2
    assert {row.kinds: row.lost for row in collector.coverage(0, 1)} == {
        ("connection",): {"backlog_full": 2},
        ("listener",): None,
    }
    await collector.stop()


async def test_wait_returns_early_when_there_is_much(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "WAKE_AT", 2)
    collector = scene.collector()
    await collector.start(SOCKETS)
    begin_s = time.monotonic()
    await collector.wait(0.01)
    assert time.monotonic() - begin_s >= 0.01

    scene.observe(connections(2, row(WEB, PEER, cookie=5)))
    begin_s = time.monotonic()
    await collector.wait(5)
    assert time.monotonic() - begin_s < 1
    await collector.stop()


async def test_fact_that_breaks_the_correlation_turns_its_sensor_off(scene: Scene) -> None:
    collector = scene.collector()
    await collector.start(ALL)
    scene.observe("nonsense")  # type: ignore[arg-type]
    await settle(lambda: collector.reports()[0].state == "off" or "stop" in scene.sockets[0].log)

    assert states(collector.coverage(0, 1)) == [
        ("sock_diag", ("connection", "listener"), "off"),
        ("probe", ("tls_session",), "on"),
    ]
    await collector.stop()


async def test_broken_thread_turns_every_sensor_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[bool]:
        raise OSError("no descriptors left")

    monkeypatch.setattr("agent.sleeper.Sleeper.sleep", refuse)
    collector = scene.collector()
    await collector.start(ALL)
    await settle(lambda: not any(each.name == "proctor-sensors" for each in threading.enumerate()))

    assert {state for _, _, state in states(collector.coverage(0, 1))} == {"off"}
    assert collector.collected() == ()
    monkeypatch.undo()
    await collector.start(ALL)
    assert collector.collected() == ("connection", "listener", "tls_session")
    await collector.stop()


async def test_reports_before_the_start_tell_how_it_would_work(scene: Scene) -> None:
    scene.capability = Capability("off", "", "no netlink", "load it")
    reports: Awaitable[object] = asyncio.to_thread(scene.collector().reports)
    names = [(each.name, each.state) for each in await reports]  # type: ignore[attr-defined]

    assert names == [("sock_diag", "off"), ("probe", "on")]
