from collections.abc import Callable

import pytest

from agent.correlate import Correlator, kernel_connections, kernel_listeners
from agent.sensors.observations import Observation, ProcessChange
from agent.sensors.own_connections import OwnConnections
from agent.sensors.socket_rows import TcpState
from rules.telemetry import Event
from tests.socket_facts import (
    CURL,
    NGINX,
    NONE,
    PEER,
    WEB,
    S,
    Told,
    closed,
    columns,
    connections,
    end,
    listeners,
    listening,
    row,
    told,
)

Play = Callable[..., list[Event]]
CLIENT = ("192.0.2.1", 40_000)
REMOTE = ("203.0.113.9", 443)
NAMES = ("state", "direction", "attribution", "pid", "source")


class Host:
    """A correlator that the kernel has told of already, and to which polls have shown nothing."""

    def __init__(self, *, own: OwnConnections | None = None, limit: int = 100) -> None:
        self.correlator = Correlator(own, max_connections=limit)
        self.correlator.add(told(1, is_first=True))
        self.correlator.add(listeners(1, listening(WEB, cookie=1, inode=7), owners={7: NGINX}))
        self.correlator.add(connections(1))

    def hear(self, *observations: Observation) -> list[Event]:
        return [event for each in observations for event in self.correlator.add(each)]


@pytest.fixture
def host() -> Host:
    return Host()


def outbound(**changes: object) -> Told:
    return Told(CLIENT, REMOTE, process=CURL, **changes)  # type: ignore[arg-type]


def inbound(**changes: object) -> Told:
    return Told(WEB, PEER, process=NGINX, **changes)  # type: ignore[arg-type]


def test_outbound_connection_is_its_openers(host: Host) -> None:
    side = outbound()
    events = host.hear(
        told(2, side.connect(1.5), side.connected(1.6)),
        told(3, side.shut(2.5), side.gone(2.6)),
        closed(3, end(CLIENT, REMOTE, cookie=5, sent=10, received=20)),
    )

    assert columns(events, *NAMES) == [
        ("opened", "outbound", "exact", 90, "perf"),
        ("closed", "outbound", "exact", 90, "perf"),
    ]
    assert [event.ts_us for event in events] == [1_600_000, 2_600_000]
    assert columns(events[1:], "duration_us", "bytes_sent", "bytes_received") == [
        (1_000_000, 10, 20)
    ]
    opened, last = events
    assert opened.values.items() - {("state", "opened")} <= last.values.items()


def test_inbound_connection_is_its_listeners_until_somebody_closes_it(host: Host) -> None:
    side = inbound()
    side.process = CURL  # a worker of another name
    events = host.hear(
        told(2, side.accepted(1.5)),
        told(3, side.shut(2.5), side.gone(2.6)),
        closed(3, end(WEB, PEER, cookie=5)),
    )

    assert columns(events, *NAMES) == [
        ("opened", "inbound", "listener", 80, "perf"),
        ("closed", "inbound", "exact", 90, "perf"),
    ]


def test_inbound_connection_that_the_peer_broke_off_is_its_listeners(host: Host) -> None:
    side = inbound()
    events = host.hear(
        told(2, side.accepted(1.5), side.step(1.6, TcpState.ESTABLISHED, TcpState.CLOSE)),
        closed(3, end(WEB, PEER, cookie=5)),
    )

    assert columns(events, "state", "attribution") == [
        ("opened", "listener"),
        ("closed", "listener"),
    ]


def test_both_sides_of_a_loopback_connection_are_told(host: Host) -> None:
    client = Told(CLIENT, WEB, socket=1, process=CURL)
    server = Told(WEB, CLIENT, socket=2, process=NGINX)
    events = host.hear(
        told(
            2,
            client.connect(1.1),
            client.connected(1.2),
            server.accepted(1.3),
            client.shut(1.4),
            server.step(1.5, TcpState.CLOSE_WAIT, TcpState.LAST_ACK, by_holder=True),
            client.gone(1.6),
            server.gone(1.7),
        ),
        closed(2, end(CLIENT, WEB, cookie=5), end(WEB, CLIENT, cookie=6)),
    )

    assert columns(events, "state", "direction", "attribution", "pid") == [
        ("opened", "outbound", "exact", 90),
        ("opened", "inbound", "listener", 80),
        ("closed", "outbound", "exact", 90),
        ("closed", "inbound", "exact", 80),
    ]


def test_attempt_that_failed_is_no_connection(host: Host) -> None:
    side = outbound()
    events = host.hear(
        told(2, side.connect(1.5), side.step(1.6, TcpState.SYN_SENT, TcpState.CLOSE)),
        closed(2, end(CLIENT, REMOTE, cookie=5, established=False)),
    )

    assert events == []


def test_simultaneous_open_is_outbound(host: Host) -> None:
    side = outbound()
    (event,) = host.hear(told(2, side.connect(1.5), side.accepted(1.6)))

    assert columns([event], *NAMES) == [("opened", "outbound", "exact", 90, "perf")]


def test_attempt_that_is_told_late_names_the_process(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connected(1.6)), told(2.1, side.connect(1.5)))
    (event,) = host.hear(told(3, side.gone(2.5)), closed(3, end(CLIENT, REMOTE, cookie=5)))

    assert columns([event], "state", "attribution", "pid") == [("closed", "exact", 90)]


def test_end_without_a_notice_is_told_after_a_while(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)), told(3, side.gone(2.5)))

    assert host.hear(told(2.9)) == []
    (event,) = host.hear(told(3.3))
    assert columns([event], "ts_us", "state", "bytes_sent") == [(2_500_000, "closed", None)]
    assert host.hear(closed(9, end(CLIENT, REMOTE, cookie=5))) == []  # held until then


@pytest.mark.parametrize("begins", ["connect", "shut"])
def test_end_in_another_namespace_is_told_at_once(host: Host, begins: str) -> None:
    side = outbound()
    step = getattr(side, begins)(1.5)._replace(is_elsewhere=True)
    changes = [step, side.connected(1.6)] if begins == "connect" else [side.connected(1.4), step]
    events = host.hear(told(2, *changes, side.gone(1.9)))

    assert columns(events, "state", "attribution") == [
        ("opened", "exact" if begins == "connect" else "unknown"),
        ("closed", "exact"),
    ]
    assert host.hear(closed(2, end(CLIENT, REMOTE, cookie=5))) == []  # it was here after all


def test_end_that_waits_is_told_when_collection_ends(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6), side.gone(1.9)))

    assert columns(host.correlator.flush(), "ts_us", "state") == [(1_900_000, "closed")]
    assert host.correlator.flush() == []


def test_while_notices_pile_up_ends_wait_longer(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)), told(3, side.gone(2.5)))
    host.hear(closed(3)._replace(is_all=False))

    assert host.hear(told(7)) == []
    assert columns(host.hear(told(7.6)), "state") == [("closed",)]


def test_without_notices_ends_are_told_at_once(host: Host) -> None:
    side = outbound()
    host.hear(connections(1, ends_are_told=False))
    events = host.hear(told(2, side.connect(1.5), side.connected(1.6), side.gone(1.7)))

    assert columns(events, "state") == [("opened",), ("closed",)]


def test_notice_of_a_lost_end_ends_the_older_of_two_between_the_same_ends(host: Host) -> None:
    first, second = outbound(socket=1), outbound(socket=2)
    events = host.hear(
        told(2, first.connect(1.1), first.connected(1.2), second.connect(1.3)),
        told(2, second.connected(1.4)),
        closed(2.5, end(CLIENT, REMOTE, cookie=5, sent=1)),
        told(3, second.gone(2.6)),
        closed(3, end(CLIENT, REMOTE, cookie=6, sent=2)),
    )

    assert columns(events, "ts_us", "state", "bytes_sent") == [
        (1_200_000, "opened", None),
        (1_400_000, "opened", None),
        (2_500_000, "closed", 1),
        (2_600_000, "closed", 2),
    ]


def test_older_of_two_between_the_same_ends_may_end_last(host: Host) -> None:
    sides = [outbound(socket=number) for number in (1, 2, 3)]
    host.hear(told(2, *(side.connected(1.5) for side in sides)))
    host.hear(told(3, sides[1].gone(2.1), sides[2].gone(2.2)))
    (last,) = host.correlator.announce(3 * S)[1:]
    host.hear(told(3.1, sides[0].gone(3)))

    assert last.values["state"] == "opened"
    assert host.correlator.announce(4 * S)[1:] == []


def test_notice_of_a_connection_that_polls_told_ends_no_other(host: Host) -> None:
    side = outbound()
    events = host.hear(
        connections(2, row(CLIENT, REMOTE, cookie=5)),
        told(3, side.connect(2.1), side.connected(2.2)),
        closed(3, end(CLIENT, REMOTE, cookie=5)),
        told(4, side.gone(3.5)),
        closed(4, end(CLIENT, REMOTE, cookie=6)),
    )

    assert columns(events, "state", "source") == [
        ("opened", "sock_diag"),
        ("opened", "perf"),
        ("closed", "sock_diag"),
        ("closed", "perf"),
    ]


def test_same_ends_in_two_namespaces_are_two_connections(host: Host) -> None:
    first, second = outbound(socket=1), outbound(socket=2)
    events = host.hear(
        told(2, first.connect(1.5), first.connected(1.6), second.connect(1.7)),
        told(2, second.connected(1.8), first.gone(1.9), second.gone(1.9)),
        closed(2, end(CLIENT, REMOTE, cookie=5, sent=1)),
        told(3),
    )

    assert columns(events, "state", "bytes_sent") == [
        ("opened", None),
        ("opened", None),
        ("closed", 1),
        ("closed", None),
    ]


def test_poll_that_shows_what_was_told_is_no_news(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)))

    assert host.hear(connections(2, row(CLIENT, REMOTE, cookie=5))) == []


def test_poll_that_shows_what_has_just_ended_is_no_news(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6), side.gone(1.9)))

    assert host.hear(connections(1.95, row(CLIENT, REMOTE, cookie=5))) == []
    assert len(host.hear(closed(2, end(CLIENT, REMOTE, cookie=5)))) == 1


def test_poll_that_shows_what_ended_in_an_earlier_part_is_no_news(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)))
    host.hear(told(3, side.gone(2.5)), told(3.1)._replace(goes_on=True))

    assert host.hear(connections(3.1, row(CLIENT, REMOTE, cookie=5))) == []


def test_end_in_an_earlier_part_waits_for_the_notice_behind_the_last(host: Host) -> None:
    side = outbound()
    host.hear(connections(1), told(2, side.connect(1.5), side.connected(1.6)))
    host.hear(told(3, side.gone(2.5)), told(5)._replace(goes_on=True))
    (event,) = host.hear(closed(5, end(CLIENT, REMOTE, cookie=5, sent=10, received=20)))

    assert columns([event], "bytes_sent", "bytes_received") == [(10, 20)]


def test_remains_of_connections_are_no_news(host: Host) -> None:
    remains = row(CLIENT, REMOTE, state=TcpState.TIME_WAIT)
    host.hear(connections(1, ends_are_told=False))

    assert host.hear(connections(2, remains, ends_are_told=False)) == []


def test_poll_names_the_holder_of_an_inbound_connection(host: Host) -> None:
    side = inbound()
    host.hear(told(2, side.accepted(1.5)))
    host.hear(connections(2, row(WEB, PEER, cookie=5, inode=9), owners={9: CURL}))
    side.process = None
    (event,) = host.hear(told(3, side.gone(2.5)), closed(3, end(WEB, PEER, cookie=5)))

    assert columns([event], "attribution", "pid") == [("polled", 90)]


def test_what_the_kernel_did_not_tell_polls_do(host: Host) -> None:
    events = host.hear(
        connections(2, row(CLIENT, REMOTE, cookie=5, inode=9), owners={9: CURL}),
        told(3),
        closed(3, end(CLIENT, REMOTE, cookie=5)),
    )

    assert columns(events, *NAMES) == [
        ("opened", "outbound", "polled", 90, "sock_diag"),
        ("closed", "outbound", "polled", 90, "sock_diag"),
    ]


@pytest.mark.parametrize("is_polled", [True, False])
def test_who_closes_an_older_connection_is_known_exactly(
    host: Host,
    is_polled: bool,  # noqa: FBT001
) -> None:
    shown = [row(WEB, PEER, cookie=5)] if is_polled else []
    side = inbound()
    side.process = CURL
    events = host.hear(
        connections(2, *shown),
        told(3, side.shut(2.5), side.gone(2.6)),
        closed(3, end(WEB, PEER, cookie=5)),
    )

    assert columns(events[-1:], "state", "attribution", "pid") == [("closed", "exact", 90)]
    assert len(events) == 2


def test_closer_counts_where_polls_tell_the_end(host: Host) -> None:
    side = inbound()
    host.hear(connections(2, row(WEB, PEER, cookie=5), ends_are_told=False))
    host.hear(told(3, side.shut(2.5), side.gone(2.6)))
    (event,) = host.hear(connections(4, ends_are_told=False))

    assert columns([event], "state", "attribution", "pid") == [("closed", "exact", 80)]


def test_end_that_was_lost_is_told_by_its_notice(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)))
    (event,) = host.hear(closed(3, end(CLIENT, REMOTE, cookie=5, sent=3)))

    assert columns([event], "ts_us", "state", "attribution", "bytes_sent") == [
        (3 * S, "closed", "exact", 3)
    ]
    assert host.hear(told(9)) == []


def test_end_that_was_lost_is_told_by_polls_where_there_are_no_notices(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)))
    shown = row(CLIENT, REMOTE, pid=90)
    events = host.hear(
        connections(2, shown, ends_are_told=False),
        connections(3, ends_are_told=False),
        connections(4, shown, ends_are_told=False),
        connections(5, ends_are_told=False),
        connections(6, ends_are_told=False),
        connections(7, ends_are_told=False),
    )

    assert columns(events, "ts_us", "state", "duration_us") == [(6 * S, "closed", None)]


@pytest.mark.parametrize("begins", ["connect", "accepted"])
def test_socket_that_is_used_again_ends_what_it_was(host: Host, begins: str) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)))
    again = Told(("192.0.2.1", 40_001), REMOTE)
    events = host.hear(told(3, getattr(again, begins)(2.5)))

    assert columns(events[:1], "state", "local_port", "duration_us") == [("closed", 40_000, None)]
    assert host.hear(closed(3, end(CLIENT, REMOTE, cookie=5))) == []


def test_connection_that_this_host_broke_off_is_told_once(host: Host) -> None:
    side = outbound()
    events = host.hear(
        told(2, side.connect(1.5), side.connected(1.6), side.abort(1.7)),
        closed(2, end(CLIENT, NONE, cookie=5)),
        told(9),
    )

    assert columns(events, "state", "remote_port") == [("opened", 443), ("closed", 443)]


def test_notice_without_a_peer_may_come_late(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6), side.abort(1.7)))
    assert columns(host.hear(told(3)), "state") == [("closed",)]

    assert host.hear(closed(4, end(CLIENT, NONE, cookie=5))) == []
    assert columns(host.hear(closed(4, end(CLIENT, NONE, cookie=6))), "state", "remote_port") == [
        ("opened", None),
        ("closed", None),
    ]


def test_attempt_between_the_ends_of_a_connection_does_not_end_it(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)))

    assert host.hear(closed(2, end(CLIENT, REMOTE, cookie=5, established=False))) == []
    assert len(host.correlator.announce(3 * S)) == 2


def test_own_connections_are_left_out() -> None:
    own = OwnConnections()
    host = Host(own=own)
    own.add(CLIENT, WEB, cookie=5, now_us=S)
    client, server = Told(CLIENT, WEB, socket=1, process=CURL), Told(WEB, CLIENT, socket=2)
    events = host.hear(
        told(2, client.connect(1.1), client.connected(1.2), server.accepted(1.3)),
        told(3, client.gone(2), server.gone(2.1)),
        closed(3, end(CLIENT, WEB, cookie=5), end(WEB, CLIENT, cookie=6)),
    )

    assert events == []
    assert len(own) == 0


def test_connection_without_room_is_counted_and_told_by_its_end() -> None:
    host = Host(limit=1)
    first, second = outbound(socket=1), Told(("192.0.2.1", 40_001), REMOTE, socket=2)
    host.hear(told(2, first.connect(1.5), first.connected(1.6), second.connected(1.7)))

    assert host.correlator.lost["connection", "table_full"] == 1
    events = host.hear(told(3, second.gone(2)), closed(3, end(second.local, REMOTE, cookie=6)))
    assert columns(events, "state", "source") == [("opened", "sock_diag"), ("closed", "sock_diag")]


def test_what_was_open_when_the_kernel_fell_silent_ends(host: Host) -> None:
    side, attempt = outbound(socket=1), Told(("192.0.2.1", 40_001), REMOTE, socket=2, process=CURL)
    host.hear(told(2, side.connect(1.5), side.connected(1.6), attempt.connect(1.7)))
    events = host.hear(told(30, attempt.connected(29), is_first=True))

    assert columns(events, "state", "local_port", "duration_us", "attribution") == [
        ("closed", 40_000, None, "exact"),
        ("opened", 40_001, None, "unknown"),
    ]


def test_open_connections_are_announced(host: Host) -> None:
    side = outbound()
    host.hear(told(2, side.connect(1.5), side.connected(1.6)))

    assert columns(host.correlator.announce(5 * S), "ts_us", "state") == [
        (5 * S, "present"),
        (5 * S, "opened"),
    ]


def test_listener_that_is_known_later_owns_the_end(host: Host) -> None:
    side = Told(("192.0.2.1", 8080), PEER)
    (opened,) = host.hear(told(2, side.accepted(1.5)))
    host.hear(listeners(2, listening(side.local, cookie=2, inode=8), owners={8: CURL}))
    (last,) = host.hear(told(3, side.gone(2.5)), closed(3, end(side.local, PEER, cookie=5)))

    assert columns([opened, last], "attribution", "pid") == [("unknown", None), ("listener", 90)]


def test_listener_that_only_the_kernel_told_of_counts(host: Host) -> None:
    place = ("0.0.0.0", 8080)  # noqa: S104
    listener = Told(place, NONE, socket=9, process=CURL)
    sides = [Told(("10.0.0.1", 8080), ("10.0.0.2", port), socket=port) for port in (1, 2)]
    first = host.hear(told(2, listener.listen(1.5), sides[0].accepted(1.6)))
    second = host.hear(told(3, listener.unlisten(2.5), sides[1].accepted(2.6)))

    assert columns(first + second, "attribution", "pid") == [("listener", 90), ("unknown", None)]


def test_listeners_that_the_kernel_told_of_are_bounded(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_listeners, "MAX_LISTENERS", 1)
    for socket, port in ((1, 8080), (1, 8080), (2, 8081), (3, 8081)):
        place = ("0.0.0.0", port)  # noqa: S104
        host.hear(told(2, Told(place, NONE, socket=socket, process=CURL).listen(1.5)))

    known = host.correlator._kernel._listening
    assert known.match("10.0.0.1", 8080) is None
    assert known.match("10.0.0.1", 8081) is not None
    assert len(known._sockets) == 1


def test_before_the_kernel_is_heard_polls_tell_everything() -> None:
    correlator = Correlator()
    correlator.add(connections(1))

    assert columns(correlator.add(connections(2, row(CLIENT, REMOTE, cookie=5))), "state") == [
        ("opened",)
    ]


@pytest.mark.parametrize("later", ["shut", "gone", "abort"])
def test_socket_that_became_another_unheard_keeps_no_process(host: Host, later: str) -> None:
    first, second = outbound(), Told(("192.0.2.1", 40_001), REMOTE, process=NGINX)
    events = host.hear(
        told(2, first.connect(1.5), first.connected(1.6)),
        told(3, getattr(second, later)(2.5)),
        told(9),
    )

    assert columns(events, "state", "pid", "local_port", "duration_us") == [
        ("opened", 90, 40_000, None),
        ("closed", 90, 40_000, None),
    ]


@pytest.mark.parametrize(
    ("local", "remote"),
    [
        (("192.0.2.1", 40_001), REMOTE),
        (CLIENT, ("203.0.113.9", 80)),
        (CLIENT, ("203.0.113.8", 443)),
    ],
)
def test_attempt_of_before_is_not_taken_for_a_later_one(
    host: Host, local: tuple[str, int], remote: tuple[str, int]
) -> None:
    lost = Told(local, remote, process=CURL)
    events = host.hear(told(2, lost.connect(1.5), outbound().connected(1.6)))

    assert columns(events, "state", "attribution") == [("opened", "unknown")]


def test_memory_is_bounded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_connections, "MAX_OPENING", 1)
    monkeypatch.setattr(kernel_connections, "MAX_CLOSERS", 1)
    sides = [Told(("192.0.2.1", port), REMOTE, socket=port, process=CURL) for port in (1, 2, 3)]
    events = host.hear(
        told(2, *(side.connect(1.5) for side in sides)),
        told(2, *(side.connected(1.6) for side in sides)),
        told(3, *(side.gone(2) for side in sides)),
        told(4),
        told(5, *(Told(side.local, WEB, process=CURL).shut(4) for side in sides)),
    )

    kernel = host.correlator._kernel
    assert columns(events[:3], "attribution") == [("unknown",), ("unknown",), ("exact",)]
    assert (len(kernel.closers), len(kernel)) == (1, 0)


def test_of_too_many_between_the_same_ends_the_oldest_has_ended(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_connections, "MAX_TWINS", 2)
    sides = [outbound(socket=number) for number in range(1, 5)]
    events = host.hear(
        *(told(2, side.connect(1.5), side.connected(1.6)) for side in sides),
        told(3, *(side.gone(2.5) for side in sides)),
        told(9),
    )

    states = [event.values["state"] for event in events]
    assert (states.count("opened"), states.count("closed")) == (4, 4)
    assert sum("duration_us" in event.values for event in events) == 2  # of two it is unknown


def test_programs_become_processes(host: Host) -> None:
    begun = ProcessChange(2 * S, "started", CURL)
    (event,) = host.hear(told(3, begun))

    assert (event.kind, event.ts_us, event.process) == ("process", 2 * S, CURL)
    assert event.values == {"state": "started", "source": "perf"}
