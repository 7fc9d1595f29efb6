import socket
from collections.abc import Callable
from typing import NamedTuple

import psutil
import pytest

from agent.errors import SocketTableError
from agent.sensors.psutil_tables import PsutilTable
from agent.sensors.socket_rows import SocketRow, TcpState


class End(NamedTuple):
    ip: str
    port: int


class Found(NamedTuple):
    family: socket.AddressFamily
    laddr: End | tuple[()]
    raddr: End | tuple[()]
    status: str
    pid: int | None


V4, V6 = socket.AF_INET, socket.AF_INET6
LISTENER = Found(V6, End("::", 443), (), psutil.CONN_LISTEN, 7)
INBOUND = Found(
    V6,
    End("::ffff:192.0.2.1", 443),
    End("::ffff:192.0.2.9", 50_000),
    psutil.CONN_ESTABLISHED,
    7,
)
OLD = Found(V4, End("192.0.2.1", 9), End("192.0.2.2", 80), psutil.CONN_TIME_WAIT, None)
UNBOUND = Found(V4, (), (), psutil.CONN_CLOSE, 8)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def show(*found: Found) -> None:
        monkeypatch.setattr(psutil, "net_connections", lambda _kind: list(found))

    return show


def test_listeners_have_their_owner(system: Callable[..., None]) -> None:
    system(LISTENER, INBOUND, OLD)

    assert PsutilTable().listeners() == [
        SocketRow(
            family=V6,
            protocol="tcp",
            state=TcpState.LISTEN,
            local_address="::",
            local_port=443,
            remote_address="::",
            remote_port=0,
            uid=None,
            inode=0,
            cookie=0,
            pid=7,
        )
    ]


def test_connections_are_written_as_netlink_writes_them(system: Callable[..., None]) -> None:
    system(LISTENER, INBOUND, OLD, UNBOUND)

    inbound, old = PsutilTable().connections()

    assert (inbound.family, inbound.local_address) == (V4, "192.0.2.1")
    assert (inbound.remote_address, inbound.remote_port) == ("192.0.2.9", 50_000)
    assert (old.state, old.pid) == (TcpState.TIME_WAIT, None)


def test_connections_in_chosen_states(system: Callable[..., None]) -> None:
    system(INBOUND, OLD)

    assert [row.pid for row in PsutilTable().connections([TcpState.ESTABLISHED])] == [7]


def test_udp_sockets_have_no_state_of_their_own(system: Callable[..., None]) -> None:
    bound = Found(V6, End("fe80::1%eth0", 546), (), psutil.CONN_NONE, 5)
    connected = Found(V4, End("192.0.2.1", 40_000), End("192.0.2.53", 53), psutil.CONN_NONE, 5)
    system(bound, connected)

    first, second = PsutilTable().udp()

    assert (first.protocol, first.state, first.local_address) == ("udp", TcpState.CLOSE, "fe80::1")
    assert (second.state, second.remote_port) == (TcpState.ESTABLISHED, 53)
    assert second.protocol == "udp"


def test_system_that_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)

    with pytest.raises(SocketTableError, match="psutil cannot list tcp sockets"):
        PsutilTable().connections()
