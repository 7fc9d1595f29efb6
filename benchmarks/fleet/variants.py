"""Variants: more detections like the forty patterns, with other ports, names and limits.

In: a seeded generator. Out: plain detections: of 460, 295 on single events, 92 on windows, 23 on
absence and 50 on sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.fleet import names
from benchmarks.fleet.patterns import (
    METADATA,
    OUTBOUND,
    absence,
    event,
    selector,
    sequence,
    started,
    threshold,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    Plain = dict[str, Any]
    Make = Callable[[random.Random], Plain]

_PORTS: Final = (
    *(20, 21, 23, 69, 161, 445, 512, 513, 514, 1900, 2323, 3389, 25, 111, 873, 1080, 6667, 9050),
    *names.BACKDOOR_PORTS,
    *range(7_000, 7_040),
)
_SERVICES: Final = names.DAEMONS[14:]
_CYCLE: Final = 20
_EVENTS, _WINDOWS, _ABSENCES = 13, 17, 18  # places in a cycle of 20 below which a sort stands


def variant(rng: random.Random, number: int) -> Plain:
    """Return the detection of one more rule; ``number`` decides its sort."""
    place = number * 7 % _CYCLE  # spreads the sorts, so that every pack is mixed alike
    if place < _EVENTS:
        return rng.choice(_EVENT_VARIANTS)(rng)
    if place < _WINDOWS:
        return rng.choice(_WINDOW_VARIANTS)(rng)
    if place < _ABSENCES:
        user, below = rng.choice(("root", "app", "postgres")), rng.choice((1_024, 10_000))
        return absence({"user": user, "local_port": {"lt": below}})
    if place == _ABSENCES:
        return _sequence(rng, list(names.BACKDOOR_PORTS))
    return _sequence(rng, rng.sample(_PORTS, 10))


def _sequence(rng: random.Random, ports: list[int]) -> Plain:
    commands = rng.sample(names.COMMANDS, rng.randint(1, 5))
    then = selector("connection", {**OUTBOUND, "remote_port": {"in": ports}})
    return sequence(started(process_name={"in": commands}), then)


def _ports(rng: random.Random) -> Plain:
    ports = rng.sample(_PORTS, rng.randint(1, 4))
    direction = rng.choice(("inbound", "outbound"))
    return event("connection", {"remote_port": {"in": ports}, "direction": direction})


def _path(rng: random.Random) -> Plain:
    folder = rng.choice(("/dev/shm/", "/tmp/", "/run/", "/home/"))  # noqa: S108
    ports = {"in": rng.sample(_PORTS, 3)}
    return event("connection", {"process_path": {"starts_with": folder}, "remote_port": ports})


def _address(rng: random.Random) -> Plain:
    peers = [METADATA, *(f"203.0.113.{rng.randrange(256)}" for _ in range(8))]
    user = rng.choice(("nobody", "postgres"))
    return event("connection", {"remote_address": {"in": peers}, "user": user})


def _service_ports(rng: random.Random) -> Plain:
    services = {"in": rng.sample(_SERVICES, 3)}
    ports = {"in": rng.sample(_PORTS, 5)}
    return event("connection", {**OUTBOUND, "process_name": services, "remote_port": ports})


def _upload(rng: random.Random) -> Plain:
    sent = {"gt": rng.choice((200, 350, 800)) * 1_000_000}
    services = {"in": rng.sample(_SERVICES, 20)}
    return event(
        "connection", {"bytes_sent": sent, "process_name": services, "remote_scope": "public"}
    )


def _version(rng: random.Random) -> Plain:
    versions = {"in": list(rng.sample(names.OLD_TLS, rng.randint(1, 3)))}
    name = {"ends_with": f"{rng.randrange(10)}.svc.example.com"}
    return event("tls_session", {"tls_version": versions, "server_name": name})


def _certificate(rng: random.Random) -> Plain:
    left = {"lt": rng.choice((0, 3, 7)) * 86_400}
    name = {"starts_with": f"db{rng.randrange(10)}"}
    return event("tls_session", {"cert_remaining_s": left, "server_name": name})


def _cipher(rng: random.Random) -> Plain:
    cipher = rng.choice(names.WEAK_CIPHERS)[1]
    services = {"in": rng.sample(_SERVICES, 20)}
    return event("tls_session", {"cipher_suite": cipher, "process_name": services})


def _clear_call(rng: random.Random) -> Plain:
    service = rng.choice(names.AWS_SERVICES)
    region = {"in": rng.sample(names.REGIONS, 2)}
    return event("aws_call", {"encrypted": False, "service": service, "region": region})


def _metadata(rng: random.Random) -> Plain:
    name = {"starts_with": f"svc-0{rng.randrange(10)}"}
    where = {"imds_version": 1, "purpose": "credentials", "process_name": name}
    return event("imds_request", where, group_by=("process_name",))


def _flood(rng: random.Random) -> Plain:
    within, above = rng.choice((("60s", 900), ("5m", 1_300))), rng.randint(0, 500)
    count = {"gt": within[1] + above}
    return threshold("connection", {"state": "opened"}, within=within[0], count=count)


def _scan(rng: random.Random) -> Plain:
    column = rng.choice(("remote_port", "remote_address"))
    distinct = {"column": column, "gt": rng.randint(70, 130)}
    return threshold("connection", OUTBOUND, within=rng.choice(("60s", "5m")), distinct=distinct)


def _host_sum(rng: random.Random) -> Plain:
    total = {"column": "bytes_sent", "gt": rng.randint(3, 9) * 1_000_000_000}
    where = {"state": "closed", "remote_scope": "public"}
    return threshold("connection", where, within="1h", group_by=(), sum=total)


def _polled(rng: random.Random) -> Plain:
    where = {**OUTBOUND, "attribution": "polled"}
    return threshold("connection", where, within="60s", count={"gt": rng.randint(15, 60)})


def _port_rate(rng: random.Random) -> Plain:
    port, limit = rng.choice(((2_379, 60), (25, 8), (8_443, 60), (53, 1_500)))
    count = {"gt": limit + rng.randint(0, limit)}
    return threshold("connection", {"remote_port": port}, within="60s", group_by=(), count=count)


_EVENT_VARIANTS: Final[tuple[Make, ...]] = (
    _ports,
    _path,
    _address,
    _service_ports,
    _upload,
    _version,
    _certificate,
    _cipher,
    _clear_call,
    _metadata,
)
_WINDOW_VARIANTS: Final[tuple[Make, ...]] = (_flood, _scan, _host_sum, _polled, _port_rate)
