import socket
import struct
from typing import Self

import psutil
import pytest

from agent.errors import NetlinkError
from agent.sensors import interfaces
from agent.sensors.interfaces import Interface, InterfaceAddress, read_interfaces
from tests.netlink_messages import attribute, done, message, refusal

NEW_LINK, NEW_ADDRESS = 16, 20
Address = tuple[str, int]


class Answers:
    """A netlink socket that answers each request with the next datagrams."""

    def __init__(self, *dumps: list[bytes]) -> None:
        self.dumps = list(dumps)
        self.waiting: list[bytes] = []

    def __call__(self, _: int) -> Self:
        self.waiting = self.dumps.pop(0)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.waiting == []

    def send(self, _: bytes) -> None:
        """Take a request."""

    def recv(self, _: int) -> bytes:
        return self.waiting.pop(0)


def address_of(index: int, family: int, prefix_length: int, *attributes: bytes) -> bytes:
    head = struct.pack("=BBxxI", family, prefix_length, index)
    return message(NEW_ADDRESS, head + b"".join(attributes))


def link(index: int, flags: int, *attributes: bytes) -> bytes:
    return message(NEW_LINK, struct.pack("=4xiI4x", index, flags) + b"".join(attributes))


def test_interfaces_are_those_of_psutil() -> None:
    states = psutil.net_if_stats()
    expected: dict[str, tuple[bool, int, str | None, set[str]]] = {}
    for name, entries in psutil.net_if_addrs().items():
        macs = [entry.address for entry in entries if entry.family == psutil.AF_LINK]
        own = {e.address.partition("%")[0] for e in entries if e.family != psutil.AF_LINK}
        expected[name] = (states[name].isup, states[name].mtu, next(iter(macs), None), own)

    found = {
        each.name: (each.is_up, each.mtu_bytes, each.mac, {a.address for a in each.addresses})
        for each in read_interfaces()
    }

    assert found == expected


def test_of_an_address_with_a_peer_the_local_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    peer, own = (socket.inet_aton(text) for text in ("198.51.100.1", "192.0.2.9"))
    told = address_of(3, socket.AF_INET, 32, attribute(1, peer), attribute(2, own))
    other = address_of(3, socket.AF_INET, 24, attribute(1, b"\1\2"))  # too short
    tunnel = link(3, 0x40, attribute(3, b"tun0\0"), attribute(4, struct.pack("=I", 1_400)))
    answers = Answers([told + other, done()], [tunnel + done()])
    monkeypatch.setattr(interfaces, "open_netlink", answers)

    assert read_interfaces() == [
        Interface(
            "tun0",
            None,
            is_up=True,
            mtu_bytes=1_400,
            addresses=(InterfaceAddress("192.0.2.9", 32),),
        )
    ]


@pytest.mark.parametrize("datagram", [refusal(1), b"\x08", message(NEW_ADDRESS, b"")[:-4]])
def test_a_kernel_that_refuses_or_answers_nonsense_is_named(
    datagram: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interfaces, "open_netlink", Answers([datagram]))

    with pytest.raises(NetlinkError):
        read_interfaces()
