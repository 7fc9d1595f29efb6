"""What every sensor keeps to, whatever it observes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.sensors import (
    FactsSensor,
    PacketSensor,
    PerfSensor,
    ProbeSensor,
    ProcSensor,
    PsutilSensor,
    SockDiagSensor,
    SshdConfigSensor,
)
from agent.sensors.facts.host_files import HostFiles
from agent.sensors.sensor import Sensor, Tools
from rules.telemetry import KINDS, ManualClock
from tests.perf_messages import ScriptedRings, tracepoints
from tests.recorded_hosts import HOSTS
from tests.scripted_captures import ScriptedCapture
from tests.scripted_sensors import ScriptedSensor
from tests.socket_facts import PEER, WEB, listening, row
from tests.socket_tables import ScriptedOwners, ScriptedSubscription, ScriptedTables

Make = Callable[[Tools], Sensor]


def make_tables() -> ScriptedTables:
    tables = ScriptedTables()
    tables.tcp_listeners = [listening(WEB, cookie=1)]
    tables.tcp_connections = [row(WEB, PEER, cookie=2)]
    return tables


def make_sock_diag(tools: Tools) -> Sensor:
    return SockDiagSensor(
        tools, table=make_tables(), subscribe=ScriptedSubscription, open_owners=ScriptedOwners
    )


def make_psutil(tools: Tools) -> Sensor:
    return PsutilSensor(tools, tables=make_tables(), open_owners=ScriptedOwners)


def make_procfs(tools: Tools) -> Sensor:
    return ProcSensor(tools, tables=make_tables(), open_owners=ScriptedOwners)


def make_perf(tools: Tools) -> Sensor:
    return PerfSensor(tools, find=tracepoints, open_rings=ScriptedRings)


def make_packets(tools: Tools) -> Sensor:
    return PacketSensor(tools, open_capture=ScriptedCapture)


def make_scripted(tools: Tools) -> Sensor:
    return ScriptedSensor(tools, "script", ("connection", "listener"))


def make_facts(tools: Tools) -> Sensor:
    return FactsSensor(tools, host=HostFiles(HOSTS / "debian-12"))


def make_sshd_config(tools: Tools) -> Sensor:
    return SshdConfigSensor(tools, host=HostFiles(HOSTS / "debian-12"))


@pytest.fixture(
    params=[
        make_packets,
        make_perf,
        make_sock_diag,
        make_procfs,
        make_psutil,
        ProbeSensor,
        make_facts,
        make_sshd_config,
        make_scripted,
    ]
)
def make(request: pytest.FixtureRequest) -> Make:
    chosen: Make = request.param
    return chosen


@pytest.fixture
def tools() -> Tools:
    return Tools(ManualClock())


def open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_kinds_are_telemetry(make: Make, tools: Tools) -> None:
    sensor = make(tools)

    assert sensor.name
    assert set(sensor.kinds) <= KINDS.keys()


def test_probe_leaves_nothing_behind(make: Make, tools: Tools) -> None:
    sensor = make(tools)
    before = open_files()
    capability = sensor.probe()

    assert open_files() == before
    assert capability.state in {"on", "degraded"}
    assert capability.method
    assert sensor.stats().seen == 0


def test_it_watches_its_kinds_from_the_start_on(make: Make, tools: Tools) -> None:
    sensor = make(tools)
    sensor.start(frozenset(sensor.kinds))
    watched = [kind for watch in sensor.stats().watching for kind in watch.kinds]

    assert sorted(watched) == sorted(sensor.kinds)
    assert {watch.state for watch in sensor.stats().watching} <= {"on", "degraded"}
    sensor.stop()


def test_it_is_woken_again_after_every_drain(make: Make, tools: Tools) -> None:
    sensor = make(tools)
    sensor.start(frozenset(sensor.kinds))
    sensor.drain()
    assert sensor.wake().due_s <= tools.clock.monotonic_s() + 60
    assert list(sensor.drain()) == []
    sensor.stop()


def test_blind_spots_are_sentences(make: Make, tools: Tools) -> None:
    for spot in make(tools).blind_spots():
        assert spot[0].isupper()
        assert spot.endswith(".")


def test_stop_releases_everything_and_may_be_repeated(make: Make, tools: Tools) -> None:
    before = open_files()
    sensor = make(tools)
    sensor.start(frozenset(sensor.kinds))
    sensor.drain()
    sensor.stop()
    sensor.stop()

    assert open_files() == before
