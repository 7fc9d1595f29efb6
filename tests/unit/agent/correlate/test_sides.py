from ipaddress import ip_network

import pytest

from agent.correlate.sides import Direction, Sides, events_of
from agent.decode.facts import ConnectionSeen, ContentSeen, HostCalled, Parties
from rules.telemetry.event import Event

PARTIES = Parties("tcp", "10.0.0.1", 40_000, "192.0.2.7", 443)
OUTBOUND = {
    "direction": "outbound",
    "local_address": "10.0.0.1",
    "local_port": 40_000,
    "remote_address": "192.0.2.7",
    "remote_port": 443,
}
INBOUND = {
    "direction": "inbound",
    "local_address": "192.0.2.7",
    "local_port": 443,
    "remote_address": "10.0.0.1",
    "remote_port": 40_000,
}
END = {"attribution": "unknown", "source": "pcap"}
SEEN = ConnectionSeen(
    PARTIES, 5, 9, has_start=True, client_bytes=100, server_bytes=2_000, app_protocol="tls"
)


def test_without_networks_the_client_is_local() -> None:
    assert Sides().of(PARTIES) == ("outbound",)


@pytest.mark.parametrize(
    ("networks", "directions"),
    [
        (["10.0.0.0/8"], ("outbound",)),
        (["192.0.2.7/32", "fd00::/8"], ("inbound",)),
        (["0.0.0.0/0"], ("outbound", "inbound")),
        (["::/0"], ()),
    ],
)
def test_ends_in_the_networks_are_local(
    networks: list[str], directions: tuple[Direction, ...]
) -> None:
    assert Sides([ip_network(text) for text in networks]).of(PARTIES) == directions


def test_connection_makes_a_row_for_each_end_of_its_life() -> None:
    same = {"protocol": "tcp", "app_protocol": "tls", **OUTBOUND, **END}
    closed = {"state": "closed", "bytes_sent": 100, "bytes_received": 2_000, "duration_us": 4}

    assert events_of(SEEN, "outbound", source="pcap") == [
        Event("connection", 5, None, {**same, "state": "opened"}),
        Event("connection", 9, None, {**same, **closed}),
    ]


def test_other_side_sees_bytes_the_other_way_round() -> None:
    _, closed = events_of(SEEN, "inbound", source="pcap")

    assert INBOUND.items() <= closed.values.items()
    assert (closed.values["bytes_sent"], closed.values["bytes_received"]) == (2_000, 100)


def test_open_connection_has_one_row_and_one_without_start_no_duration() -> None:
    still_open = SEEN._replace(closed_us=None, app_protocol=None)
    without_start = SEEN._replace(has_start=False)

    (opened,) = events_of(still_open, "outbound", source="pcap")
    assert "app_protocol" not in opened.values
    assert "duration_us" not in events_of(without_start, "outbound", source="pcap")[1].values


@pytest.mark.parametrize(("direction", "ends"), [("outbound", OUTBOUND), ("inbound", INBOUND)])
def test_tls_session_makes_one_row_for_a_side(
    direction: Direction, ends: dict[str, object]
) -> None:
    session = ContentSeen("tls_session", 7, PARTIES, {"handshake": "answered"})

    assert events_of(session, direction, source="packets") == [
        Event(
            "tls_session",
            7,
            None,
            {
                **ends,
                "handshake": "answered",
                "attribution": "unknown",
                "source": "packets",
            },
        )
    ]


def test_call_of_an_aws_endpoint_is_told_by_who_calls() -> None:
    call = HostCalled(7, PARTIES, "s3.eu-central-1.amazonaws.com", encrypted=True)

    assert events_of(call, "inbound", source="pcap") == []
    assert events_of(call, "outbound", source="pcap") == [
        Event(
            "aws_call",
            7,
            None,
            {
                "service": "s3",
                "region": "eu-central-1",
                "partition": "aws",
                "variant": "standard",
                "endpoint": "s3.eu-central-1.amazonaws.com",
                "encrypted": True,
                "remote_address": "192.0.2.7",
                "remote_port": 443,
                **END,
            },
        )
    ]


def test_call_at_a_private_address_is_that_of_a_vpc_endpoint() -> None:
    private = PARTIES._replace(server_address="10.0.0.9")
    call = HostCalled(7, private, "sqs.us-east-1.amazonaws.com", encrypted=False)

    (event,) = events_of(call, "outbound", source="pcap")
    assert event.values["variant"] == "vpce_inferred"


def test_call_of_any_other_host_is_none() -> None:
    call = HostCalled(7, PARTIES, "www.example.test", encrypted=True)

    assert events_of(call, "outbound", source="pcap") == []
