import socket
import sys

import pytest

from agent.decode.proc_net import ProcSocket, read_sockets
from agent.errors import DecodeError

HEADING = (
    b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    b"inode\n"
)
LISTENING = (
    b"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
    b"41234 1 ffff8880 100 0 0 10 0\n"
)
TIME_WAIT = (
    b"  11: 0100007F:D431 0200000A:0050 06 00000000:00000000 03:000012F5 00000000     0        0 0 "
    b"3 ffff8881\n"
)
MAPPED = (
    b"   2: 0000000000000000FFFF00000100007F:01BB 0000000000000000FFFF00000200000A:C001 01 "
    b"00000000:00000000 00:00000000 00000000    33        0 55 1 ffff8882 20 4 30 10 -1\n"
)

little_endian = pytest.mark.skipif(sys.byteorder == "big", reason="recorded on little-endian")


def ip(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


@little_endian
def test_each_line_is_a_socket() -> None:
    assert read_sockets(HEADING + LISTENING + TIME_WAIT, "tcp") == [
        ProcSocket(ip("127.0.0.1"), 8080, ip("0.0.0.0"), 0, 10, 1000, 41234),  # noqa: S104
        ProcSocket(ip("127.0.0.1"), 54321, ip("10.0.0.2"), 80, 6, 0, 0),
    ]


@little_endian
def test_words_of_an_ipv6_address_are_swapped_each() -> None:
    (found,) = read_sockets(HEADING + MAPPED, "tcp6")

    assert (found.local, found.local_port) == (ip("::ffff:127.0.0.1"), 443)
    assert (found.remote, found.remote_port) == (ip("::ffff:10.0.0.2"), 49153)
    assert (found.state, found.uid, found.inode) == (1, 33, 55)


def test_line_without_end_is_left_out() -> None:
    assert len(read_sockets(HEADING + LISTENING + TIME_WAIT[:-9], "tcp")) == 1


@pytest.mark.parametrize("content", [b"", HEADING])
def test_table_without_sockets_is_empty(content: bytes) -> None:
    assert read_sockets(content, "tcp") == []


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        LISTENING.replace(b"0100007F", b"0100007"),
        LISTENING.replace(b"0100007F", b"0100007G"),
        LISTENING.replace(b"1F90", b"11F90"),
        LISTENING.replace(b"1F90", b""),
        LISTENING.replace(b" 1000 ", b" root "),
        LISTENING[:80] + b"\n",
    ],
)
def test_what_is_no_table_is_refused(line: bytes) -> None:
    with pytest.raises(DecodeError, match="cannot decode tcp: a line is no socket"):
        read_sockets(HEADING + line, "tcp")
