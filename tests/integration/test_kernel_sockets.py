"""Netlink sensors against this kernel; they need loopback and no privilege."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from agent.sensors.destroy_events import DestroyEvents
from agent.sensors.netlink import SocketTable
from agent.sensors.socket_rows import ClosedSocket, SocketRow, TcpState

LOOPBACK = "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOOPBACK, 0), backlog=128) as server:
        yield server


@pytest.fixture
def events() -> Iterator[DestroyEvents]:
    with DestroyEvents() as subscription:
        yield subscription


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def row_at(rows: list[SocketRow], local_port: int) -> SocketRow:
    (row,) = [row for row in rows if row.local_port == local_port]
    return row


def established(local_port: int, remote_port: int) -> SocketRow:
    """Return the open side with these ports; its ports may also stand in TIME_WAIT rows."""
    rows = SocketTable().connections([TcpState.ESTABLISHED])
    (row,) = [row for row in rows if (row.local_port, row.remote_port) == (local_port, remote_port)]
    return row


def drain_port(events: DestroyEvents, port: int, wanted: int) -> list[ClosedSocket]:
    """Collect the closed sockets with ``port`` at either end; the kernel tells them a bit later."""
    found: list[ClosedSocket] = []
    for _ in range(3_000):
        found += [each for each in events.drain() if port in {each.local_port, each.remote_port}]
        if len(found) >= wanted:
            break
        time.sleep(0.01)
    return found


def test_listener_is_seen_at_once() -> None:
    before = SocketTable().listeners()
    with socket.create_server((LOOPBACK, 0)) as server:
        row = row_at(SocketTable().listeners(), port_of(server))
    after = SocketTable().listeners()

    assert (row.local_address, row.state) == (LOOPBACK, TcpState.LISTEN)
    assert row.inode > 0
    assert row.cookie not in {each.cookie for each in before + after}


def test_ipv6_listener_keeps_its_wildcard() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        row = row_at(SocketTable().listeners(), port_of(server))

    assert (row.family, row.local_address, row.remote_address) == (socket.AF_INET6, "::", "::")


def test_connection_is_seen_from_both_sides(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()) as client, listener.accept()[0]:
        outbound = established(port_of(client), port_of(listener))
        inbound = established(port_of(listener), port_of(client))

    assert outbound.local_address == outbound.remote_address == LOOPBACK
    assert inbound.local_address == inbound.remote_address == LOOPBACK
    assert outbound.inode != inbound.inode


def test_ipv4_peer_of_a_dual_stack_listener_is_ipv4() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection((LOOPBACK, port_of(server))) as client,
        server.accept()[0],
    ):
        row = established(port_of(server), port_of(client))

    assert (row.family, row.local_address) == (socket.AF_INET, LOOPBACK)


def test_udp_socket_is_seen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((LOOPBACK, 0))
        row = row_at(SocketTable().udp(), port_of(bound))

    assert (row.protocol, row.state, row.remote_port) == ("udp", TcpState.CLOSE, 0)


def test_every_short_connection_is_seen_from_both_sides(
    listener: socket.socket, events: DestroyEvents
) -> None:
    """1,000 connections, each opened, used and closed between two polls."""
    opened: list[int] = []
    for _ in range(1_000):
        with socket.create_connection(listener.getsockname()) as client:
            accepted, _ = listener.accept()
            client.sendall(b"four")
            accepted.recv(4)
            accepted.close()
            opened.append(port_of(client))
    server_port = port_of(listener)
    found = drain_port(events, server_port, 2_000)

    outbound = [each.local_port for each in found if each.remote_port == server_port]
    inbound = [each.remote_port for each in found if each.local_port == server_port]
    assert sorted(outbound) == sorted(inbound) == sorted(opened)
    assert all(each.established for each in found)
    assert events.lost == 0


def test_closed_connection_has_its_payload_and_the_cookie_of_the_poll(
    listener: socket.socket, events: DestroyEvents
) -> None:
    with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as peer:
        client_port = port_of(client)
        cookie = established(client_port, port_of(listener)).cookie
        client.sendall(bytes(1_000))
        peer.recv(1_000, socket.MSG_WAITALL)
        peer.sendall(bytes(20))
        client.recv(20, socket.MSG_WAITALL)

    sides = {each.local_port: each for each in drain_port(events, client_port, 2)}
    outbound, inbound = sides[client_port], sides[port_of(listener)]
    assert outbound.cookie == cookie
    assert (outbound.bytes_sent, inbound.bytes_sent) == (1_000, 20)
    assert outbound.bytes_received in {20, 21}
    assert inbound.bytes_received in {1_000, 1_001}


def test_refused_attempt_was_not_established(events: DestroyEvents) -> None:
    with socket.create_server((LOOPBACK, 0)) as gone:
        port = port_of(gone)
    drain_port(events, port, 1)  # the listener
    with socket.socket() as client:
        client.settimeout(0)
        client.connect_ex((LOOPBACK, port))

    (attempt,) = drain_port(events, port, 1)
    assert (attempt.remote_port, attempt.established) == (port, False)


def test_aborted_connection_is_seen_by_its_peer_and_by_cookie(
    listener: socket.socket, events: DestroyEvents
) -> None:
    with socket.create_connection(listener.getsockname()) as client, listener.accept()[0]:
        client_port = port_of(client)
        cookie = established(client_port, port_of(listener)).cookie
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    sides = {each.local_port: each for each in drain_port(events, client_port, 2)}
    assert sides[port_of(listener)].remote_port == client_port
    assert (sides[client_port].cookie, sides[client_port].remote_port) == (cookie, 0)
    assert sides[client_port].established


def test_overflow_of_the_queue_is_counted(listener: socket.socket) -> None:
    with DestroyEvents(queue_bytes=8_192) as events:
        for _ in range(50):
            with socket.create_connection(listener.getsockname()), listener.accept()[0]:
                pass
        waiting = 0
        for _ in range(3_000):
            waiting += len(events.drain())
            if waiting + events.lost >= 100:
                break
            time.sleep(0.01)

    assert 0 < waiting < 100
    assert events.lost >= 100 - waiting


def test_drain_takes_a_limited_number(listener: socket.socket, events: DestroyEvents) -> None:
    for _ in range(5):
        with socket.create_connection(listener.getsockname()), listener.accept()[0]:
            pass
    assert len(events.drain(3)) <= 3
    assert len(drain_port(events, port_of(listener), 7)) >= 7
