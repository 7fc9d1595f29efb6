from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from agent.correlate import traffic
from agent.correlate.traffic import HOLD_US, WAIT_US, TrafficJoin
from agent.decode.facts import ConnectionSeen, ContentSeen, Fact, HostCalled, Parties, ProtocolSeen
from agent.sensors.observations import TrafficSeen
from agent.sensors.own_connections import OwnConnections
from rules.telemetry.event import Event, Process
from tests.socket_facts import end

PARTIES = Parties("tcp", "10.0.0.1", 40_000, "192.0.2.7", 443)
SESSION = ContentSeen("tls_session", 150, PARTIES, {"handshake": "answered"})
LOCAL = (ip_network("127.0.0.0/8"), ip_network("10.0.0.1/32"))
CURL = Process(pid=7, name="curl")


def seen(ts_us: int, *facts: Fact) -> TrafficSeen:
    return TrafficSeen(ts_us, "packets", facts, LOCAL)


def connection(
    ts_us: int,
    state: str,
    process: Process | None = CURL,
    *,
    parties: Parties = PARTIES,
    inbound: bool = False,
) -> Event:
    client, server = parties[1:3], parties[3:]
    local, remote = (server, client) if inbound else (client, server)
    values = {
        "protocol": parties.protocol,
        "local_address": local[0],
        "local_port": local[1],
        "remote_address": remote[0],
        "remote_port": remote[1],
        "state": state,
        "attribution": "exact" if process is not None and process.pid else "unknown",
    }
    return Event("connection", ts_us, process, values)


def make_join(own: OwnConnections | None = None) -> TrafficJoin:
    join = TrafficJoin(OwnConnections() if own is None else own)
    assert join.add(seen(0)) == []
    return join


def owners(events: Sequence[Event]) -> list[tuple[str, int | None, object]]:
    return [
        (event.kind, event.process.pid if event.process else None, event.values["attribution"])
        for event in events
    ]


def test_without_packets_nothing_is_held() -> None:
    ended = connection(200, "closed")

    assert TrafficJoin(OwnConnections()).follow([ended], 200) == [ended]


def test_fact_gets_the_process_of_its_connection() -> None:
    join = make_join()
    join.follow([connection(100, "opened")], 100)

    assert owners(join.add(seen(160, SESSION))) == [("tls_session", 7, "exact")]


def test_fact_waits_for_its_connection() -> None:
    join = make_join()
    assert join.add(seen(160, SESSION)) == []

    events = join.follow([connection(100, "opened"), Event("listener", 1, None, {})], 170)
    assert [event.kind for event in events] == ["connection", "tls_session", "listener"]


def test_fact_whose_connection_never_comes_is_told_without_a_process() -> None:
    join = make_join()
    join.add(seen(160, SESSION))
    assert join.add(seen(149 + WAIT_US)) == []

    assert owners(join.add(seen(150 + WAIT_US))) == [("tls_session", None, "unknown")]


def test_user_of_a_connection_is_told_where_no_more_is_known() -> None:
    join = make_join()
    join.follow([connection(100, "opened", Process(uid=33))], 100)
    join.add(seen(160, SESSION))

    (event,) = join.add(seen(150 + WAIT_US))
    assert event.process == Process(uid=33)


def test_both_ends_on_this_host_are_two_rows_with_two_processes() -> None:
    parties = Parties("tcp", "127.0.0.1", 40_000, "127.0.0.1", 443)
    join = make_join()
    server = Process(pid=9, name="nginx")
    join.follow(
        [
            connection(100, "opened", parties=parties),
            connection(100, "opened", server, parties=parties, inbound=True),
        ],
        100,
    )
    events = join.add(seen(160, SESSION._replace(parties=parties)))

    assert [(event.values["direction"], *owners([event])[0][1:]) for event in events] == [
        ("outbound", 7, "exact"),
        ("inbound", 9, "exact"),
    ]


def test_traffic_of_others_and_other_calls_make_no_row() -> None:
    join = make_join()
    foreign = PARTIES._replace(client_address="203.0.113.5")
    call = HostCalled(150, PARTIES, "www.example.test", encrypted=True)
    ended = ConnectionSeen(
        PARTIES, 1, 2, has_start=True, client_bytes=0, server_bytes=0, app_protocol=None
    )

    assert join.add(seen(9_000_000, SESSION._replace(parties=foreign), call, ended)) == []


def test_own_connections_are_left_out() -> None:
    own = OwnConnections()
    own.add(PARTIES[1:3], PARTIES[3:], cookie=0, now_us=100)
    join = make_join(own)
    assert join.add(seen(9_000_000, SESSION)) == []
    for number in range(2):
        own.settle(end(PARTIES[1:3], PARTIES[3:], cookie=number))
        own.settle(end(PARTIES[3:], PARTIES[1:3], cookie=number))

    assert join.add(seen(9_000_000, SESSION)) == []


def test_end_waits_for_the_packets_before_it_and_gets_the_protocol() -> None:
    join = make_join()
    opened, closed = connection(100, "opened"), connection(200, "closed")
    assert join.follow([opened, closed], 210) == [opened]
    assert join.add(seen(199, ProtocolSeen(150, PARTIES, "smtp"))) == []

    (event,) = join.add(seen(201, ProtocolSeen(180, PARTIES, "tls")))
    assert event.values["app_protocol"] == "tls"


def test_inbound_end_gets_the_protocol_too() -> None:
    join = make_join()
    join.follow([connection(200, "closed", inbound=True)], 210)

    (event,) = join.add(seen(201, ProtocolSeen(150, PARTIES, "tls")))
    assert event.values["app_protocol"] == "tls"


def test_end_does_not_wait_for_a_sensor_that_fell_silent() -> None:
    join = make_join()
    join.follow([connection(200, "closed")], 210)

    (event,) = join.follow([], 200 + HOLD_US)
    assert "app_protocol" not in event.values


def test_end_without_a_peer_has_no_protocol() -> None:
    join = make_join()
    ended = connection(200, "closed")
    del ended.values["remote_address"]
    join.follow([ended], 210)

    assert join.add(seen(201, ProtocolSeen(150, PARTIES, "tls"))) == [ended]


def test_everything_that_waits_is_told_at_the_end() -> None:
    join = make_join()
    join.follow([connection(200, "closed", None)], 210)
    join.add(seen(160, SESSION))

    assert [event.kind for event in join.flush()] == ["connection", "tls_session"]
    assert join.flush() == []


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MAX_WAITING", 3)
    monkeypatch.setattr(traffic, "MAX_HELD", 3)
    join = make_join()
    facts = [SESSION._replace(ts_us=number) for number in range(traffic.MAX_WAITING + 1)]
    (oldest,) = join.add(seen(160, *facts))
    ends = [connection(200 + number, "closed", None) for number in range(traffic.MAX_HELD + 1)]
    (first,) = join.follow(ends, 210)

    assert (oldest.ts_us, first.ts_us) == (0, 200)


def test_protocols_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MAX_PROTOCOLS", 3)
    join = make_join()
    facts = [
        ProtocolSeen(1, PARTIES._replace(client_port=port), "tls")
        for port in range(traffic.MAX_PROTOCOLS + 1)
    ]
    join.follow([connection(2, "closed", parties=PARTIES._replace(client_port=0))], 2)

    (event,) = join.add(seen(3, *facts))
    assert "app_protocol" not in event.values
