"""Connection telemetry of one busy host, made up but shaped like the real thing; seeded.

A web and database host: 60 process instances, 400 peers and 12 services, each used as often as its
rank allows (Zipf), ephemeral ports as Linux deals them, lives and byte counts log-normal. A batch
covers two seconds: connections that began before it only close in it, and the other way round.
"""

from __future__ import annotations

import ipaddress
import math
import random
from itertools import accumulate
from typing import Any, NamedTuple

from rules.telemetry import Batch, BatchBuilder, Event, Header, Process

START_US = 1_790_000_000_000_000
SPAN_US = 2_000_000
PROGRAMS = ("nginx", "postgres", "python3", "java", "node", "redis-server", "envoy", "sshd")
SERVICES = (443, 5432, 6379, 80, 8080, 53, 9092, 3306, 22, 11211, 8443, 9100)
APP_PROTOCOLS = ("tls", "http", "postgresql", "redis", None, None)
LOCAL_ADDRESSES = ("10.0.4.12", "127.0.0.1", "172.17.0.1")
PROCESSES, PEERS = 60, 400


class Ranked(NamedTuple):
    """Things and how often each is used."""

    items: list[Any]
    weights: list[float]

    @classmethod
    def of(cls, items: list[Any]) -> Ranked:
        """Return things that are used in proportion to 1 / rank."""
        return cls(items, list(accumulate(1 / rank for rank in range(1, len(items) + 1))))

    def draw(self, rng: random.Random) -> Any:  # noqa: ANN401
        """Return one of them."""
        return rng.choices(self.items, cum_weights=self.weights)[0]


class Host(NamedTuple):
    """What lives on the host and around it."""

    processes: Ranked
    peers: Ranked
    services: Ranked


def make_host(rng: random.Random) -> Host:
    """Return a host."""
    return Host(
        Ranked.of([_process(rng) for _ in range(PROCESSES)]),
        Ranked.of([_address(rng) for _ in range(PEERS)]),
        Ranked.of(list(SERVICES)),
    )


def make_events(count: int, *, seed: int) -> list[Event]:
    """Return ``count`` events of one host inside two seconds, in the order of time."""
    rng = random.Random(seed)
    host = make_host(rng)
    events: list[Event] = []
    while len(events) < count:
        events.extend(_connection(rng, host))
    return sorted(events[:count], key=lambda event: event.ts_us)


def make_batch(events: list[Event], *, seed: int) -> Batch:
    """Return events as one batch."""
    builder = BatchBuilder()
    for event in events:
        builder.add(event)
    boot_id = f"{random.Random(seed).getrandbits(128):032x}"
    return builder.build(
        Header(
            agent_id="i-0123456789abcdef0",
            boot_id=boot_id,
            stream="main",
            sequence=4711,
            from_us=START_US,
            to_us=START_US + SPAN_US,
            runs=("run-1",),
            kinds=("connection",),
        )
    )


def _process(rng: random.Random) -> Process:
    name = rng.choice(PROGRAMS)
    in_container = rng.random() < 0.5  # noqa: PLR2004
    return Process(
        pid=rng.randrange(300, 4_000_000),
        start_us=START_US - rng.randrange(10**12),
        name=name,
        path=f"/usr/{rng.choice(('bin', 'sbin', 'local/bin'))}/{name}",
        parent_pid=rng.randrange(1, 5_000),
        uid=rng.choice((0, 33, 101, 999, 1_000)),
        user=rng.choice(("root", "www-data", "postgres", "app")),
        container_id=f"{rng.getrandbits(256):064x}" if in_container else None,
    )


def _address(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.05:  # noqa: PLR2004
        return str(ipaddress.IPv6Address((0x2600 << 112) | rng.getrandbits(100)))
    if roll < 0.6:  # noqa: PLR2004
        return str(ipaddress.IPv4Address((10 << 24) | rng.getrandbits(18)))
    return str(ipaddress.IPv4Address(rng.getrandbits(31) + (1 << 24)))


def _connection(rng: random.Random, host: Host) -> list[Event]:
    """Return the rows of one connection that fall into the span: none, one or two."""
    process = host.processes.draw(rng)
    opened_us = rng.randrange(-SPAN_US, SPAN_US)
    duration_us = round(rng.lognormvariate(math.log(60_000), 2))
    values = _endpoints(rng, host) | {
        "protocol": "udp" if rng.random() < 0.05 else "tcp",  # noqa: PLR2004
        "attribution": "polled" if rng.random() < 0.03 else "exact",  # noqa: PLR2004
        "source": "perf",
    }
    app_protocol = rng.choice(APP_PROTOCOLS)
    if app_protocol is not None:
        values["app_protocol"] = app_protocol
    closing = {
        "duration_us": duration_us,
        "bytes_sent": round(rng.lognormvariate(6.5, 1.5)),
        "bytes_received": round(rng.lognormvariate(8, 2)),
    }
    return [
        Event("connection", START_US + at_us, process, {**values, "state": state, **more})
        for at_us, state, more in (
            (opened_us, "opened", {}),
            (opened_us + duration_us, "closed", closing),
        )
        if 0 <= at_us < SPAN_US
    ]


def _endpoints(rng: random.Random, host: Host) -> dict[str, Any]:
    is_inbound = rng.random() < 0.35  # noqa: PLR2004
    ephemeral, service = rng.randrange(32_768, 61_000), host.services.draw(rng)
    return {
        "direction": "inbound" if is_inbound else "outbound",
        "local_address": rng.choices(LOCAL_ADDRESSES, (80, 15, 5))[0],
        "local_port": service if is_inbound else ephemeral,
        "remote_address": host.peers.draw(rng),
        "remote_port": ephemeral if is_inbound else service,
    }
