"""Who a server is, and where it listens."""

import socket

import pytest

from analyzer.arns import Arns
from analyzer.errors import AccessError, ListenError
from analyzer.server.http import HttpListener
from analyzer.server.serving import arns_of


def test_account_and_region_are_who_a_server_is() -> None:
    assert arns_of("111122223333", "us-gov-west-1") == Arns("111122223333", "us-gov-west-1")


@pytest.mark.parametrize("account", ["", "1", "1234567890123", "11112222333x", "١١١١٢٢٢٢٣٣٣٣"])
def test_account_has_twelve_digits(account: str) -> None:
    with pytest.raises(AccessError, match="--account"):
        arns_of(account, "us-east-1")


@pytest.mark.parametrize("region", ["", "here", "us-east", "US-EAST-1", "us_east_1"])
def test_region_is_named_as_those_of_aws(region: str) -> None:
    with pytest.raises(AccessError, match="--region"):
        arns_of("000000000000", region)


def test_listener_says_where_it_is() -> None:
    listener = HttpListener("127.0.0.1", 0)
    try:
        assert listener.url == f"http://127.0.0.1:{listener.port}"
        assert listener.port > 0
    finally:
        listener.close()


def test_place_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}: Address already in use"):
            HttpListener("127.0.0.1", port)


def test_place_that_is_nowhere_is_named() -> None:
    with pytest.raises(ListenError, match="--listen"):
        HttpListener("256.0.0.1", 0)
