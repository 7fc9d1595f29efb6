"""Processes and socket owners of this host, next to what psutil says of them."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from agent.sensors.netlink import SocketTable
from agent.sensors.proc_sockets import ProcTable
from agent.sensors.processes import ProcessTable
from agent.sensors.psutil_tables import PsutilTable
from agent.sensors.socket_owners import SocketOwners
from agent.sensors.socket_rows import SocketRow
from rules.telemetry.clock import SystemClock

HOLDER = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
clients = [socket.create_connection(server.getsockname()) for _ in range(20)]
accepted = [server.accept()[0] for _ in clients]
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[tuple[int, int]]:
    """Run a process that holds 20 connections to itself; give its pid and listening port."""
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.communicate()


def rows_at(port: int) -> list[SocketRow]:
    """Return the open sockets with ``port`` at either end."""
    table = SocketTable()
    rows = table.listeners() + table.connections([1])
    return [row for row in rows if port in {row.local_port, row.remote_port}]


def test_owners_of_long_connections_are_right(holder: tuple[int, int]) -> None:
    pid, port = holder
    owners = SocketOwners(clock=SystemClock())
    rows = rows_at(port)

    found = owners.find(row.inode for row in rows)

    assert len(rows) == 41
    assert found == {row.inode: pid for row in rows}


def test_owner_of_a_new_socket_is_found_later(holder: tuple[int, int]) -> None:
    pid, port = holder
    owners = SocketOwners(clock=SystemClock())
    owners.find(row.inode for row in rows_at(port))

    with socket.create_connection(("127.0.0.1", port)):
        inodes = {row.inode for row in rows_at(port)} - {0}
        found = owners.find(inodes)

    assert len(inodes) == 42, "the peer's side has no inode before it is accepted"
    assert sorted(found.values()) == sorted([*[pid] * 41, os.getpid()])


def test_facts_equal_those_of_psutil(holder: tuple[int, int]) -> None:
    pid, _ = holder
    theirs = psutil.Process(pid)
    facts = ProcessTable(clock=SystemClock()).facts(pid)

    assert facts is not None
    assert facts.process_path == theirs.exe()
    assert facts.parent_pid == os.getpid()
    assert facts.uid == theirs.uids().effective
    assert facts.user == theirs.username()
    assert abs(facts.start_us / 1e6 - theirs.create_time()) < 2


def test_facts_of_every_process_of_this_host() -> None:
    table = ProcessTable(clock=SystemClock())
    found = {pid: table.facts(pid) for pid in table.pids()}

    mine = found[os.getpid()]
    assert mine is not None
    assert mine == table.facts(os.getpid())
    assert all(facts.process_name for facts in found.values() if facts)


def test_proc_shows_the_same_sockets_as_netlink(holder: tuple[int, int]) -> None:
    _, port = holder
    table = ProcTable()
    rows = table.listeners() + table.connections([1])

    theirs = [row for row in rows if port in {row.local_port, row.remote_port}]
    assert sorted(row[:9] for row in theirs) == sorted(row[:9] for row in rows_at(port))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_proc_shows_the_same_udp_sockets_as_netlink(family: socket.AddressFamily) -> None:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.socket(family, socket.SOCK_DGRAM) as bound:
        bound.bind((address, 0))
        port = bound.getsockname()[1]
        ours = [row for row in ProcTable().udp() if row.local_port == port]
        theirs = [row for row in SocketTable().udp() if row.local_port == port]

    assert [row[:9] for row in ours] == [row[:9] for row in theirs]
    assert [row.local_address for row in ours] == [address]


def test_psutil_shows_the_same_sockets_with_their_owner(holder: tuple[int, int]) -> None:
    pid, port = holder
    table = PsutilTable()
    rows = table.listeners() + table.connections([1])

    theirs = [row for row in rows if port in {row.local_port, row.remote_port}]
    assert {row.pid for row in theirs} == {pid}
    assert sorted(row[:7] for row in theirs) == sorted(row[:7] for row in rows_at(port))
