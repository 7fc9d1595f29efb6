"""Every TCP socket that the kernel destroys, as it happens: no connection is too short to be seen.

In: the destroy multicast groups of NETLINK_SOCK_DIAG; no privilege is needed.
Out: ``ClosedSocket``. The kernel names neither process nor owner in these messages.
Source: Linux net/ipv4/inet_diag.c (inet_diag_handler_get_info), include/uapi/linux/tcp.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Final, Self

from agent.errors import NetlinkError
from agent.sensors.netlink import (
    MESSAGE_SIZE,
    RECEIVE_BYTES,
    SOCK_DIAG_BY_FAMILY,
    open_netlink,
    read_address,
    read_header,
)
from agent.sensors.socket_rows import ClosedSocket

_TCP_DESTROY_GROUPS: Final = 0b101  # SKNLGRP_INET_TCP_DESTROY = 1, SKNLGRP_INET6_TCP_DESTROY = 3
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO: Final = struct.Struct("=9I")
_MEMINFO_DROPS: Final = 8

QUEUE_BYTES: Final = 8 << 20  # asked for; without CAP_NET_ADMIN the kernel caps it at rmem_max
DRAIN_LIMIT: Final = 8_192  # events of one drain: more than the queue holds

_INET_DIAG_INFO: Final = 2
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type
_TUPLES: Final[dict[int, struct.Struct]] = {
    socket.AF_INET: struct.Struct("=20xHH4s12x4s12x4xQ"),
    socket.AF_INET6: struct.Struct("=20xHH16s16s4xQ"),
}
# tcp_info: options, rtt, bytes_acked, bytes_received, data_segs_in, bytes_sent, bytes_retrans,
# snd_wnd
_TCP_INFO: Final = struct.Struct("=5xB62xI48xQQ16xI44xQQ12xI")
_TCP_INFO_WITH_BYTES_SENT: Final = 216  # size since Linux 4.19


class DestroyEvents:
    """A subscription to closed TCP sockets of the own network namespace.

    Its file descriptor is readable while events wait, and never blocks. Each event takes about
    1 KB of the kernel's queue; reading every 100 to 250 ms costs less than waking for each one.

    Raises:
        NetlinkError: The kernel does not offer the groups.
    """

    def __init__(self, *, queue_bytes: int = QUEUE_BYTES) -> None:
        self.seen = 0
        """Events read so far, those of sockets that were never bound included."""
        self.lost = 0
        """Events that the kernel dropped because the queue was full."""
        self._buffer = bytearray(RECEIVE_BYTES)
        self._socket = open_netlink()
        try:
            self._socket.settimeout(0)
            _widen_queue(self._socket, queue_bytes)
            self._socket.bind((0, _TCP_DESTROY_GROUPS))
        except OSError as error:
            self._socket.close()
            raise NetlinkError("subscribe to closed sockets", error.errno or errno.EIO) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Leave the groups."""
        self._socket.close()

    def drain(self, limit: int = DRAIN_LIMIT) -> list[ClosedSocket]:
        """Return what waits, oldest first, at most ``limit``; the rest stays for the next call.

        Raises:
            NetlinkError: The subscription is broken; losses are counted instead.
        """
        closed: list[ClosedSocket] = []
        for _ in range(limit):
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                break
            except OSError as error:
                self._count_loss(error)
                continue
            self.seen += 1
            event = read_destroy_event(self._buffer, size)
            if event is not None:
                closed.append(event)
        return closed

    def _count_loss(self, error: OSError) -> None:
        if error.errno != errno.ENOBUFS:
            raise NetlinkError("read closed sockets", error.errno or errno.EIO) from error
        meminfo = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        if len(meminfo) == _MEMINFO.size:
            self.lost = int(_MEMINFO.unpack(meminfo)[_MEMINFO_DROPS])
        else:
            self.lost += 1  # a kernel that does not count drops: at least one


def _widen_queue(netlink: socket.socket, queue_bytes: int) -> None:
    half = queue_bytes // 2  # the kernel doubles what it is told
    try:
        netlink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, half)
    except PermissionError:
        netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, half)


def read_destroy_event(message: bytearray, size: int) -> ClosedSocket | None:
    """Return the socket that a message of the destroy groups names; None if it never was bound.

    Raises:
        NetlinkError: The message does not fit its frame.
    """
    length, kind, _ = read_header(message, 0, size)
    layout = _TUPLES.get(message[16])
    if kind != SOCK_DIAG_BY_FAMILY or layout is None:
        return None
    local_port, remote_port, local, remote, cookie = layout.unpack_from(message)
    if local_port == 0:
        return None
    begin, size = _find_attribute(message, _INET_DIAG_INFO, length)
    if size >= _TCP_INFO.size:
        info = _TCP_INFO.unpack_from(message, begin)
    else:  # of an older kernel; what it lacks counts as 0
        info = _TCP_INFO.unpack(bytes(message[begin : begin + size]).ljust(_TCP_INFO.size, b"\0"))
    family, local_address = read_address(local)
    # Calling ClosedSocket itself would take twice as long.
    fields = (
        family,
        local_address,
        socket.ntohs(local_port),
        read_address(remote)[1],
        socket.ntohs(remote_port),
        cookie,
        *_read_life(info, size, is_forgotten=remote_port == 0),
    )
    return tuple.__new__(ClosedSocket, fields)


def _find_attribute(message: bytearray, wanted: int, end: int) -> tuple[int, int]:
    """Return where the first attribute of a type begins, and its size, 0 if there is none."""
    offset = MESSAGE_SIZE
    while offset + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(message, offset)
        if not _ATTRIBUTE.size <= length <= end - offset:
            raise NetlinkError("read an attribute", errno.EBADMSG)
        if kind == wanted:
            return offset + _ATTRIBUTE.size, length - _ATTRIBUTE.size
        offset += (length + 3) & ~3
    return offset, 0


def _read_life(
    info: tuple[int, ...], size: int, *, is_forgotten: bool
) -> tuple[bool, int | None, int | None]:
    """Return whether the handshake was completed, and payload bytes sent and received.

    Only a completed handshake leaves negotiated options, a round trip time or a peer's window.
    ``bytes_acked`` counts SYN and FIN, so what was sent is taken from ``bytes_sent``, which does
    not. ``bytes_received`` counts a FIN that came in, and nothing here says whether one did.

    Args:
        info: Fields of ``tcp_info``.
        size: How much of it the kernel told.
        is_forgotten: Whether the kernel has forgotten the peer.
    """
    options, rtt, acked, received, data_segments_in, sent, sent_again, window = info
    established = bool(options or rtt or acked or received or window)
    if is_forgotten or not size:
        return established, None, None
    bytes_sent = sent - sent_again if size >= _TCP_INFO_WITH_BYTES_SENT else None
    return established, bytes_sent, received if data_segments_in else 0
