"""Requests of a host to AWS services, to the metadata service and to name servers.

In: a host and how many rows. Out: drafts of ``aws_call``, ``imds_request`` and ``dns_answer`` rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.fleet import names
from benchmarks.fleet.draft import Draft
from benchmarks.fleet.draw import chosen, moments, skewed

if TYPE_CHECKING:
    from benchmarks.fleet.world import Host, Ids, World

METADATA_ADDRESS: Final = "169.254.169.254"
_FALSE, _TRUE = 1, 2  # codes of booleans
_NULL: Final = 0
_SESSIONLESS: Final = 0.05  # share of requests without a token, for what is no secret
_PURPOSES: Final = ("token", "credentials", "identity", "other")


def draw_aws_calls(
    rng: np.random.Generator, world: World, host: Host, count: int, *, violating: int
) -> Draft:
    """Return calls, one in so many of them in clear text, or to a place out of the ordinary."""
    ts_us = moments(rng, count)
    rows = Draft("aws_call", ts_us, host.pick(rng, ts_us))
    service = skewed(rng, count, len(names.AWS_SERVICES), power=2)
    region = skewed(rng, count, len(names.REGIONS), power=2)
    partition = np.full(count, world.id("aws"), np.uint32)
    rows.put("encrypted", _TRUE)
    regions = (*names.REGIONS, *names.FAR_REGIONS, *(name for name, _ in names.CLOSED_REGIONS))
    places = chosen(rng, count, one_in=violating)
    clear, far, closed = np.array_split(places, 3)
    rows["encrypted"][clear] = _FALSE
    service[far] = rng.integers(len(names.AWS_SERVICES) - 2, len(names.AWS_SERVICES), len(far))
    region[far] = len(names.REGIONS) + rng.integers(0, len(names.FAR_REGIONS), len(far))
    which = rng.integers(0, len(names.CLOSED_REGIONS), len(closed))
    region[closed] = len(names.REGIONS) + len(names.FAR_REGIONS) + which
    partition[closed] = world.ids([name for _, name in names.CLOSED_REGIONS])[which]
    rows.put("service", world.ids(names.AWS_SERVICES)[service])
    rows.put("region", world.ids(regions)[region])
    rows.put("partition", partition)
    rows.put("endpoint", _endpoints(world, regions)[service * len(regions) + region])
    rows.put("variant", rows.code("variant", "standard"))
    rows.put("remote_address", world.public[skewed(rng, count, 2_000) % len(world.public)])
    rows.put("remote_port", 443)
    rows.put("attribution", rows.code("attribution", "exact"))
    rows.put("source", rows.code("source", "packets"))
    return rows


def draw_imds_requests(
    rng: np.random.Generator, world: World, host: Host, count: int, *, violating: int
) -> Draft:
    """Return requests, one in so many of them for credentials without a token."""
    ts_us = moments(rng, count)
    rows = Draft("imds_request", ts_us, host.pick(rng, ts_us))
    purposes = rows.codes("purpose", _PURPOSES)
    purpose = purposes[skewed(rng, count, len(purposes), power=1)]
    harmless = rows.code("purpose", "identity")
    sessionless = (rng.random(count) < _SESSIONLESS) & (purpose == harmless)
    rows.put("imds_version", np.where(sessionless, 1, 2))
    rows.put("purpose", purpose)
    places = chosen(rng, count, one_in=violating)
    rows["imds_version"][places] = 1
    rows["purpose"][places] = rows.code("purpose", "credentials")
    rows.put("remote_address", world.id(METADATA_ADDRESS))
    rows.put("attribution", rows.code("attribution", "exact"))
    rows.put("source", rows.code("source", "packets"))
    return rows


def draw_dns_answers(rng: np.random.Generator, world: World, host: Host, count: int) -> Draft:
    """Return answers; who asked is not known, and a name may have no address."""
    del host
    ts_us = moments(rng, count)
    rows = Draft("dns_answer", ts_us, np.zeros(count, np.uint32))
    name = skewed(rng, count, len(names.SERVER_NAMES), power=2)
    rows.put("name", world.ids(names.SERVER_NAMES)[name])
    sort = skewed(rng, count, 3, power=1.5)
    rows.put("type", world.ids(("A", "AAAA", "CNAME"))[sort])
    place = skewed(rng, count, 4_000)
    address = np.select(
        [sort == 0, sort == 1],
        [world.public[place % len(world.public)], world.public_6[place % len(world.public_6)]],
        _NULL,
    )
    rows.put("address", address)
    rows.put("ttl_s", np.array((60, 300, 3_600))[skewed(rng, count, 3, power=1)])
    rows.put("attribution", rows.code("attribution", "unknown"))
    rows.put("source", rows.code("source", "packets"))
    return rows


def _endpoints(world: World, regions: tuple[str, ...]) -> Ids:
    """Return the endpoint of each service in each region, region after region."""
    return world.ids(
        [
            f"{service}.{region}.amazonaws.com"
            for service in names.AWS_SERVICES
            for region in regions
        ]
    )
