"""The addresses of this host, as networks: packets from or to others are not its own.

In: the host's network interfaces. Out: networks, the same tuple while nothing has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, TypeAlias

from agent.sensors.interfaces import read_interfaces

Network: TypeAlias = IPv4Network | IPv6Network

_LOOPBACK: Final = ip_network("127.0.0.0/8")  # one interface has all of it


def read_addresses() -> list[str]:
    """Return the addresses of every network interface.

    Raises:
        NetlinkError: The kernel does not tell.
    """
    return [each.address for interface in read_interfaces() for each in interface.addresses]


def networks_of(addresses: Iterable[str]) -> tuple[Network, ...]:
    """Return addresses as networks, loopback always among them."""
    plain = {ip_network(address.partition("%")[0]) for address in addresses}
    return (_LOOPBACK, *sorted(plain, key=str))
