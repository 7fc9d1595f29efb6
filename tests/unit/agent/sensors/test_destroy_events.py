import errno
import socket

import pytest

from agent.errors import NetlinkError
from agent.sensors.destroy_events import read_destroy_event
from agent.sensors.socket_rows import ClosedSocket
from tests.netlink_messages import NOOP, SOCK_DIAG, attribute, diag_body, message, tcp_info

LOCAL, REMOTE = ("192.0.2.1", 40_000), ("198.51.100.7", 443)
INFO, PROTOCOL = 2, 10


def read(
    info: bytes, local: tuple[str, int] = LOCAL, remote: tuple[str, int] = REMOTE
) -> ClosedSocket | None:
    attributes = attribute(PROTOCOL, b"\x06") + (attribute(INFO, info) if info else b"")
    data = message(SOCK_DIAG, diag_body(local, remote, cookie=99, attributes=attributes), flags=0)
    return read_destroy_event(bytearray(data), len(data))


def test_closed_connection_has_tuple_and_payload() -> None:
    info = tcp_info(rtt_us=30, acked=1_002, received=6, segments_in=1, sent=1_400, sent_again=400)

    assert read(info) == ClosedSocket(
        family=socket.AF_INET,
        local_address="192.0.2.1",
        local_port=40_000,
        remote_address="198.51.100.7",
        remote_port=443,
        cookie=99,
        established=True,
        bytes_sent=1_000,
        bytes_received=6,
    )


def test_closed_connection_of_a_mapped_address_is_ipv4() -> None:
    closed = read(tcp_info(rtt_us=1), ("::ffff:192.0.2.1", 80), ("::ffff:192.0.2.2", 50_000))

    assert closed is not None
    assert (closed.family, closed.local_address) == (socket.AF_INET, "192.0.2.1")


def test_fin_alone_is_no_payload() -> None:
    closed = read(tcp_info(rtt_us=1, received=1))

    assert closed is not None
    assert closed.bytes_received == 0


@pytest.mark.parametrize(
    ("info", "established"),
    [
        (tcp_info(), False),
        (tcp_info(options=7), True),
        (tcp_info(rtt_us=5), True),
        (tcp_info(acked=1), True),
        (tcp_info(received=1), True),
        (tcp_info(window=65_483), True),
        (b"", False),
    ],
)
def test_handshake_leaves_traces(info: bytes, *, established: bool) -> None:
    closed = read(info)

    assert closed is not None
    assert closed.established is established


def test_aborted_connection_has_no_peer_and_no_bytes() -> None:
    closed = read(tcp_info(window=65_483), remote=("192.0.2.7", 0))

    assert closed is not None
    assert (closed.remote_port, closed.established) == (0, True)
    assert (closed.bytes_sent, closed.bytes_received) == (None, None)


def test_older_kernel_does_not_tell_bytes_sent() -> None:
    closed = read(tcp_info(rtt_us=9, received=10, segments_in=2)[:192])

    assert closed is not None
    assert (closed.bytes_sent, closed.bytes_received) == (None, 10)


def test_socket_that_was_never_bound_is_no_event() -> None:
    assert read(tcp_info(), ("192.0.2.1", 0), ("192.0.2.1", 0)) is None


def test_other_messages_are_no_events() -> None:
    data = message(NOOP, bytes(80))

    assert read_destroy_event(bytearray(data), len(data)) is None


def test_attribute_that_leaves_its_frame_is_refused() -> None:
    body = diag_body(LOCAL, REMOTE, attributes=b"\xff\xff\x02\x00")
    data = message(SOCK_DIAG, body)

    with pytest.raises(NetlinkError) as caught:
        read_destroy_event(bytearray(data), len(data))

    assert caught.value.errno == errno.EBADMSG
