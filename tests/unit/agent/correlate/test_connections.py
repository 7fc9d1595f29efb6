from collections import Counter

import pytest

from agent.correlate import Correlator
from agent.sensors.own_connections import OwnConnections
from agent.sensors.socket_rows import TcpState
from tests.socket_facts import (
    CURL,
    NGINX,
    PEER,
    WEB,
    S,
    closed,
    columns,
    connections,
    end,
    listeners,
    listening,
    row,
)

OWNERS = {7: NGINX, 8: CURL}
HERE = ("192.0.2.1", 40_000)
THERE = ("198.51.100.7", 443)


@pytest.fixture
def correlator() -> Correlator:
    """Return a correlator that watches a host where nginx listens on every address."""
    correlator = Correlator()
    correlator.add(listeners(0, listening(("0.0.0.0", 443), cookie=1, inode=7), owners=OWNERS))  # noqa: S104
    correlator.add(connections(0))
    return correlator


def test_polled_connection_opens_with_its_process(correlator: Correlator) -> None:
    events = correlator.add(connections(1, row(HERE, THERE, cookie=5, inode=8), owners=OWNERS))

    (event,) = events
    assert (event.kind, event.ts_us, event.process) == ("connection", S, CURL)
    assert event.values == {
        "direction": "outbound",
        "protocol": "tcp",
        "local_address": "192.0.2.1",
        "local_port": 40_000,
        "remote_address": "198.51.100.7",
        "remote_port": 443,
        "state": "opened",
        "attribution": "polled",
        "source": "sock_diag",
    }


def test_closed_row_repeats_the_opened_one_with_duration_and_bytes(correlator: Correlator) -> None:
    (opened,) = correlator.add(connections(1, row(HERE, THERE, cookie=5, inode=8), owners=OWNERS))
    (event,) = correlator.add(closed(3.5, end(HERE, THERE, cookie=5, sent=10, received=20)))

    assert (event.ts_us, event.process) == (3_500_000, CURL)
    assert event.values == opened.values | {
        "state": "closed",
        "duration_us": 2_500_000,
        "bytes_sent": 10,
        "bytes_received": 20,
    }


def test_connection_is_told_once_however_often_it_is_polled(correlator: Correlator) -> None:
    poll = row(HERE, THERE, cookie=5)
    correlator.add(connections(1, poll))

    assert correlator.add(connections(2, poll)) == []


def test_inbound_is_what_came_in_by_a_listener(correlator: Correlator) -> None:
    (event,) = correlator.add(connections(1, row(WEB, PEER, cookie=5)))

    assert event.values["direction"] == "inbound"
    assert (event.values["attribution"], event.process) == ("listener", NGINX)


def test_listener_on_another_address_makes_nothing_inbound() -> None:
    correlator = Correlator()
    correlator.add(listeners(0, listening(("127.0.0.1", 443), cookie=1)))

    (event,) = correlator.add(connections(1, row(WEB, PEER, cookie=5)))

    assert event.values["direction"] == "outbound"


@pytest.mark.parametrize(
    ("listener", "local", "direction"),
    [
        ("::", "2001:db8::1", "inbound"),
        ("::", "192.0.2.1", "inbound"),  # dual-stack
        ("0.0.0.0", "2001:db8::1", "outbound"),  # noqa: S104
    ],
)
def test_wildcard_listener_takes_its_own_family(listener: str, local: str, direction: str) -> None:
    correlator = Correlator()
    correlator.add(listeners(0, listening((listener, 443), cookie=1)))

    (event,) = correlator.add(connections(1, row((local, 443), ("2001:db8::2", 9), cookie=5)))

    assert event.values["direction"] == direction


def test_holder_of_the_socket_is_better_than_the_listeners_owner(correlator: Correlator) -> None:
    worker = NGINX._replace(pid=81)
    (opened,) = correlator.add(connections(1, row(WEB, PEER, cookie=5)))
    correlator.add(connections(2, row(WEB, PEER, cookie=5, inode=9), owners={9: worker}))
    (last,) = correlator.add(closed(3, end(WEB, PEER, cookie=5)))

    assert columns([opened, last], "attribution", "pid") == [("listener", 80), ("polled", 81)]


def test_connection_of_nobody_known_is_unknown(correlator: Correlator) -> None:
    (event,) = correlator.add(connections(1, row(HERE, THERE, cookie=5, inode=99)))

    assert (event.values["attribution"], event.process) == ("unknown", None)


def test_user_alone_is_unknown_but_named(correlator: Correlator) -> None:
    owner = CURL._replace(pid=None, name=None)
    (event,) = correlator.add(
        connections(1, row(HERE, THERE, cookie=5, inode=9), owners={9: owner})
    )

    assert columns([event], "attribution", "pid", "user") == [("unknown", None, "ada")]


def test_socket_that_no_poll_saw_gives_both_rows(correlator: Correlator) -> None:
    events = correlator.add(closed(1.5, end(WEB, PEER, cookie=6, sent=1, received=2)))

    names = ("ts_us", "state", "direction", "attribution", "pid", "duration_us", "bytes_sent")
    assert columns(events, *names) == [
        (1_500_000, "opened", "inbound", "listener", 80, None, None),
        (1_500_000, "closed", "inbound", "listener", 80, None, 1),
    ]


def test_outbound_socket_that_no_poll_saw_is_unknown(correlator: Correlator) -> None:
    events = correlator.add(closed(1, end(HERE, THERE, cookie=6)))

    assert columns(events, "state", "direction", "attribution") == [
        ("opened", "outbound", "unknown"),
        ("closed", "outbound", "unknown"),
    ]


def test_both_ends_on_this_host_are_two_sides(correlator: Correlator) -> None:
    events = correlator.add(closed(1, end(HERE, WEB, cookie=6), end(WEB, HERE, cookie=7)))

    assert columns(events, "direction", "local_port", "remote_port") == [
        ("outbound", 40_000, 443),
        ("outbound", 40_000, 443),
        ("inbound", 443, 40_000),
        ("inbound", 443, 40_000),
    ]


def test_failed_attempt_is_no_connection(correlator: Correlator) -> None:
    trying = row(HERE, THERE, cookie=5, state=TcpState.SYN_SENT)

    assert correlator.add(connections(1, trying)) == []
    assert correlator.add(closed(2, end(HERE, THERE, cookie=5, established=False))) == []


def test_aborted_connection_keeps_what_polls_knew(correlator: Correlator) -> None:
    correlator.add(connections(1, row(HERE, THERE, cookie=5)))
    (event,) = correlator.add(closed(2, end(HERE, cookie=5)))

    assert columns([event], "state", "remote_address", "remote_port") == [
        ("closed", "198.51.100.7", 443)
    ]


def test_aborted_connection_that_no_poll_saw_has_no_peer(correlator: Correlator) -> None:
    events = correlator.add(closed(2, end(WEB, cookie=5)))

    assert columns(events, "state", "direction", "remote_address", "remote_port") == [
        ("opened", "inbound", None, None),
        ("closed", "inbound", None, None),
    ]


def test_tuple_that_is_used_again_is_another_connection(correlator: Correlator) -> None:
    first, second = row(HERE, THERE, cookie=5), row(HERE, THERE, cookie=6)
    states = [
        *correlator.add(connections(1, first)),
        *correlator.add(closed(2, end(HERE, THERE, cookie=5))),
        *correlator.add(connections(3, second)),
        *correlator.add(closed(4, end(HERE, THERE, cookie=6))),
    ]

    assert columns(states, "state", "duration_us") == [
        ("opened", None),
        ("closed", S),
        ("opened", None),
        ("closed", S),
    ]


def test_connection_from_before_the_start_has_no_duration() -> None:
    correlator = Correlator()
    (opened,) = correlator.add(connections(1, row(HERE, THERE, cookie=5)))
    (last,) = correlator.add(closed(2, end(HERE, THERE, cookie=5)))

    assert columns([opened, last], "state", "duration_us") == [("opened", None), ("closed", None)]


def test_lost_end_is_concluded_from_two_polls(correlator: Correlator) -> None:
    correlator.add(connections(1, row(HERE, THERE, cookie=5)))

    assert correlator.add(connections(2)) == []
    assert columns(correlator.add(connections(3)), "state") == [("closed",)]


def test_end_that_comes_late_is_told_once(correlator: Correlator) -> None:
    correlator.add(connections(1, row(HERE, THERE, cookie=5)))
    correlator.add(connections(2))

    assert len(correlator.add(closed(2.1, end(HERE, THERE, cookie=5)))) == 1
    assert correlator.add(connections(3)) == []


def test_without_told_ends_the_next_poll_closes(correlator: Correlator) -> None:
    correlator.add(connections(1, row(HERE, THERE, cookie=5), ends_are_told=False))

    events = correlator.add(connections(2, ends_are_told=False))

    assert columns(events, "state", "duration_us") == [("closed", S)]


def test_without_told_ends_time_wait_shows_what_was_missed(correlator: Correlator) -> None:
    lingering = row(HERE, THERE, cookie=50, state=TcpState.TIME_WAIT)
    correlator.add(connections(0.5, ends_are_told=False))

    events = correlator.add(connections(1, lingering, ends_are_told=False))

    assert columns(events, "state", "direction", "attribution") == [
        ("opened", "outbound", "unknown"),
        ("closed", "outbound", "unknown"),
    ]
    assert correlator.add(connections(2, lingering, ends_are_told=False)) == []


def test_time_wait_of_a_known_connection_only_closes_it(correlator: Correlator) -> None:
    correlator.add(connections(1, row(HERE, THERE, cookie=5), ends_are_told=False))
    lingering = row(HERE, THERE, cookie=50, state=TcpState.TIME_WAIT)

    events = correlator.add(connections(2, lingering, ends_are_told=False))

    assert columns(events, "state") == [("closed",)]


def test_time_wait_of_ends_that_were_told_is_not_told_again(correlator: Correlator) -> None:
    correlator.add(closed(1, end(HERE, THERE, cookie=5)))
    lingering = row(HERE, THERE, cookie=50, state=TcpState.TIME_WAIT)

    assert correlator.add(connections(2, lingering, ends_are_told=False)) == []
    assert correlator.add(connections(3, lingering, ends_are_told=False)) == []


def test_time_wait_from_before_the_start_is_nothing() -> None:
    lingering = row(HERE, THERE, state=TcpState.TIME_WAIT)

    assert Correlator().add(connections(1, lingering, ends_are_told=False)) == []


def test_sockets_without_cookie_are_told_apart_by_their_ends(correlator: Correlator) -> None:
    two = [row(HERE, (THERE[0], port), pid=90) for port in (1, 2)]

    events = correlator.add(connections(1, *two, owners={-90: CURL}, ends_are_told=False))

    assert columns(events, "remote_port", "pid") == [(1, 90), (2, 90)]
    assert correlator.add(connections(2, *two, ends_are_told=False)) == []


def test_connected_udp_socket_is_a_flow(correlator: Correlator) -> None:
    flow = row(HERE, THERE, cookie=5, inode=8, protocol="udp")
    correlator.add(connections(0, protocol="udp", ends_are_told=False))
    opened = correlator.add(
        connections(1, flow, owners=OWNERS, protocol="udp", ends_are_told=False)
    )
    last = correlator.add(connections(2, protocol="udp", ends_are_told=False))

    assert columns([*opened, *last], "state", "protocol", "pid", "duration_us") == [
        ("opened", "udp", 90, None),
        ("closed", "udp", 90, S),
    ]


def test_listener_that_lived_between_polls_makes_its_connections_inbound() -> None:
    correlator = Correlator()
    gone = ("127.0.0.1", 9_000)
    events = correlator.add(
        closed(
            1,
            end(gone, PEER, cookie=6),
            end(gone, cookie=7, established=False),
        )
    )

    assert columns(events, "direction", "attribution") == [("inbound", "unknown")] * 2


def test_listener_that_is_gone_still_gives_the_direction(correlator: Correlator) -> None:
    correlator.add(listeners(1))

    events = correlator.add(closed(2, end(WEB, PEER, cookie=6)))
    assert columns(events, "direction", "pid") == [("inbound", 80)] * 2

    correlator.add(listeners(100, listening(("127.0.0.1", 1), cookie=2)))
    correlator.add(listeners(101))
    events = correlator.add(closed(102, end(WEB, PEER, cookie=6)))
    assert columns(events, "direction") == [("outbound",)] * 2


def test_connections_without_room_are_counted_once_and_told_at_their_end() -> None:
    correlator = Correlator(max_connections=1)
    three = [row(HERE, (THERE[0], port), cookie=port) for port in (1, 2, 3)]

    assert len(correlator.add(connections(1, *three))) == 1
    correlator.add(connections(2, *three))
    assert correlator.lost == Counter({("connection", "table_full"): 2})

    events = correlator.add(closed(3, end(HERE, (THERE[0], 3), cookie=3)))
    assert columns(events, "state") == [("opened",), ("closed",)]


def test_announcement_repeats_open_connections(correlator: Correlator) -> None:
    correlator.add(connections(1, row(HERE, THERE, cookie=5)))

    events = [event for event in correlator.announce(9 * S) if event.kind == "connection"]

    assert columns(events, "ts_us", "state", "remote_port") == [(9 * S, "opened", 443)]


def test_own_connections_are_no_telemetry_on_either_side() -> None:
    own = OwnConnections()
    correlator = Correlator(own)
    correlator.add(listeners(0, listening(WEB, cookie=1, inode=7), owners=OWNERS))
    own.add(HERE, WEB, cookie=5, now_us=S)
    asking, answering = row(HERE, WEB, cookie=5, inode=8), row(WEB, HERE, cookie=6)

    assert correlator.add(connections(1, asking, answering, owners=OWNERS)) == []
    ends = (end(HERE, WEB, cookie=5), end(WEB, HERE, cookie=6))
    assert correlator.add(closed(2, *ends)) == []
    assert len(own) == 0
    # The same ends once more belong to somebody else.
    assert len(correlator.add(closed(3, end(WEB, HERE, cookie=8)))) == 2


def test_own_connection_in_time_wait_is_no_telemetry() -> None:
    own = OwnConnections()
    correlator = Correlator(own)
    correlator.add(connections(0, ends_are_told=False))
    own.add(HERE, WEB, cookie=5, now_us=S)
    lingering = row(WEB, HERE, state=TcpState.TIME_WAIT)

    assert correlator.add(connections(1, lingering, ends_are_told=False)) == []
