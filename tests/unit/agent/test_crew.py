import logging

import pytest

from agent.crew import RETRY_S, Member, climb
from agent.sensors.sensor import Capability, Sensor, Tools
from rules.telemetry import Coverage, ManualClock
from tests.scripted_sensors import ScriptedSensor
from tests.socket_facts import listeners

KINDS = frozenset({"listener", "connection"})


class Bench:
    """Makes sensors and keeps them for the test."""

    def __init__(self, name: str, capability: Capability | None = None) -> None:
        self.name = name
        self.capability = capability or Capability("on", "script")
        self.made: list[ScriptedSensor] = []

    def __call__(self, tools: Tools) -> Sensor:
        sensor = ScriptedSensor(tools, self.name, ("connection", "listener"))
        sensor.capability = self.capability
        self.made.append(sensor)
        return sensor


@pytest.fixture
def tools() -> Tools:
    return Tools(ManualClock())


def join(bench: Bench, tools: Tools, kinds: frozenset[str] = KINDS) -> Member:
    (rung,) = climb([(bench,)], tools, switched_off={})
    return Member(rung, tools, kinds)


def states(member: Member) -> list[str]:
    rows: list[Coverage] = member.account.cut(0, 1, kinds=KINDS, rss_bytes=None)
    return [row.state for row in rows]


def test_first_rung_that_works_is_taken(tools: Tools) -> None:
    off = Capability("off", "", "no netlink", "load it")
    ladder = (Bench("a", off), Bench("b"), Bench("c"))

    rungs = climb([ladder], tools, switched_off={})

    assert [(rung.sensor.name, rung.is_working) for rung in rungs] == [("a", False), ("b", True)]
    assert not ladder[2].made


def test_forbidden_sensor_is_not_even_tried(tools: Tools) -> None:
    bench = Bench("probe")

    (rung,) = climb([(bench,)], tools, switched_off={"probe": "probe"})

    assert bench.made[0].log == []
    report = rung.report()
    assert (report.state, report.reason) == ("off", "switched off by the setting probe")
    assert report.remedy == "Set probe = true."


def test_sensor_that_cannot_even_be_tried_is_off(
    tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    def make(tools: Tools) -> Sensor:
        sensor = ScriptedSensor(tools, "a", ("listener",))
        sensor.probe_error = AttributeError("AF_NETLINK")
        return sensor

    with caplog.at_level(logging.CRITICAL):
        rungs = climb([(make, Bench("b"))], tools, switched_off={})

    assert [(rung.sensor.name, rung.is_working) for rung in rungs] == [("a", False), ("b", True)]
    assert rungs[0].capability.reason == "cannot be tried: AttributeError('AF_NETLINK')"


def test_report_says_everything(tools: Tools) -> None:
    (rung,) = climb(
        [(Bench("a", Capability("degraded", "polls", "why", "do this")),)], tools, switched_off={}
    )

    report = rung.report()

    assert (report.name, report.kinds) == ("a", ("connection", "listener"))
    assert (report.state, report.method) == ("degraded", "polls")
    assert (report.reason, report.remedy) == ("why", "do this")
    assert report.blind_spots == ("What a cannot see.",)
    assert rung.report("off").state == "off"


def test_member_starts_for_the_kinds_it_has(tools: Tools) -> None:
    bench = Bench("a")
    member = join(bench, tools, frozenset({"listener", "tls_session"}))
    member.start()

    assert bench.made[0].log == ["probe", "start listener"]
    assert member.kinds == {"listener"}


def test_steps_return_observations_and_keep_the_account(tools: Tools) -> None:
    bench = Bench("a")
    member = join(bench, tools)
    member.start()
    member.account.forget_start()
    sensor = bench.made[0]
    sensor.observations = [listeners(1)]
    sensor.lost = {("listener", "x"): 2}
    sensor.cpu_s = 1.5

    assert member.step() == [listeners(1)]
    assert member.step() == []
    rows = member.account.cut(0, 1, kinds=KINDS, rss_bytes=None)
    assert [(row.kinds, row.lost) for row in rows] == [
        (("connection",), None),
        (("listener",), {"x": 2}),
    ]
    assert sum(row.cpu_ms or 0 for row in rows) >= 1_500


def test_sensor_that_cannot_work_is_off_and_never_woken(tools: Tools) -> None:
    bench = Bench("a", Capability("off", "", "no netlink"))
    member = join(bench, tools)
    member.start()

    assert member.wake() is None
    assert bench.made[0].log == ["probe"]
    assert states(member) == ["off"]
    member.stop()


def test_failed_sensor_is_off_and_made_anew_later(
    tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench("a")
    member = join(bench, tools)
    member.start()
    member.account.forget_start()
    bench.made[0].lost = {("listener", "x"): 2}
    member.step()
    bench.made[0].drain_error = ValueError("broken")
    with caplog.at_level(logging.CRITICAL):
        assert member.step() == []
    assert bench.made[0].log[-1] == "stop"
    assert set(states(member)) == {"off"}
    assert member.step() == []
    wake = member.wake()
    assert wake is not None
    assert wake.due_s == RETRY_S

    clock = tools.clock
    assert isinstance(clock, ManualClock)
    clock.advance(RETRY_S)
    member.step()
    assert len(bench.made) == 2
    assert states(member) == ["off"]  # for a part of this interval
    assert states(member) == ["on"]
    bench.made[1].lost = {("listener", "x"): 1}
    member.step()
    rows = member.account.cut(0, 1, kinds=KINDS, rss_bytes=None)
    assert [row.lost for row in rows if row.lost] == [{"x": 1}]


def test_sensor_that_fails_to_start_is_off(tools: Tools) -> None:
    bench = Bench("a")
    member = join(bench, tools)
    bench.made[0].start_error = OSError("no /proc")
    member.start()

    assert states(member) == ["off"]
    assert member.account.state == "off"


def test_sensor_that_fails_to_stop_breaks_nothing(tools: Tools) -> None:
    bench = Bench("a")
    member = join(bench, tools)
    member.start()
    bench.made[0].stop_error = OSError("stuck")
    member.stop()
    member.stop()

    assert bench.made[0].log.count("stop") == 1


def test_sensor_that_waits_for_the_kernel_is_fed(tools: Tools) -> None:
    sensor = ScriptedSensor(tools, "script", ("connection",))
    member = Member(climb([(lambda _: sensor,)], tools, switched_off={})[0], tools, KINDS)
    member.start()
    member.wake()
    assert not member.is_fed
    sensor.fileno = 7
    member.wake()
    sensor.fileno = None
    member.wake()
    assert member.is_fed
