import os
from collections.abc import Callable

import psutil
import pytest

from agent.errors import SocketTableError
from agent.sensors.observations import ConnectionsSeen, ListenersSeen
from agent.sensors.psutil_sockets import RETRY_S, PsutilProcesses, PsutilSensor
from agent.sensors.sensor import Tools
from agent.sensors.socket_rows import TcpState
from rules.telemetry import ManualClock, Process
from tests.socket_facts import NGINX, PEER, WEB, listening, row
from tests.socket_tables import ScriptedOwners, ScriptedTables

BOTH = frozenset({"connection", "listener"})
REFUSED = SocketTableError("psutil cannot list tcp sockets: access denied")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tables() -> ScriptedTables:
    tables = ScriptedTables()
    tables.tcp_listeners = [listening(WEB, cookie=0)._replace(pid=80)]
    tables.tcp_connections = [row(WEB, PEER, pid=80)]
    return tables


@pytest.fixture
def sensor(clock: ManualClock, tables: ScriptedTables) -> PsutilSensor:
    owners = ScriptedOwners({-80: NGINX})
    return PsutilSensor(Tools(clock), tables=tables, open_owners=lambda: owners)


def test_it_is_degraded_at_best(sensor: PsutilSensor, tables: ScriptedTables) -> None:
    assert sensor.probe().state == "degraded"
    tables.error = REFUSED
    assert (sensor.probe().state, sensor.probe().reason) == ("off", str(REFUSED))


def test_polls_tell_sockets_with_the_processes_they_name(
    sensor: PsutilSensor, tables: ScriptedTables
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
    assert (connections.source, connections.owners) == ("psutil", {-80: NGINX})
    assert not connections.ends_are_told
    assert TcpState.TIME_WAIT in tables.states


def test_nothing_is_due_right_after_a_poll(sensor: PsutilSensor, clock: ManualClock) -> None:
    sensor.start(BOTH)
    sensor.drain()

    assert sensor.drain() == []
    assert sensor.wake().due_s >= clock.monotonic_s() + 1


def test_listeners_alone_need_no_connections(sensor: PsutilSensor, tables: ScriptedTables) -> None:
    sensor.start(frozenset({"listener"}))
    sensor.drain()

    assert "connections" not in tables.asked


def test_refusal_is_off_until_it_works_again(
    sensor: PsutilSensor, tables: ScriptedTables, clock: ManualClock
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


def test_processes_are_described_by_psutil() -> None:
    own = os.getpid()
    known = PsutilProcesses().update("tcp", [row(WEB, PEER, pid=own), row(WEB, PEER)])

    assert known.keys() == {-own}
    assert known[-own].pid == own
    assert known[-own].uid == os.geteuid()


def test_process_that_has_ended_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(pid: int) -> psutil.Process:
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr(psutil, "Process", gone)
    assert PsutilProcesses().update("tcp", [row(WEB, PEER, pid=80)]) == {}


def test_known_process_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def read(pid: int) -> Process:
        asked.append(pid)
        return NGINX

    monkeypatch.setattr("agent.sensors.psutil_sockets._read_process", read)
    processes = PsutilProcesses()
    update: Callable[[], object] = lambda: processes.update("tcp", [row(WEB, PEER, pid=80)])  # noqa: E731
    update()
    update()

    assert asked == [80]
