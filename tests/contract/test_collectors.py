"""What every collector keeps to: the one of this host and the one that plays a script."""

from collections.abc import Callable

import pytest

from agent.collect import Collector, HostCollector
from agent.config import Settings
from agent.sensors.sensor import Sensor, Tools
from rules.telemetry import Event, ManualClock
from tests.collectors import ScriptedCollector
from tests.scripted_sensors import ScriptedSensor
from tests.socket_facts import WEB, S, connections, listeners, listening

KINDS = frozenset({"connection", "listener"})


def make_host(clock: ManualClock) -> Collector:
    def make_sensor(tools: Tools) -> Sensor:
        sensor = ScriptedSensor(tools, "sock_diag", ("connection", "listener"))
        sensor.observations = [listeners(10, listening(WEB, cookie=1)), connections(10)]
        return sensor

    return HostCollector(clock, Settings(), ladders=[(make_sensor,)])


def make_scripted(clock: ManualClock) -> Collector:
    event = Event("listener", 10 * S, None, {"local_port": 443, "state": "present"})
    return ScriptedCollector([event], clock=clock, kinds=KINDS)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(10 * S)


@pytest.fixture(params=[make_host, make_scripted])
def collector(request: pytest.FixtureRequest, clock: ManualClock) -> Collector:
    make: Callable[[ManualClock], Collector] = request.param
    return make(clock)


async def test_before_the_start_there_is_nothing(collector: Collector) -> None:
    assert collector.drain() == []
    assert collector.collected() == ()


async def test_what_is_there_comes_with_the_first_drain(
    collector: Collector, clock: ManualClock
) -> None:
    await collector.start(KINDS)
    clock.advance(1)
    (event,) = collector.drain()

    assert (event.kind, event.values["state"]) == ("listener", "present")
    assert 10 * S <= event.ts_us < 11 * S
    assert collector.drain() == []
    await collector.stop()


async def test_only_wanted_kinds_are_collected(collector: Collector, clock: ManualClock) -> None:
    await collector.start(frozenset({"connection", "aws_call"}))
    clock.advance(1)

    assert collector.collected() == ("connection",)
    assert collector.drain() == []
    await collector.stop()


async def test_coverage_is_of_exactly_the_interval(collector: Collector) -> None:
    await collector.start(KINDS)
    (row,) = collector.coverage(10 * S, 12 * S)

    assert (row.from_us, row.to_us) == (10 * S, 12 * S)
    assert (row.kinds, row.state) == (("connection", "listener"), "on")
    await collector.stop()


async def test_reports_name_the_sensors(collector: Collector) -> None:
    await collector.start(KINDS)

    assert [report.state for report in collector.reports()] == ["on"]
    await collector.stop()


async def test_wait_ends_by_itself(collector: Collector) -> None:
    await collector.start(KINDS)
    await collector.wait(0.001)
    assert collector.collected()
    await collector.stop()


async def test_stop_may_be_repeated(collector: Collector) -> None:
    await collector.start(KINDS)
    await collector.stop()
    collector.drain()  # what was observed before the stop
    assert collector.drain() == []
