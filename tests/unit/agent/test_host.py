"""What the heartbeat says of the host: its system, and by which addresses it is reached."""

import pytest

from agent import host
from agent.errors import NetlinkError
from agent.sensors.facts.host_files import HostFiles
from agent.sensors.interfaces import Interface, InterfaceAddress
from agent.status import HostInterface


def interface(name: str, *addresses: str, is_up: bool = True) -> Interface:
    return Interface(name, None, is_up, 1500, tuple(InterfaceAddress(a, 24) for a in addresses))


@pytest.fixture(autouse=True)
def _no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"/etc/os-release": 'PRETTY_NAME="Debian 12"\n', "/proc/sys/kernel/osrelease": "6.1\n"}
    monkeypatch.setattr(HostFiles, "text", lambda _, path: texts.get(path))


def test_host_is_described_by_what_others_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        interface("eth0", "10.0.0.5", "fe80::1", "fd00::5"),
        interface("eth1", "10.0.1.5", is_up=False),
        interface("lo", "127.0.0.1", "::1"),
    ]
    monkeypatch.setattr(host, "read_interfaces", lambda: found)
    made = host.describe_host()
    assert (made.os_name, made.kernel_release) == ("Debian 12", "6.1")
    assert made.interfaces == (HostInterface("eth0", ("10.0.0.5", "fd00::5")),)


def test_interfaces_that_the_kernel_does_not_tell_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> list[Interface]:
        raise NetlinkError("list interfaces", 1)

    monkeypatch.setattr(host, "read_interfaces", refuse)
    assert host.describe_host().interfaces == ()
