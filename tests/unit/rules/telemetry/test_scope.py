import pytest

from rules.telemetry.scope import SCOPES, plain_address, scope_of

TABLE = """
loopback 127.0.0.0 127.0.0.1 127.255.255.255 ::1 0:0:0:0:0:0:0:1
link_local 169.254.0.0 169.254.169.254 169.254.255.255 fe80:: fe80::1%eth0 febf:ffff::
private 10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255
private fc00:: fd00:ec2::254 fdff::
shared 100.64.0.0 100.127.255.255
multicast 224.0.0.0 239.255.255.255 ff00:: ff02::1 ffff::
any 0.0.0.0 ::
public 0.0.0.1 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
public 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0
public 192.0.2.1 198.51.100.1 203.0.113.1 2001:db8::1 223.255.255.255 240.0.0.0 255.255.255.255
public ::2 fe7f:: fec0:: fbff:: fe00:: 2600::1
loopback ::ffff:127.0.0.1
private ::ffff:10.0.0.9 ::FFFF:a00:9
any ::ffff:0.0.0.0
public ::ffff:1.1.1.1
"""
CASES = [(address, row.split()[0]) for row in TABLE.split("\n") for address in row.split()[1:]]


@pytest.mark.parametrize(("address", "scope"), CASES)
def test_scope_follows_the_contract(address: str, scope: str) -> None:
    assert scope in SCOPES
    assert scope_of(address) == scope


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0", "10.0.0.256", "::g", "1" * 10_000])
def test_text_that_is_no_address_has_no_scope(text: str) -> None:
    assert scope_of(text) is None


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("10.0.0.9", "10.0.0.9"),
        ("::ffff:10.0.0.9", "10.0.0.9"),
        ("::FFFF:0a00:0009", "10.0.0.9"),
        ("0:0:0:0:0:ffff:10.0.0.9", "10.0.0.9"),
        ("::1", "::1"),
        ("FE80::1", "FE80::1"),
        ("no: address", "no: address"),
        (":" * 10_000, ":" * 10_000),
        ("", ""),
    ],
)
def test_only_ipv4_mapped_addresses_are_rewritten(address: str, plain: str) -> None:
    assert plain_address(address) == plain
