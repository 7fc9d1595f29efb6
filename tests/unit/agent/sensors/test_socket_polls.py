import pytest

from agent.sensors.observations import ConnectionsSeen, ListenersSeen
from agent.sensors.socket_polls import (
    LISTENER_INTERVAL_S,
    LOOK_AGAIN_S,
    TABLE_INTERVAL_S,
    ConnectionPoll,
    ListenerPoll,
)
from agent.sensors.socket_rows import TcpState
from rules.telemetry import ManualClock
from tests.socket_facts import CURL, NGINX, PEER, WEB, bound, listening, row
from tests.socket_tables import ScriptedOwners, ScriptedTables

FLOW = row(("192.0.2.1", 5_000), PEER, cookie=3, inode=8, protocol="udp")


class Cpu:
    """CPU time that grows by a set amount with each look."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def listener_poll(
    tables: ScriptedTables, owners: ScriptedOwners, clock: ManualClock
) -> ListenerPoll:
    return ListenerPoll(tables, owners, clock, source="sock_diag", cpu_s=Cpu())


def test_poll_tells_listeners_and_udp_sockets_with_their_owners() -> None:
    tables, owners = ScriptedTables(), ScriptedOwners({7: NGINX, 8: CURL})
    tables.tcp_listeners = [listening(WEB, cookie=1, inode=7)]
    tables.udp_sockets = [bound(("0.0.0.0", 53), cookie=2), FLOW]  # noqa: S104

    seen = listener_poll(tables, owners, ManualClock(5)).poll()

    assert seen == [
        ListenersSeen(5, "sock_diag", "tcp", tables.tcp_listeners, {7: NGINX}),
        ListenersSeen(5, "sock_diag", "udp", tables.udp_sockets[:1], {8: CURL}),
        ConnectionsSeen(5, "sock_diag", "udp", [FLOW], {8: CURL}, ends_are_told=False),
    ]


def test_poll_that_shows_nothing_new_says_nothing() -> None:
    tables, owners = ScriptedTables(), ScriptedOwners({7: NGINX})
    tables.tcp_listeners = [listening(WEB, cookie=1, inode=7)]
    poll = listener_poll(tables, owners, ManualClock())
    poll.poll()

    assert poll.poll() == []
    tables.tcp_listeners.append(listening(("192.0.2.1", 80), cookie=2, inode=7))
    assert [type(each) for each in poll.poll()] == [ListenersSeen]


def test_owners_that_were_not_found_are_looked_for_again() -> None:
    clock = ManualClock()
    tables, owners = ScriptedTables(), ScriptedOwners()
    tables.tcp_listeners = [listening(WEB, cookie=1, inode=7)]
    poll = listener_poll(tables, owners, clock)
    poll.poll()
    owners.known[7] = NGINX

    assert poll.poll() == []
    clock.advance(LOOK_AGAIN_S)
    (seen,) = poll.poll()
    assert seen.owners == {7: NGINX}
    clock.advance(LOOK_AGAIN_S)
    assert poll.poll() == []


def test_tcp_alone_can_be_asked_in_between() -> None:
    tables = ScriptedTables()
    poll = listener_poll(tables, ScriptedOwners(), ManualClock())
    due_s = poll.due_s

    poll.poll_tcp()

    assert tables.asked == ["listeners"]
    assert poll.due_s == due_s


def test_listeners_are_due_each_second() -> None:
    poll = listener_poll(ScriptedTables(), ScriptedOwners(), ManualClock())
    poll.poll()

    assert poll.due_s == LISTENER_INTERVAL_S


def test_costly_listener_polls_become_rarer() -> None:
    poll = ListenerPoll(
        ScriptedTables(), ScriptedOwners(), ManualClock(), source="psutil", cpu_s=Cpu(0.1)
    )
    poll.poll()
    assert poll.due_s == LISTENER_INTERVAL_S  # the first look at every owner is not usual
    poll.poll()
    assert poll.due_s > 10 * LISTENER_INTERVAL_S


def test_connections_are_polled_with_their_owners() -> None:
    tables, owners = ScriptedTables(), ScriptedOwners({8: CURL})
    tables.tcp_connections = [row(WEB, PEER, cookie=1, inode=8)]
    poll = ConnectionPoll(tables, owners, ManualClock(5), source="sock_diag", cpu_s=Cpu())

    seen = poll.poll(ends_are_told=True)

    assert seen == ConnectionsSeen(
        5, "sock_diag", "tcp", tables.tcp_connections, {8: CURL}, ends_are_told=True
    )
    assert TcpState.TIME_WAIT not in tables.states
    assert poll.due_s(is_changed=True) == pytest.approx(LISTENER_INTERVAL_S, abs=0.001)
    assert poll.due_s(is_changed=False) == pytest.approx(TABLE_INTERVAL_S, abs=0.001)


def test_time_wait_is_asked_for_where_ends_are_not_told() -> None:
    tables = ScriptedTables()
    poll = ConnectionPoll(tables, ScriptedOwners(), ManualClock(), source="psutil")

    poll.poll(ends_are_told=False)

    assert TcpState.TIME_WAIT in tables.states
