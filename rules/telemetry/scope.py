"""Address → scope: how far an address reaches, in one closed word.

In: an address as text, as it stands in telemetry. Out: one of ``SCOPES``, or None for text that
is no address.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache

SCOPES = ("loopback", "link_local", "private", "shared", "multicast", "any", "public")

# First match wins. Source: RFC 6890 and its registries; documentation ranges count as public.
_RANGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("any", ("0.0.0.0/32", "::/128")),
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("link_local", ("169.254.0.0/16", "fe80::/10")),
    ("private", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
    ("shared", ("100.64.0.0/10",)),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
)
_NETWORKS = tuple((scope, ipaddress.ip_network(text)) for scope, texts in _RANGES for text in texts)
_BITS = {
    version: tuple(
        (int(network.netmask), int(network.network_address), scope)
        for scope, network in _NETWORKS
        if network.version == version
    )
    for version in (4, 6)
}
"""Version → mask, bits and scope of each range: a fleet has addresses by the hundred thousand."""
_CACHE_ADDRESSES = 65_536  # bound of each cache below, in distinct addresses
_LONGEST = 64  # characters of an address with a zone; longer text never enters a cache


def scope_of(address: str) -> str | None:
    """Return the scope of ``address``, or None if the text is no IP address."""
    return _scope(address) if len(address) <= _LONGEST else None


def plain_address(address: str) -> str:
    """Return ``address`` with an IPv4-mapped IPv6 address written as IPv4, else unchanged."""
    return _unmapped(address) if ":" in address and len(address) <= _LONGEST else address


@lru_cache(_CACHE_ADDRESSES)
def _scope(address: str) -> str | None:
    if ":" not in address:
        return _scope_of_ipv4(address)
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped
    return _within(4, int(mapped)) if mapped else _within(6, int(parsed))  # without a zone


def _scope_of_ipv4(address: str) -> str | None:
    # What ipaddress takes, by C: a fleet's addresses come by the hundred thousand.
    try:
        packed = socket.inet_pton(socket.AF_INET, address)
    except (OSError, ValueError):
        return None
    return _within(4, int.from_bytes(packed, "big"))


def _within(version: int, number: int) -> str:
    for mask, bits, scope in _BITS[version]:
        if number & mask == bits:
            return scope
    return "public"


@lru_cache(_CACHE_ADDRESSES)
def _unmapped(address: str) -> str:
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)
