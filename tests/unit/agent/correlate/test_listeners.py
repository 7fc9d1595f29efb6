from collections import Counter

from agent.correlate import Correlator
from tests.socket_facts import (
    NGINX,
    S,
    bound,
    closed,
    columns,
    end,
    listeners,
    listening,
)

ANY = ("0.0.0.0", 443)  # noqa: S104


def test_first_poll_tells_what_is_present() -> None:
    events = Correlator().add(listeners(1, listening(ANY, cookie=1, inode=7), owners={7: NGINX}))

    assert columns(events, "ts_us", "state", "local_address", "local_port", "pid") == [
        (S, "present", "0.0.0.0", 443, 80)  # noqa: S104
    ]
    assert columns(events, "protocol", "attribution", "source") == [("tcp", "polled", "sock_diag")]


def test_later_polls_tell_what_opened_and_closed() -> None:
    correlator = Correlator()
    correlator.add(listeners(1, listening(ANY, cookie=1)))

    events = correlator.add(listeners(2, listening(("192.0.2.1", 80), cookie=2)))

    assert columns(events, "ts_us", "state", "local_port") == [
        (2 * S, "closed", 443),
        (2 * S, "opened", 80),
    ]
    assert correlator.add(listeners(3, listening(("192.0.2.1", 80), cookie=2))) == []


def test_first_poll_of_another_protocol_is_present_too() -> None:
    correlator = Correlator()
    correlator.add(listeners(1))

    events = correlator.add(listeners(1, bound(("0.0.0.0", 53), cookie=9), protocol="udp"))  # noqa: S104

    assert columns(events, "state", "protocol") == [("present", "udp")]


def test_poll_of_one_protocol_leaves_the_other_alone() -> None:
    correlator = Correlator()
    correlator.add(listeners(1, listening(ANY, cookie=1)))

    assert correlator.add(listeners(2, protocol="udp")) == []
    assert len(correlator.listeners) == 1


def test_listener_without_visible_process_is_unknown() -> None:
    events = Correlator().add(listeners(1, listening(ANY, cookie=1, inode=7)))

    assert columns(events, "attribution", "pid") == [("unknown", None)]


def test_owner_of_the_socket_alone_is_no_process() -> None:
    owner = NGINX._replace(pid=None, name=None)
    events = Correlator().add(listeners(1, listening(ANY, cookie=1, inode=7), owners={7: owner}))

    assert columns(events, "attribution", "pid", "user") == [("unknown", None, "www-data")]


def test_sockets_that_share_a_port_are_one_listener() -> None:
    correlator = Correlator()
    owners = {7: NGINX, 8: NGINX}
    both = (listening(ANY, cookie=1, inode=7), listening(ANY, cookie=2, inode=8))

    assert len(correlator.add(listeners(1, *both, owners=owners))) == 1
    assert correlator.add(listeners(2, both[0], owners=owners)) == []
    assert columns(correlator.add(listeners(3)), "state") == [("closed",)]


def test_two_processes_on_one_port_are_two_listeners() -> None:
    owners = {7: NGINX, 8: NGINX._replace(pid=81)}
    rows = (listening(ANY, cookie=1, inode=7), listening(ANY, cookie=2, inode=8))

    assert columns(Correlator().add(listeners(1, *rows, owners=owners)), "pid") == [(80,), (81,)]


def test_process_found_later_stands_on_the_closed_row() -> None:
    correlator = Correlator()
    correlator.add(listeners(1, listening(ANY, cookie=1, inode=7)))

    assert correlator.add(listeners(2, listening(ANY, cookie=1, inode=7), owners={7: NGINX})) == []
    assert columns(correlator.add(listeners(3)), "state", "pid") == [("closed", 80)]


def test_destroyed_listener_closes_at_once_and_only_once() -> None:
    correlator = Correlator()
    correlator.add(listeners(1, listening(ANY, cookie=1)))

    events = correlator.add(closed(1.4, end(ANY, cookie=1, established=False)))

    assert columns(events, "ts_us", "state") == [(1_400_000, "closed")]
    assert correlator.add(listeners(2)) == []


def test_destroyed_socket_of_a_shared_port_closes_nothing() -> None:
    correlator = Correlator()
    correlator.add(listeners(1, listening(ANY, cookie=1), listening(ANY, cookie=2)))

    assert correlator.add(closed(2, end(ANY, cookie=1, established=False))) == []


def test_announcement_repeats_what_is_there_as_present() -> None:
    correlator = Correlator()
    correlator.add(listeners(1, listening(ANY, cookie=1)))

    events = correlator.announce(5 * S)

    assert columns(events, "ts_us", "state", "local_port") == [(5 * S, "present", 443)]


def test_listeners_without_room_are_counted_once() -> None:
    correlator = Correlator(max_listeners=1)
    three = [listening(("192.0.2.1", port), cookie=port) for port in (1, 2, 3)]

    assert len(correlator.add(listeners(1, *three))) == 1
    correlator.add(listeners(2, *three))

    assert correlator.lost == Counter({("listener", "table_full"): 2})
