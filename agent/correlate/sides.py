"""Sides: facts about traffic become events of this host, one for each end that is its own.

In: a fact and which of its ends are local. Out: events without a process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Literal, TypeAlias

from agent.aws import classify, seen_at
from agent.decode.facts import (
    ConnectionSeen,
    ContentSeen,
    Fact,
    HostCalled,
    Parties,
    ProtocolSeen,
)
from rules.telemetry.event import Event
from rules.telemetry.scope import scope_of

Direction = Literal["outbound", "inbound"]
Network: TypeAlias = IPv4Network | IPv6Network

_CACHED_ADDRESSES = 4096


class Sides:
    """Which ends are local: those in ``networks``, or without any the client."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._is_local = lru_cache(_CACHED_ADDRESSES)(self._look_up)

    @property
    def are_guessed(self) -> bool:
        """Tell whether the client is taken for the host, since no address is known to be."""
        return not self._networks

    def of(self, parties: Parties) -> tuple[Direction, ...]:
        """Return the directions that the local ends see; none where both are others'."""
        if not self._networks:
            return ("outbound",)
        directions: list[Direction] = []
        if self._is_local(parties.client_address):
            directions.append("outbound")
        if self._is_local(parties.server_address):
            directions.append("inbound")
        return tuple(directions)

    def _look_up(self, address: str) -> bool:
        parsed = ip_address(address)
        return any(
            parsed.version == network.version and parsed in network for network in self._networks
        )


def events_of(fact: Fact, direction: Direction, *, source: str) -> list[Event]:
    """Return the events that a fact makes on one side.

    Args:
        fact: What packets showed.
        direction: ``outbound`` where the client is local, ``inbound`` where the server is.
        source: What observed it, as events state it.
    """
    end = {"attribution": "unknown", "source": source}
    if isinstance(fact, ConnectionSeen):
        return _connection(fact, direction, end)
    if isinstance(fact, ContentSeen) and fact.kind == "tls_session":
        values = {**_ends(fact.parties, direction), **fact.values, **end}
        return [Event(fact.kind, fact.ts_us, None, values)]
    if isinstance(fact, ProtocolSeen) or direction == "inbound":
        return []  # protocols stand on connections; requests and answers are told by who asks
    if isinstance(fact, HostCalled):
        return _aws_call(fact, end)
    values = {**fact.values, **end}
    if fact.kind == "imds_request":
        values["remote_address"] = fact.parties.server_address
    return [Event(fact.kind, fact.ts_us, None, values)]


def _connection(fact: ConnectionSeen, direction: Direction, end: Mapping[str, Any]) -> list[Event]:
    values = {"protocol": fact.parties.protocol, **_ends(fact.parties, direction)}
    if fact.app_protocol is not None:
        values["app_protocol"] = fact.app_protocol
    values |= end
    events = [Event("connection", fact.opened_us, None, {**values, "state": "opened"})]
    if fact.closed_us is not None:
        sizes = (fact.client_bytes, fact.server_bytes)
        sent, received = sizes if direction == "outbound" else sizes[::-1]
        values |= {"state": "closed", "bytes_sent": sent, "bytes_received": received}
        if fact.has_start:
            values["duration_us"] = max(0, fact.closed_us - fact.opened_us)
        events.append(Event("connection", fact.closed_us, None, values))
    return events


def _aws_call(fact: HostCalled, end: Mapping[str, Any]) -> list[Event]:
    endpoint = classify(fact.host)
    if endpoint is None:
        return []
    address = fact.parties.server_address
    values = {
        **seen_at(endpoint, scope_of(address))._asdict(),
        "endpoint": fact.host,
        "encrypted": fact.encrypted,
        "remote_address": address,
        "remote_port": fact.parties.server_port,
        **end,
    }
    present = {name: value for name, value in values.items() if value is not None}
    return [Event("aws_call", fact.ts_us, None, present)]


def _ends(parties: Parties, direction: Direction) -> dict[str, Any]:
    _, client_address, client_port, server_address, server_port = parties
    client, server = (client_address, client_port), (server_address, server_port)
    local, remote = (client, server) if direction == "outbound" else (server, client)
    return {
        "direction": direction,
        "local_address": local[0],
        "local_port": local[1],
        "remote_address": remote[0],
        "remote_port": remote[1],
    }
