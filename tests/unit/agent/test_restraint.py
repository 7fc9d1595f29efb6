"""What the agent does without while it costs too much."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from agent.budget import CALM_WINDOWS, OVER_WINDOWS, SAMPLED_ONE_IN, WINDOW_S, Ceiling, Step
from agent.collect import HostCollector
from agent.config import Settings
from agent.restraint import SLOW_INTERVAL_S, Restraint
from agent.sensors.sensor import Sensor, Tools, Wake, Watch
from rules.telemetry import Coverage, Event, ManualClock
from tests.scripted_sensors import ScriptedSensor
from tests.socket_facts import PEER, WEB, connections, row

KINDS = frozenset({"connection", "listener", "package", "tls_session"})
SECOND_US = 1_000_000


def at(step: Step) -> Restraint:
    restraint = Restraint(Ceiling())
    restraint.step = step
    return restraint


def connection(port: int, *, state: str = "closed") -> Event:
    values = {"state": state, "local_port": port, "remote_port": 443, "remote_address": "10.0.0.1"}
    return Event("connection", 1, None, values)


def test_without_a_ceiling_nothing_changes() -> None:
    restraint = Restraint(None)
    assert not restraint.look(now_s=1, cpu_s=1e6, memory_bytes=1 << 40)
    assert restraint.step is Step.FULL


def test_summaries_leave_out_openings_only() -> None:
    events = [connection(1, state="opened"), connection(1), Event("listener", 1, None, {})]
    assert at(Step.SLOW).kept(events) == events
    assert at(Step.SUMMARIES).kept(events) == events[1:]


def test_sampling_keeps_whole_flows_and_about_one_in_so_many() -> None:
    events = [connection(port) for port in range(8_000)]
    kept = at(Step.SAMPLED).kept(events * 2)
    ports = {event.values["local_port"] for event in kept}
    assert len(kept) == 2 * len(ports)
    assert 0.5 < len(ports) * SAMPLED_ONE_IN / len(events) < 2
    other = Event("package", 1, None, {"package_name": "bash"})
    assert at(Step.SAMPLED).kept([other]) == [other]


def test_slow_sensors_are_read_later_and_facts_are_not() -> None:
    wake = Wake(1.0, fileno=7)
    assert at(Step.SLOW).delayed("sock_diag", wake, 0.5) == Wake(0.5 + SLOW_INTERVAL_S)
    assert at(Step.SLOW).delayed("facts", wake, 0.5) == wake
    assert at(Step.FULL).delayed("sock_diag", wake, 0.5) == wake


def test_claims_get_weaker_and_never_stronger() -> None:
    watches = [Watch(("connection",), "on", "m"), Watch(("listener",), "off", "m")]
    assert at(Step.FULL).claimed("sock_diag", watches) == watches
    assert at(Step.HEARTBEAT).claimed("facts", watches) == watches
    weak = at(Step.SAMPLED).claimed("sock_diag", watches)
    assert [(watch.state, watch.sampled_one_in) for watch in weak] == [
        ("degraded", SAMPLED_ONE_IN),
        ("off", 1),
    ]
    assert all("over budget" in watch.method for watch in weak)


def test_payload_is_given_up_before_everything_is() -> None:
    assert not at(Step.SAMPLED).pauses("packets")
    assert at(Step.NO_PAYLOAD).pauses("packets")
    assert not at(Step.NO_PAYLOAD).pauses("perf")
    assert at(Step.HEARTBEAT).pauses("perf")


class Scene:
    """A collector under a ceiling, whose time and cost a test decides."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.cpu_s = 0.0
        self.made: list[ScriptedSensor] = []
        monkeypatch.setattr(time, "process_time", lambda: self.cpu_s)
        makers = (
            self._maker("sock_diag", "connection", "listener"),
            self._maker("probe", "tls_session"),
            self._maker("facts", "package"),
        )
        self.collector = HostCollector(
            self.clock,
            Settings(),
            ladders=[(make,) for make in makers],
            ceiling=Ceiling(memory_bytes=0),
        )
        self.collector._begin(KINDS, KINDS)
        self.collector.coverage(0, 0)

    def _maker(self, name: str, *kinds: str) -> Callable[[Tools], Sensor]:
        def make(tools: Tools) -> Sensor:
            self.made.append(ScriptedSensor(tools, name, kinds))
            return self.made[-1]

        return make

    def spend(self, share: float, windows: int) -> None:
        """Let time pass in which the agent takes a share of a core."""
        for _ in range(windows):
            self.clock.advance(WINDOW_S)
            self.cpu_s += share * WINDOW_S
            # One that does not run yet or any more is due too.
            self.collector._step(
                [True, *(not each._is_running for each in self.collector._crew[1:])]
            )

    def cut(self) -> dict[str, Coverage]:
        """Return what is said of the next interval, in which nothing changes."""
        now_us = self.clock.now_us()
        self.collector.coverage(now_us - SECOND_US, now_us)
        rows = self.collector.coverage(now_us, now_us + SECOND_US)
        return {kind: each for each in rows for kind in each.kinds}


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_each_step_stands_in_coverage_and_comes_back(scene: Scene) -> None:
    scene.spend(0.2, OVER_WINDOWS - 1)
    assert {row.state for row in scene.cut().values()} == {"on"}

    scene.spend(0.2, 1 + 2 * OVER_WINDOWS)
    rows = scene.cut()
    assert (rows["connection"].state, rows["connection"].sampled_one_in) == ("degraded", 8)
    assert rows["listener"].method == "script; over budget: one in 8 flows"
    assert rows["package"].state == "on"

    scene.spend(0.2, OVER_WINDOWS)
    assert scene.cut()["tls_session"].state == "off"

    scene.spend(0.2, OVER_WINDOWS)
    assert {row.state for row in scene.cut().values()} == {"off"}
    assert all(sensor.log[-1] == "stop" for sensor in scene.made)

    scene.spend(0.0, CALM_WINDOWS * len(Step))
    assert {row.state for row in scene.cut().values()} == {"on"}
    assert scene.collector.collected() == tuple(sorted(KINDS))


def test_over_budget_sensors_are_read_less_and_all_of_them_at_the_end(scene: Scene) -> None:
    scene.spend(0.2, 2)
    scene.made[0].observations = [connections(2, row(WEB, PEER, cookie=5))]
    scene.clock.advance(1)
    scene.collector._step([True, False, True])
    assert scene.made[0].observations, "it was read a moment ago"

    scene.collector._step([True, True, True])
    assert not scene.made[0].observations
