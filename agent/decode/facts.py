"""Facts about traffic: what packets show, before anybody asks whose they are.

In: nothing. Out: the types. A fact names client and server; which of them is this host, and which
process it was, is decided by the correlation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

Transport = Literal["tcp", "udp"]


class Parties(NamedTuple):
    """Who talks with whom."""

    protocol: Transport
    client_address: str
    client_port: int
    server_address: str
    server_port: int


class ConnectionSeen(NamedTuple):
    """A connection or UDP flow, as far as its packets were seen."""

    parties: Parties
    opened_us: int
    closed_us: int | None
    """None while it is open."""
    has_start: bool
    """Whether its first packet was seen: only then its duration is known."""
    client_bytes: int
    """Payload that the client sent, each byte once."""
    server_bytes: int
    app_protocol: str | None


class ContentSeen(NamedTuple):
    """What payload showed: one row of a telemetry kind, for each side."""

    kind: Literal["tls_session", "imds_request", "dns_answer"]
    ts_us: int
    parties: Parties
    values: Mapping[str, Any]
    """Columns of the kind that do not depend on the side."""


class HostCalled(NamedTuple):
    """A client named the host that it wants to talk to."""

    ts_us: int
    parties: Parties
    host: str
    encrypted: bool


class ProtocolSeen(NamedTuple):
    """It became certain, or changed, what a connection speaks."""

    ts_us: int
    parties: Parties
    app_protocol: str


Fact: TypeAlias = ConnectionSeen | ContentSeen | HostCalled | ProtocolSeen
