import pytest

from agent.errors import SocketTableError
from agent.sensors import ProcSensor, PsutilSensor
from agent.sensors.observations import ConnectionsSeen, ListenersSeen
from agent.sensors.polled_tables import RETRY_S, PolledTables
from agent.sensors.sensor import Tools
from agent.sensors.socket_rows import TcpState
from rules.telemetry import ManualClock
from tests.socket_facts import NGINX, PEER, WEB, listening, row
from tests.socket_tables import ScriptedOwners, ScriptedTables

BOTH = frozenset({"connection", "listener"})
REFUSED = SocketTableError("cannot list tcp sockets: access denied")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tables() -> ScriptedTables:
    tables = ScriptedTables()
    tables.tcp_listeners = [listening(WEB, cookie=0)._replace(pid=80)]
    tables.tcp_connections = [row(WEB, PEER, pid=80)]
    return tables


@pytest.fixture(params=[ProcSensor, PsutilSensor])
def sensor(
    request: pytest.FixtureRequest, clock: ManualClock, tables: ScriptedTables
) -> PolledTables:
    owners = ScriptedOwners({-80: NGINX})
    kind: type[ProcSensor | PsutilSensor] = request.param
    return kind(Tools(clock), tables=tables, open_owners=lambda: owners)


def test_it_is_degraded_at_best(sensor: PolledTables, tables: ScriptedTables) -> None:
    assert sensor.probe().state == "degraded"
    tables.error = REFUSED
    assert (sensor.probe().state, sensor.probe().reason) == ("off", str(REFUSED))


def test_polls_tell_sockets_with_the_processes_they_name(
    sensor: PolledTables, tables: ScriptedTables
) -> None:
    sensor.start(BOTH)
    seen = sensor.drain()

    assert [type(each) for each in seen] == [
        ListenersSeen,
        ListenersSeen,
        ConnectionsSeen,
        ConnectionsSeen,
    ]
    connections = seen[-1]
    assert isinstance(connections, ConnectionsSeen)
    assert (connections.source, connections.owners) == (sensor.name, {-80: NGINX})
    assert not connections.ends_are_told
    assert TcpState.TIME_WAIT in tables.states


def test_nothing_is_due_right_after_a_poll(sensor: PolledTables, clock: ManualClock) -> None:
    sensor.start(BOTH)
    sensor.drain()

    assert sensor.drain() == []
    assert sensor.wake().due_s >= clock.monotonic_s() + 1


def test_listeners_alone_need_no_connections(sensor: PolledTables, tables: ScriptedTables) -> None:
    sensor.start(frozenset({"listener"}))
    sensor.drain()

    assert "connections" not in tables.asked


def test_refusal_is_off_until_it_works_again(
    sensor: PolledTables, tables: ScriptedTables, clock: ManualClock
) -> None:
    assert sensor.stats().watching == ()
    sensor.start(BOTH)
    tables.error = REFUSED
    assert sensor.drain() == []
    assert [watch.state for watch in sensor.stats().watching] == ["off"]
    assert sensor.wake().due_s == RETRY_S

    tables.error = None
    clock.advance(RETRY_S)
    assert sensor.drain()
    assert [watch.state for watch in sensor.stats().watching] == ["degraded"]
    sensor.stop()
