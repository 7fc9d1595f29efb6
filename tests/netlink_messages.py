"""Netlink messages as the kernel writes them, for tests that must not depend on a kernel."""

import errno
import socket
import struct
from collections.abc import Iterable
from typing import Self

DONE, ERROR, NOOP, SOCK_DIAG = 3, 2, 1, 20
MULTI, DUMP_INTR = 0x2, 0x10


def message(kind: int, body: bytes, *, flags: int = MULTI) -> bytes:
    length = 16 + len(body)
    return struct.pack("=IHHII", length, kind, flags, 1, 4242) + body + bytes(-length % 4)


def attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def diag_body(
    local: tuple[str, int],
    remote: tuple[str, int],
    *,
    state: int = 1,
    uid: int = 0,
    inode: int = 0,
    cookie: int = 0,
    attributes: bytes = b"",
) -> bytes:
    """Build inet_diag_msg with its attributes; the family is IPv6 if an address has a colon."""
    family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
    addresses = [socket.inet_pton(family, ip).ljust(16, b"\0") for ip in (local[0], remote[0])]
    return (
        struct.pack("=BBBB", family, state, 0, 0)
        + struct.pack(">HH", local[1], remote[1])
        + b"".join(addresses)
        + struct.pack("=IQ", 0, cookie)
        + struct.pack("=IIIII", 0, 0, 0, uid, inode)
        + attributes
    )


def done(status: int = 0, *, flags: int = MULTI) -> bytes:
    return message(DONE, struct.pack("=i", status), flags=flags)


def refusal(code: int = errno.ENOENT) -> bytes:
    return message(ERROR, struct.pack("=i", -code) + bytes(16), flags=0)


def tcp_info(
    *,
    options: int = 0,
    rtt_us: int = 0,
    acked: int = 0,
    received: int = 0,
    segments_in: int = 0,
    sent: int = 0,
    sent_again: int = 0,
    window: int = 0,
) -> bytes:
    info = bytearray(284)
    info[5] = options
    struct.pack_into("=I", info, 68, rtt_us)
    struct.pack_into("=QQ", info, 120, acked, received)
    struct.pack_into("=I", info, 152, segments_in)
    struct.pack_into("=QQ", info, 200, sent, sent_again)
    struct.pack_into("=I", info, 228, window)
    return bytes(info)


class Datagrams:
    """Stands for a netlink socket: each read returns the next datagram or raises the next error."""

    def __init__(self, datagrams: Iterable[bytes | OSError]) -> None:
        self.waiting = list(datagrams)
        self.requests: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.waiting.clear()

    def send(self, request: bytes) -> int:
        self.requests.append(request)
        return len(request)

    def recv_into(self, buffer: bytearray, nbytes: int = 0, flags: int = 0) -> int:
        assert nbytes == 0
        assert flags in {0, socket.MSG_TRUNC}
        datagram = self.waiting.pop(0)
        if isinstance(datagram, OSError):
            raise datagram
        size = min(len(buffer), len(datagram))
        buffer[:size] = datagram[:size]
        return len(datagram) if flags & socket.MSG_TRUNC else size
