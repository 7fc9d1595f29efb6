"""Socket tables by psutil, for systems whose kernel does not speak sock_diag.

In: whatever the system offers. Out: ``SocketRow`` with the owner's pid, without inode, cookie and
uid. Two orders of magnitude slower than netlink at 30,000 sockets, so it is only the fallback.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import psutil

from agent.errors import SocketTableError
from agent.sensors.netlink import read_address
from agent.sensors.socket_rows import CONNECTION_STATES, SocketRow, TcpState, Transport

if TYPE_CHECKING:
    from psutil._ntuples import addr, sconn

_STATES: Final = {
    psutil.CONN_ESTABLISHED: TcpState.ESTABLISHED,
    psutil.CONN_SYN_SENT: TcpState.SYN_SENT,
    psutil.CONN_SYN_RECV: TcpState.SYN_RECV,
    psutil.CONN_FIN_WAIT1: TcpState.FIN_WAIT1,
    psutil.CONN_FIN_WAIT2: TcpState.FIN_WAIT2,
    psutil.CONN_TIME_WAIT: TcpState.TIME_WAIT,
    psutil.CONN_CLOSE: TcpState.CLOSE,
    psutil.CONN_CLOSE_WAIT: TcpState.CLOSE_WAIT,
    psutil.CONN_LAST_ACK: TcpState.LAST_ACK,
    psutil.CONN_LISTEN: TcpState.LISTEN,
    psutil.CONN_CLOSING: TcpState.CLOSING,
}


class PsutilTable:
    """The host's socket tables, as psutil gathers them.

    Raises:
        SocketTableError: From every method, where the system wants more rights.
    """

    def listeners(self) -> list[SocketRow]:
        """Return every TCP socket that waits for peers."""
        return [row for row in _rows("tcp") if row.state == TcpState.LISTEN]

    def connections(self, states: Collection[int] = CONNECTION_STATES) -> list[SocketRow]:
        """Return every TCP socket in one of ``states``."""
        return [row for row in _rows("tcp") if row.state in states]

    def udp(self) -> list[SocketRow]:
        """Return every bound UDP socket."""
        return _rows("udp")


def _rows(protocol: Transport) -> list[SocketRow]:
    try:
        found = psutil.net_connections(protocol)
    except (psutil.Error, OSError) as error:
        raise SocketTableError(f"psutil cannot list {protocol} sockets: {error}") from error
    return [_row(each, protocol) for each in found if each.laddr]


def _row(found: sconn, protocol: Transport) -> SocketRow:
    without_state = TcpState.ESTABLISHED if found.raddr else TcpState.CLOSE
    family, local_address, local_port = _end(found.family, found.laddr)
    _, remote_address, remote_port = _end(found.family, found.raddr)
    return SocketRow(
        family=family,
        protocol=protocol,
        state=_STATES.get(found.status, without_state),
        local_address=local_address,
        local_port=local_port,
        remote_address=remote_address,
        remote_port=remote_port,
        uid=None,
        inode=0,
        cookie=0,
        pid=found.pid,
    )


def _end(family: socket.AddressFamily, end: addr | tuple[()]) -> tuple[int, str, int]:
    """Return IP version, address and port of one end, written as the netlink source does."""
    if not end:
        return int(family), "0.0.0.0" if family == socket.AF_INET else "::", 0  # noqa: S104
    address, _, _interface = end.ip.partition("%")
    return *read_address(socket.inet_pton(family, address)), end.port
