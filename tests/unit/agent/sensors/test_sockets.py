import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import NetlinkError
from agent.sensors import sockets
from agent.sensors.activity import TcpActivity
from agent.sensors.netlink import REMEDY_NETLINK
from agent.sensors.observations import ConnectionsSeen, ListenersSeen, SocketsClosed
from agent.sensors.sensor import Tools
from agent.sensors.sockets import (
    DUMPS,
    DUMPS_AND_EVENTS,
    PULSE_S,
    REMEDY_EVENTS,
    REMEDY_OWNERS,
    RETRY_S,
    SockDiagSensor,
)
from rules.telemetry import ManualClock
from tests.socket_facts import NGINX, PEER, WEB, end, listening, row
from tests.socket_tables import ScriptedOwners, ScriptedSubscription, ScriptedTables

BOTH = frozenset({"connection", "listener"})
SNMP = "Tcp: ActiveOpens PassiveOpens CurrEstab\nTcp: {0} 0 0\n"


class Host:
    """A host that a test moves."""

    def __init__(self, snmp: Path) -> None:
        self.clock = ManualClock()
        self.tables = ScriptedTables()
        self.subscription = ScriptedSubscription()
        self.refusal: NetlinkError | None = None
        self.tools = Tools(self.clock)
        self._snmp = snmp
        self.open_connections(0)

    def subscribe(self) -> ScriptedSubscription:
        if self.refusal is not None:
            raise self.refusal
        return self.subscription

    def open_connections(self, count: int) -> None:
        self._snmp.write_text(SNMP.format(count))

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def sensor(self) -> SockDiagSensor:
        owners = ScriptedOwners({7: NGINX})
        return SockDiagSensor(
            self.tools,
            table=self.tables,
            subscribe=self.subscribe,
            open_owners=lambda: owners,
        )


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    path = tmp_path / "snmp"
    monkeypatch.setattr(sockets, "TcpActivity", lambda: TcpActivity(path))
    monkeypatch.setattr(sockets, "count_unreadable", lambda: 0)
    host = Host(path)
    yield host
    host.subscription.close()


@pytest.fixture
def started(host: Host) -> Iterator[SockDiagSensor]:
    sensor = host.sensor()
    sensor.start(BOTH)
    yield sensor
    sensor.stop()


def types(observations: list[object]) -> list[type]:
    return [type(each) for each in observations]


def test_probe_with_dumps_and_events_is_on(host: Host) -> None:
    capability = host.sensor().probe()

    assert (capability.state, capability.method) == ("on", DUMPS_AND_EVENTS)
    assert (capability.reason, capability.remedy) == ("", "")
    assert host.subscription.is_closed


def test_probe_without_events_is_degraded(host: Host) -> None:
    host.refusal = NetlinkError("subscribe", errno.EPERM)

    capability = host.sensor().probe()

    assert (capability.state, capability.method) == ("degraded", DUMPS)
    assert "Operation not permitted" in capability.reason
    assert capability.remedy == REMEDY_EVENTS


def test_probe_without_netlink_is_off(host: Host) -> None:
    host.tables.error = NetlinkError("open a socket", errno.EAFNOSUPPORT)

    capability = host.sensor().probe()

    assert (capability.state, capability.remedy) == ("off", REMEDY_NETLINK)


def test_probe_says_whose_sockets_stay_without_process(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "count_unreadable", lambda: 40)

    capability = host.sensor().probe()

    assert (capability.state, capability.remedy) == ("on", REMEDY_OWNERS)
    assert capability.reason == "40 processes of other users hide which sockets they hold"


def test_first_drain_tells_what_is_there(host: Host, started: SockDiagSensor) -> None:
    host.tables.tcp_listeners = [listening(WEB, cookie=1, inode=7)]
    host.tables.tcp_connections = [row(WEB, PEER, cookie=2, inode=7)]

    seen = started.drain()

    assert types([*seen]) == [ListenersSeen, ListenersSeen, ConnectionsSeen, ConnectionsSeen]
    connections = seen[-1]
    assert isinstance(connections, ConnectionsSeen)
    assert (connections.owners, connections.ends_are_told) == ({7: NGINX}, True)


def test_quiet_host_is_not_dumped_again(host: Host, started: SockDiagSensor) -> None:
    started.drain()
    host.tables.asked.clear()
    for _ in range(4):
        host.advance(PULSE_S)
        assert started.drain() == []

    assert host.tables.asked == ["listeners", "udp"] * 2


def test_where_the_kernel_tells_connections_polls_only_check(
    host: Host, started: SockDiagSensor
) -> None:
    host.tools.kernel_tells = True
    started.drain()
    host.tables.asked.clear()
    host.open_connections(1)
    for _ in range(4):
        host.advance(PULSE_S)
        host.subscription.waiting = [end(WEB, PEER, cookie=9)]
        assert types([*started.drain()]) == [SocketsClosed]
    assert host.tables.asked == ["listeners", "udp"] * 2

    host.advance(30)
    started.drain()
    assert "connections" in host.tables.asked


def test_opened_connection_is_dumped_for_at_the_next_pulse(
    host: Host, started: SockDiagSensor
) -> None:
    started.drain()
    host.advance(10)
    started.drain()
    host.open_connections(1)
    host.advance(PULSE_S)

    assert types([*started.drain()]) == [ConnectionsSeen]


def test_without_counters_the_table_is_dumped_each_second(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> TcpActivity:
        raise FileNotFoundError

    monkeypatch.setattr(sockets, "TcpActivity", refuse)
    sensor = host.sensor()
    sensor.start(BOTH)
    sensor.drain()
    host.advance(1.1)

    assert types([*sensor.drain()]) == [ConnectionsSeen]


def test_ends_are_told_behind_the_listeners_of_the_same_moment(
    host: Host, started: SockDiagSensor
) -> None:
    started.drain()
    host.tables.tcp_listeners = [listening(WEB, cookie=1)]
    host.subscription.waiting = [end(WEB, PEER, cookie=2)]

    seen = started.drain()

    assert types([*seen]) == [ListenersSeen, SocketsClosed]


def test_listeners_alone_need_no_table_and_no_events(host: Host) -> None:
    sensor = host.sensor()
    sensor.start(frozenset({"listener"}))
    host.subscription.waiting = [end(WEB, PEER, cookie=2)]

    assert types([*sensor.drain()]) == [ListenersSeen, ListenersSeen, ConnectionsSeen]
    assert "connections" not in host.tables.asked
    assert sensor.wake().fileno is None


def test_wake_waits_for_events_and_the_next_pulse(host: Host, started: SockDiagSensor) -> None:
    started.drain()

    assert started.wake().due_s == PULSE_S
    assert started.wake().fileno == host.subscription.fileno()


def test_stats_tell_what_is_watched_and_lost(host: Host, started: SockDiagSensor) -> None:
    host.subscription.lost = 3
    host.tables.tcp_listeners = [listening(WEB, cookie=1)]
    started.drain()

    stats = started.stats()

    assert [(watch.kinds, watch.state) for watch in stats.watching] == [
        (("connection", "listener"), "on")
    ]
    assert stats.lost == {("connection", "enobufs"): 3}
    assert stats.seen == 1


def test_without_events_connections_alone_are_degraded(host: Host) -> None:
    host.refusal = NetlinkError("subscribe", errno.EPERM)
    sensor = host.sensor()
    assert sensor.stats().watching == ()
    sensor.start(BOTH)

    assert [(watch.kinds, watch.state) for watch in sensor.stats().watching] == [
        (("listener",), "on"),
        (("connection",), "degraded"),
    ]
    assert any("mostly missed" in spot for spot in sensor.blind_spots())


def test_refused_dump_is_off_until_it_works_again(host: Host, started: SockDiagSensor) -> None:
    host.tables.error = NetlinkError("dump", errno.EPERM)
    host.subscription.waiting = [end(WEB, PEER, cookie=2)]
    started.drain()
    assert [watch.state for watch in started.stats().watching] == ["off"]
    assert started.wake().due_s == RETRY_S

    host.tables.error = None
    assert started.drain() == []
    host.advance(RETRY_S)
    assert SocketsClosed in types([*started.drain()])
    assert [watch.state for watch in started.stats().watching] == ["on"]


def test_ends_are_kept_when_the_listeners_are_refused(
    host: Host, started: SockDiagSensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    started.drain()

    def refuse() -> list[object]:
        raise NetlinkError("dump", errno.EPERM)

    monkeypatch.setattr(host.tables, "listeners", refuse)
    host.subscription.waiting = [end(WEB, PEER, cookie=2)]

    assert types([*started.drain()]) == [SocketsClosed]


def test_blind_spots_name_hidden_processes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = host.sensor()
    spots = sensor.blind_spots()
    monkeypatch.setattr(sockets, "count_unreadable", lambda: 1)

    assert set(sensor.blind_spots()) - set(spots) == {
        "Sockets of other users' processes are seen without their process."
    }
