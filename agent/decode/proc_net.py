"""Socket tables of /proc/net, from bytes to rows.

In: content of ``tcp``, ``tcp6``, ``udp`` or ``udp6``. Out: one row for each socket. Source:
proc(5); Linux net/ipv4/tcp_ipv4.c, get_tcp4_sock and get_timewait4_sock, net/ipv6/tcp_ipv6.c.
"""

from __future__ import annotations

import struct
import sys
from functools import lru_cache
from typing import Final, NamedTuple

from agent.errors import DecodeError

_FIELDS: Final = 10  # up to the inode; newer kernels add to the end
_WORDS: Final = {8: "1I", 32: "4I"}  # hexadecimal digits of an address → its 32-bit words
_PORTS: Final = range(1 << 16)
_NATIVE: Final = "<" if sys.byteorder == "little" else ">"


class ProcSocket(NamedTuple):
    """One line of a table."""

    local: bytes
    """Raw address, 4 or 16 bytes in network order."""
    local_port: int
    remote: bytes
    remote_port: int
    state: int
    """As the kernel numbers states of TCP, also for UDP."""
    uid: int
    inode: int
    """0 where no process holds it."""


def read_sockets(content: bytes, table: str) -> list[ProcSocket]:
    """Return the sockets of a table.

    A last line without an end is left out: the kernel writes whole lines, so the rest is missing.

    Args:
        content: The file, with its heading.
        table: Its name, for the error.

    Raises:
        DecodeError: A line is not what proc(5) says.
    """
    lines = content.split(b"\n")[1:-1]
    try:
        return [_read_line(line) for line in lines]
    except (ValueError, KeyError) as error:
        raise DecodeError(table, "a line is no socket") from error


def _read_line(line: bytes) -> ProcSocket:
    fields = line.split(maxsplit=_FIELDS)
    if len(fields) < _FIELDS:
        raise ValueError("fields are missing")
    _, local, remote, state, _, _, _, uid, _, inode = fields[:_FIELDS]
    local_address, local_port = _read_end(local)
    remote_address, remote_port = _read_end(remote)
    return ProcSocket(
        local_address, local_port, remote_address, remote_port, int(state, 16), int(uid), int(inode)
    )


def _read_end(end: bytes) -> tuple[bytes, int]:
    address, _, port = end.partition(b":")
    number = int(port, 16)
    if number not in _PORTS:
        raise ValueError("no port")
    return _read_address(address), number


@lru_cache(maxsize=4_096)
def _read_address(digits: bytes) -> bytes:
    """Return an address in network order; the kernel prints its words as the CPU reads them."""
    words = _WORDS[len(digits)]
    raw = bytes.fromhex(digits.decode("ascii"))
    return struct.pack(f"{_NATIVE}{words}", *struct.unpack(f">{words}", raw))
