"""Scopes of any text against the networks that ``ipaddress`` knows."""

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from rules.telemetry.scope import _RANGES, scope_of

octets = st.one_of(
    st.integers(0, 300).map(str),
    st.sampled_from(["", "01", "+1", " 1", "1 ", "0x1", "\u0661", "\0"]),
)
almost = st.lists(octets, min_size=3, max_size=5).map(".".join)
addresses = st.one_of(st.ip_addresses().map(str), almost, st.text(max_size=20))


def expected(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    for scope, networks in _RANGES:
        if any(address in ipaddress.ip_network(network) for network in networks):
            return scope
    return "public"


@given(addresses)
@example("::ffff:10.0.0.1")
@example("fe80::1%eth0")
@example("10.0.0.1\ud800")
def test_scope_is_that_of_the_network(text: str) -> None:
    assert scope_of(text) == expected(text)
