import pytest

from analyzer.broker.port import is_open_to_network, take_port
from analyzer.errors import BrokerError


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),  # noqa: S104 (nothing is bound)
        ("::", True),
        ("10.0.0.5", True),
        ("broker.example", True),
    ],
)
def test_addresses_that_others_can_reach(host: str, is_open: bool) -> None:  # noqa: FBT001
    assert is_open_to_network(host) is is_open


def test_address_of_another_host_is_refused() -> None:
    with pytest.raises(BrokerError, match=r"cannot listen on 192\.0\.2\.1:1883: Cannot assign"):
        take_port("192.0.2.1", 1883)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_free_port_is_found(host: str) -> None:
    assert 1024 < take_port(host, 0) < 65_536
