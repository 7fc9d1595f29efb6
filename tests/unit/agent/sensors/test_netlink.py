import errno
import socket
import struct
from typing import cast

import pytest

from agent.errors import NetlinkError
from agent.sensors.netlink import RECEIVE_BYTES, SocketTable, read_address, read_answer
from agent.sensors.socket_rows import SocketRow, TcpState
from tests.netlink_messages import (
    DUMP_INTR,
    MULTI,
    NOOP,
    SOCK_DIAG,
    Datagrams,
    attribute,
    diag_body,
    done,
    message,
    refusal,
)

LOCAL, REMOTE = ("192.0.2.1", 443), ("198.51.100.7", 50_123)


def row(body: bytes, *, flags: int = MULTI) -> bytes:
    return message(SOCK_DIAG, body, flags=flags)


def read(*datagrams: bytes) -> list[SocketRow]:
    return read_answer(Datagrams(datagrams).recv_into, "tcp").rows


def test_read_answer_fills_every_field() -> None:
    body = diag_body(LOCAL, REMOTE, state=TcpState.SYN_RECV, uid=33, inode=7_001, cookie=2**40)

    assert read(row(body), done()) == [
        SocketRow(
            family=socket.AF_INET,
            protocol="tcp",
            state=TcpState.SYN_RECV,
            local_address="192.0.2.1",
            local_port=443,
            remote_address="198.51.100.7",
            remote_port=50_123,
            uid=33,
            inode=7_001,
            cookie=2**40,
            pid=None,
        )
    ]


def test_read_answer_keeps_order_over_datagrams_and_message_lengths() -> None:
    """Sockets in TIME_WAIT have no attributes, so lengths alternate inside a datagram."""
    plain = [row(diag_body(LOCAL, REMOTE, inode=inode)) for inode in range(1, 6)]
    shutdown = attribute(8, b"\0")
    longer = [
        row(diag_body(LOCAL, REMOTE, inode=inode, attributes=shutdown)) for inode in range(6, 11)
    ]
    mixed = [part for pair in zip(plain, longer, strict=True) for part in pair]

    rows = read(b"".join(mixed), b"".join(plain) + longer[0], longer[1] + done())

    expected = [1, 6, 2, 7, 3, 8, 4, 9, 5, 10, 1, 2, 3, 4, 5, 6, 7]
    assert [each.inode for each in rows] == expected


def test_read_answer_takes_a_last_message_without_padding() -> None:
    body = diag_body(LOCAL, REMOTE, inode=5, attributes=struct.pack("=HHB", 5, 8, 0))
    unpadded = message(SOCK_DIAG, body)[: 16 + len(body)]

    assert [each.inode for each in read(row(body) + unpadded, done())] == [5, 5]


def test_read_answer_skips_messages_of_other_types() -> None:
    noop = message(NOOP, b"12345")

    assert len(read(noop + row(diag_body(LOCAL, REMOTE)), noop + done())) == 1


def test_read_answer_writes_mapped_addresses_as_ipv4() -> None:
    mapped = diag_body(("::ffff:192.0.2.1", 80), ("::ffff:192.0.2.9", 50_000))
    real = diag_body(("2001:db8::1", 80), ("2001:db8::9", 50_000))

    first, second = read(row(mapped), row(real), done())

    assert (first.family, first.local_address) == (socket.AF_INET, "192.0.2.1")
    assert first.remote_address == "192.0.2.9"
    assert (second.family, second.remote_address) == (socket.AF_INET6, "2001:db8::9")


@pytest.mark.parametrize("end", [done(), done(flags=MULTI | DUMP_INTR)])
def test_read_answer_tells_that_the_table_changed(end: bytes) -> None:
    calm, changed = diag_body(LOCAL, REMOTE, inode=1), diag_body(LOCAL, REMOTE, inode=2)

    answer = read_answer(
        Datagrams([row(calm) + row(changed, flags=MULTI | DUMP_INTR) + row(calm), end]).recv_into,
        "tcp",
    )

    assert answer.is_interrupted
    assert [each.inode for each in answer.rows] == [1, 2, 1]


def test_read_answer_is_calm_without_the_flag() -> None:
    assert not read_answer(Datagrams([done()]).recv_into, "udp").is_interrupted


@pytest.mark.parametrize(
    ("datagram", "code"),
    [
        (refusal(errno.ENOENT), errno.ENOENT),
        (done(-errno.EPERM), errno.EPERM),
        (row(diag_body(LOCAL, REMOTE))[:50], errno.EBADMSG),
        (row(diag_body(LOCAL, REMOTE))[:10], errno.EBADMSG),
        (message(SOCK_DIAG, b"short"), errno.EBADMSG),
        (struct.pack("=IHHII", 4, SOCK_DIAG, 0, 0, 0), errno.EBADMSG),
        (struct.pack("=IHHII", 0, NOOP, 0, 0, 0), errno.EBADMSG),
        (bytes(RECEIVE_BYTES + 1), errno.EMSGSIZE),
    ],
)
def test_read_answer_refuses_what_is_broken(datagram: bytes, code: int) -> None:
    with pytest.raises(NetlinkError) as caught:
        read(datagram)

    assert caught.value.errno == code


def test_read_address_of_raw_bytes() -> None:
    assert read_address(b"\x7f\0\0\1") == (socket.AF_INET, "127.0.0.1")
    assert read_address(bytes(15) + b"\1") == (socket.AF_INET6, "::1")


def table(*datagrams: bytes | OSError) -> tuple[SocketTable, Datagrams]:
    kernel = Datagrams(datagrams)
    return SocketTable(open_socket=lambda: cast("socket.socket", kernel)), kernel


def test_table_asks_both_families_for_the_wanted_states() -> None:
    ipv6 = diag_body(("::1", 22), ("::", 0), state=TcpState.LISTEN)
    sockets, kernel = table(row(diag_body(LOCAL, REMOTE)), done(), row(ipv6), done())

    assert [each.local_address for each in sockets.listeners()] == ["192.0.2.1", "::1"]
    wanted = [struct.unpack_from("=BBxxI", request, 16) for request in kernel.requests]
    mask = 1 << TcpState.LISTEN
    assert wanted == [(socket.AF_INET, 6, mask), (socket.AF_INET6, 6, mask)]


def test_table_asks_again_while_the_dump_is_interrupted() -> None:
    torn = done(flags=MULTI | DUMP_INTR)
    one = row(diag_body(LOCAL, REMOTE))
    sockets, kernel = table(one + torn, one + torn, one + one + done(), done())

    assert len(sockets.connections()) == 2
    assert len(kernel.requests) == 4


def test_table_gives_up_on_a_dump_that_is_always_interrupted() -> None:
    sockets, kernel = table(*[done(flags=MULTI | DUMP_INTR)] * 10)

    with pytest.raises(NetlinkError) as caught:
        sockets.connections()

    assert caught.value.errno == errno.EINTR
    assert len(kernel.requests) == 4


def test_table_of_a_kernel_without_ipv6_is_complete() -> None:
    sockets, _ = table(row(diag_body(LOCAL, REMOTE)) + done(), refusal(errno.ENOENT))

    assert [each.protocol for each in sockets.udp()] == ["udp"]


def test_table_of_a_kernel_without_sock_diag_is_an_error() -> None:
    sockets, _ = table(refusal(errno.ENOENT))

    with pytest.raises(NetlinkError, match="dump sockets over netlink"):
        sockets.udp()


def test_table_names_a_silent_kernel() -> None:
    sockets, _ = table(BlockingIOError(errno.EAGAIN, "again"))

    with pytest.raises(NetlinkError) as caught:
        sockets.listeners()

    assert caught.value.errno == errno.EAGAIN


def test_system_without_netlink_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_NETLINK")

    with pytest.raises(NetlinkError) as caught:
        SocketTable().listeners()

    assert caught.value.errno == errno.EPROTONOSUPPORT
