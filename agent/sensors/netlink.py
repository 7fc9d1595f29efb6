"""Socket tables straight from the kernel, over NETLINK_SOCK_DIAG.

In: dumps of the own network namespace; no privilege is needed. Out: ``SocketRow`` per socket.
Source: sock_diag(7), netlink(7), Linux include/uapi/linux/{inet_diag,sock_diag,netlink}.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Final, NamedTuple

from agent.errors import NetlinkError
from agent.sensors.socket_rows import CONNECTION_STATES, SocketRow, TcpState, Transport

NETLINK_SOCK_DIAG: Final = 4
SOCK_DIAG_BY_FAMILY: Final = 20
MESSAGE_SIZE: Final = 88  # nlmsghdr (16) and inet_diag_msg (72); attributes follow
RECEIVE_BYTES: Final = 65_536  # the kernel fills at most 32 KB of it per read
REMEDY_NETLINK: Final = (
    "Allow the agent AF_NETLINK sockets: `systemctl edit proctor-agent`, then "
    "RestrictAddressFamilies=AF_NETLINK AF_INET AF_INET6 AF_UNIX."
)

_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_NLM_F_DUMP_INTR: Final = 0x10  # the table changed under the dump: rows may be missing
_NLM_F_REQUEST_DUMP: Final = 0x301
_DUMP_TRIES: Final = 4
_ANSWER_TIMEOUT_S: Final = 2  # the kernel answers at once or not at all
_ALL_STATES: Final = 0xFFFF_FFFF

_HEADER: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_REQUEST: Final = struct.Struct("=BBxxI48x")  # inet_diag_req_v2: family, protocol, states
_ERROR: Final = struct.Struct("=i")
_TIMEVAL: Final = struct.Struct("@ll")

_PROTOCOL_NUMBERS: Final[dict[Transport, int]] = {
    "tcp": socket.IPPROTO_TCP,
    "udp": socket.IPPROTO_UDP,
}
_IPV4_BYTES: Final = 4
_MAPPED_PREFIX: Final = bytes(10) + b"\xff\xff"  # in front of an IPv4 address, for an IPv6 socket


class SocketTable:
    """Dumps of the kernel's socket tables.

    Each call opens, asks and closes, so calls from several threads do not meet and nothing is
    left over from a call that failed. A call blocks for about 2 microseconds per socket.

    Args:
        open_socket: What opens the netlink socket; the kernel's unless a test says otherwise.

    Raises:
        NetlinkError: From every method, when the kernel refuses or answers nonsense.
    """

    def __init__(self, *, open_socket: Callable[[], socket.socket] | None = None) -> None:
        self._open_socket = open_socket or open_netlink

    def listeners(self) -> list[SocketRow]:
        """Return every TCP socket that waits for peers; cheap enough for each second."""
        return self._dump("tcp", _mask((TcpState.LISTEN,)))

    def connections(self, states: Collection[int] = CONNECTION_STATES) -> list[SocketRow]:
        """Return every TCP socket in one of ``states``."""
        return self._dump("tcp", _mask(states))

    def udp(self) -> list[SocketRow]:
        """Return every bound UDP socket."""
        return self._dump("udp", _ALL_STATES)

    def _dump(self, protocol: Transport, states: int) -> list[SocketRow]:
        rows: list[SocketRow] = []
        with self._open_socket() as netlink:
            for family in (socket.AF_INET, socket.AF_INET6):
                body = _REQUEST.pack(family, _PROTOCOL_NUMBERS[protocol], states)
                try:
                    rows += _ask(netlink, body, protocol)
                except NetlinkError as error:
                    # A kernel without IPv6 has no such table, so nothing is missing.
                    if family == socket.AF_INET or error.errno != errno.ENOENT:
                        raise
        return rows


class Answer(NamedTuple):
    """What one dump brought."""

    rows: list[SocketRow]
    is_interrupted: bool
    """The table changed under the dump: rows may be missing or stand twice."""


def _mask(states: Collection[int]) -> int:
    return sum(1 << state for state in frozenset(states))


def open_netlink(protocol: int = NETLINK_SOCK_DIAG) -> socket.socket:
    """Open a netlink socket whose reads end after a while, whatever the kernel does.

    Raises:
        NetlinkError: There is no such protocol here, or a sandbox forbids it.
    """
    try:
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    except OSError as error:
        raise NetlinkError("open a socket", error.errno or errno.EPROTONOSUPPORT) from error
    except AttributeError as error:  # Python knows no AF_NETLINK outside Linux
        raise NetlinkError("open a socket", errno.EPROTONOSUPPORT) from error
    timeout = _TIMEVAL.pack(_ANSWER_TIMEOUT_S, 0)
    netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
    return netlink


def _ask(netlink: socket.socket, body: bytes, protocol: Transport) -> list[SocketRow]:
    """Return the answer to one request, asked again while the table changes under the dump."""
    size = _HEADER.size + len(body)
    for sequence in range(_DUMP_TRIES):
        header = _HEADER.pack(size, SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, sequence, 0)
        try:
            netlink.send(header + body)
            answer = read_answer(netlink.recv_into, protocol)
        except OSError as error:
            raise NetlinkError("dump sockets", error.errno or errno.EIO) from error
        if not answer.is_interrupted:
            return answer.rows
    raise NetlinkError("dump sockets that change too quickly", errno.EINTR)


def read_answer(receive_into: Callable[[bytearray, int, int], int], protocol: Transport) -> Answer:
    """Read datagrams up to the end of a dump and return its rows.

    Args:
        receive_into: ``recv_into`` of a netlink socket.
        protocol: What was asked for; the rows do not say.

    Raises:
        NetlinkError: The kernel reported an error, or a message does not fit its frame.
        OSError: The socket did.
    """
    buffer = bytearray(RECEIVE_BYTES)
    rows: list[SocketRow] = []
    flags_seen = 0
    while True:
        # MSG_TRUNC makes the kernel return the true length, so that a cut datagram shows.
        size = receive_into(buffer, 0, socket.MSG_TRUNC)
        if size > RECEIVE_BYTES:
            raise NetlinkError("read a datagram", errno.EMSGSIZE)
        offset = 0
        while offset < size:
            length, kind, flags = read_header(buffer, offset, size)
            flags_seen |= flags
            if kind == _NLMSG_DONE:
                _raise_for_status(buffer, offset, length)
                return Answer(rows, bool(flags_seen & _NLM_F_DUMP_INTR))
            if kind == _NLMSG_ERROR:
                _raise_for_status(buffer, offset, length)
            if kind == SOCK_DIAG_BY_FAMILY:
                offset += _read_run(memoryview(buffer)[offset:size], length, protocol, rows)
            else:
                offset += _align(length)


def read_header(buffer: bytearray, offset: int, size: int) -> tuple[int, int, int]:
    """Return length, type and flags of the message at ``offset``, which fits into ``size``.

    Raises:
        NetlinkError: It does not fit, or is too short for its type.
    """
    if offset + _HEADER.size > size:
        raise NetlinkError("read a message", errno.EBADMSG)
    length, kind, flags, _, _ = _HEADER.unpack_from(buffer, offset)
    smallest = MESSAGE_SIZE if kind == SOCK_DIAG_BY_FAMILY else _HEADER.size
    if not smallest <= length <= size - offset:
        raise NetlinkError("read a message", errno.EBADMSG)
    return length, kind, flags


def _raise_for_status(buffer: bytearray, offset: int, length: int) -> None:
    if length < _HEADER.size + _ERROR.size:
        return
    (status,) = _ERROR.unpack_from(buffer, offset + _HEADER.size)
    if status:
        raise NetlinkError("dump sockets", abs(status))


def _align(length: int) -> int:
    return (length + 3) & ~3


@lru_cache(maxsize=256)  # messages of one family have a handful of lengths
def _run_layout(family: int, size: int) -> struct.Struct:
    """Return the layout of a message of ``size`` bytes, its first 8 bytes as one field."""
    address = "4s12x" if family == socket.AF_INET else "16s"
    return struct.Struct(f"=8s8xxBxxHH{address}{address}4xQ12xII{size - MESSAGE_SIZE}x")


def _read_run(messages: memoryview, length: int, protocol: Transport, rows: list[SocketRow]) -> int:
    """Append the leading messages that look like the first; return how many bytes they take.

    Going through runs of one length lets ``iter_unpack`` do the work; what differs in length,
    type or flags starts the next run.
    """
    size = _align(length)
    head = bytes(messages[:8])
    # The last message of a datagram may lack its padding.
    run = messages[: len(messages) // size * size] or bytes(messages).ljust(size, b"\0")
    append, new, swap, text = rows.append, tuple.__new__, socket.ntohs, read_address
    begin = len(rows)
    for row in _run_layout(messages[16], size).iter_unpack(run):
        if row[0] != head:
            break
        _, state, local_port, remote_port, local, remote, cookie, uid, inode = row
        family, local_address = text(local)
        local_port, remote_port = swap(local_port), swap(remote_port)
        remote_address = text(remote)[1]
        # Calling SocketRow itself would take twice as long.
        fields = (family, protocol, state, local_address, local_port, remote_address, remote_port)
        append(new(SocketRow, (*fields, uid, inode, cookie, None)))
    return (len(rows) - begin) * size


@lru_cache(maxsize=16_384)  # about 3 MB when full
def read_address(raw: bytes) -> tuple[int, str]:
    """Return IP version and text of a raw address, IPv4 where it is an IPv4-mapped IPv6 one."""
    raw = raw.removeprefix(_MAPPED_PREFIX)
    family = socket.AF_INET if len(raw) == _IPV4_BYTES else socket.AF_INET6
    return int(family), socket.inet_ntop(family, raw)
