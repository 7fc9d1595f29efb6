"""Connections of a host: flows of two rows each, some of them breaking a rule, some in bursts.

In: a host and how many rows. Out: a draft of ``connection`` rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.fleet import names
from benchmarks.fleet.draft import Draft
from benchmarks.fleet.draw import Ints, chosen, moments, sizes, skewed, weighted
from benchmarks.fleet.shape import END_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.fleet.world import Host, Ids, World

    _Fault = Callable[[np.random.Generator, World, Host, Draft, Ints], None]

_INBOUND, _PUBLIC, _PUBLIC_6, _POLLED, _UNKNOWN = 0.35, 0.25, 0.05, 0.03, 0.005
_PEERS: Final = 400  # of each sort that one host talks to
_DURATION_US, _SENT, _RECEIVED = (60_000, 2.0), (650, 1.5), (3_000, 2.0)  # median and spread
_LARGEST_BYTES: Final = 50_000_000  # of a flow that breaks no rule
_EPHEMERAL: Final = (32_768, 61_000)


def draw_flows(rng: np.random.Generator, world: World, host: Host, count: int) -> Draft:
    """Return flows without their second rows; ``duration_us`` and bytes are those of their end."""
    ts_us = moments(rng, count)
    flows = Draft("connection", ts_us, host.pick(rng, ts_us))
    inbound = rng.random(count) < _INBOUND
    service = np.array(names.SERVICE_PORTS)[weighted(rng, count, names.SERVICE_WEIGHTS)]
    ephemeral = rng.integers(*_EPHEMERAL, count)
    is_udp = np.isin(service, names.UDP_PORTS)
    flows.put(
        "direction",
        np.where(inbound, flows.code("direction", "inbound"), flows.code("direction", "outbound")),
    )
    flows.put(
        "protocol",
        np.where(is_udp, flows.code("protocol", "udp"), flows.code("protocol", "tcp")),
    )
    flows.put("local_address", host.address)
    flows.put("local_port", np.where(inbound, service, ephemeral))
    flows.put("remote_address", _peers(rng, world, host, count))
    flows.put("remote_port", np.where(inbound, ephemeral, service))
    _put_ends(rng, flows)
    _put_protocols(rng, flows, service)
    polled = rng.random(count) < _POLLED
    flows.put(
        "attribution",
        np.where(polled, flows.code("attribution", "polled"), flows.code("attribution", "exact")),
    )
    flows.put("source", flows.code("source", "perf"))
    return flows


def forget_some(rng: np.random.Generator, flows: Draft) -> None:
    """Leave some flows without a process, as real sensors do."""
    flows.forget_process(np.flatnonzero(rng.random(len(flows)) < _UNKNOWN))


def break_rules(
    rng: np.random.Generator, world: World, host: Host, flows: Draft, *, violating: int
) -> None:
    """Turn one flow in so many into one that a rule on single events looks for."""
    places = chosen(rng, len(flows), one_in=violating)
    which = rng.integers(0, len(_FAULTS), len(places))
    for number, fault in enumerate(_FAULTS):
        at = places[which == number]
        if len(at):
            fault(rng, world, host, flows, at)


def with_ends(flows: Draft, rows: int) -> Draft:
    """Return both rows of every flow, ``rows`` of them: the last flow may lack its end."""
    count = len(flows)
    ends = rows - count
    source = np.concatenate((np.arange(count), np.arange(ends)))
    is_end = np.arange(rows) >= count
    duration_us = flows["duration_us"][source]
    ts_us = flows.ts_us[source] + np.where(is_end, duration_us, 0)
    both = Draft("connection", np.minimum(ts_us, END_US - 1), flows.process[source])
    for name in (
        *("direction", "protocol", "local_address", "local_port", "remote_address"),
        *("remote_port", "app_protocol", "attribution", "source"),
    ):
        both.put(name, flows[name][source])
    both.put("state", np.where(is_end, both.code("state", "closed"), both.code("state", "opened")))
    for name in ("duration_us", "bytes_sent", "bytes_received"):
        both.put(name, flows[name][source], valid=is_end)
    return both


def send_outbound(
    rng: np.random.Generator, flows: Draft, at: Ints, ports: Ints, *, protocol: str = "tcp"
) -> None:
    """Make flows outbound ones to ``ports``."""
    flows["direction"][at] = flows.code("direction", "outbound")
    flows["protocol"][at] = flows.code("protocol", protocol)
    flows["local_port"][at] = rng.integers(*_EPHEMERAL, len(at))
    flows["remote_port"][at] = ports
    flows["app_protocol"][at] = 0


def _peers(rng: np.random.Generator, world: World, host: Host, count: int) -> Ids:
    """Return peers of a host: its own few hundred of each pool, the first ones most often."""
    place = skewed(rng, count, _PEERS) + host.number * 97
    sort = rng.random(count)
    return np.select(
        [sort < _PUBLIC_6, sort < _PUBLIC_6 + _PUBLIC],
        [world.public_6[place % len(world.public_6)], world.public[place % len(world.public)]],
        world.private[place % len(world.private)],
    )


def _put_ends(rng: np.random.Generator, flows: Draft) -> None:
    count = len(flows)
    lives = sizes(rng, count, median=_DURATION_US[0], spread=_DURATION_US[1])
    flows.put("duration_us", np.minimum(lives, END_US - 1 - flows.ts_us))
    for name, (median, spread) in (("bytes_sent", _SENT), ("bytes_received", _RECEIVED)):
        drawn = sizes(rng, count, median=median, spread=spread)
        flows.put(name, np.minimum(drawn, _LARGEST_BYTES))


def _put_protocols(rng: np.random.Generator, flows: Draft, service: Ints) -> None:
    table = np.zeros(1 << 16, np.uint8)
    for port, name in names.APP_PROTOCOLS.items():
        table[port] = flows.code("app_protocol", name)
    seen = rng.random(len(flows)) < 0.6  # noqa: PLR2004
    flows.put("app_protocol", np.where(seen, table[service], 0))


def _to_ports(*ports: int, protocol: str = "tcp", rogue: int | None = None) -> _Fault:
    """Return a fault: outbound flows to one of ``ports``."""

    def fault(rng: np.random.Generator, world: World, host: Host, flows: Draft, at: Ints) -> None:
        del world
        send_outbound(rng, flows, at, rng.choice(ports, len(at)), protocol=protocol)
        if rogue is not None:
            flows.process[at] = host.rogue(rogue)

    return fault


def _by_rogue(which: int) -> _Fault:
    """Return a fault: outbound flows of a process that should not be there."""

    def fault(rng: np.random.Generator, world: World, host: Host, flows: Draft, at: Ints) -> None:
        del world
        send_outbound(rng, flows, at, rng.choice(names.SERVICE_PORTS[:1], len(at)))
        flows.process[at] = host.rogue(which)

    return fault


def _inbound_windows(
    rng: np.random.Generator, world: World, host: Host, flows: Draft, at: Ints
) -> None:
    del world, host
    flows["direction"][at] = flows.code("direction", "inbound")
    flows["protocol"][at] = flows.code("protocol", "tcp")
    flows["local_port"][at] = rng.choice((445, 3389), len(at))
    flows["remote_port"][at] = rng.integers(*_EPHEMERAL, len(at))


def _upload(rng: np.random.Generator, world: World, host: Host, flows: Draft, at: Ints) -> None:
    send_outbound(rng, flows, at, np.full(len(at), 443))
    flows["remote_address"][at] = world.public[rng.integers(0, len(world.public), len(at))]
    flows["bytes_sent"][at] = rng.integers(310_000_000, 400_000_000, len(at))
    del host


def _clear_text(rng: np.random.Generator, world: World, host: Host, flows: Draft, at: Ints) -> None:
    send_outbound(rng, flows, at, np.full(len(at), 8_080))
    flows["remote_address"][at] = world.public[rng.integers(0, len(world.public), len(at))]
    flows["app_protocol"][at] = rng.choice(
        flows.codes("app_protocol", ("ftp", "telnet", "pop3")), len(at)
    )
    del host


def _metadata_by_rogue(
    rng: np.random.Generator, world: World, host: Host, flows: Draft, at: Ints
) -> None:
    send_outbound(rng, flows, at, np.full(len(at), 80))
    flows["remote_address"][at] = world.id("169.254.169.254")
    flows.process[at] = host.rogue(names.IN_MEMORY)


_FAULTS: Final = (
    _to_ports(23, 2323),
    _to_ports(20, 21),
    _to_ports(512, 513, 514),
    _inbound_windows,
    _to_ports(69, 161, 1900, protocol="udp"),
    _to_ports(25, rogue=names.ROOT_SYNC),
    _by_rogue(names.NETCAT),
    _by_rogue(names.DELETED),
    _by_rogue(names.IN_MEMORY),
    _upload,
    _to_ports(*names.BACKDOOR_PORTS, rogue=names.ROOT_SYNC),
    _clear_text,
    _metadata_by_rogue,
)
