"""Processes that start and exit on a host, and the sockets that wait for peers.

In: a host and how many rows. Out: drafts of ``process`` and ``listener`` rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.fleet import names
from benchmarks.fleet.draft import Draft
from benchmarks.fleet.draw import chosen, moments, sizes, skewed
from benchmarks.fleet.shape import END_US, START_US

if TYPE_CHECKING:
    from benchmarks.fleet.world import Host, World

_LIFE_US: Final = (2_000_000, 1.5)  # median and spread
_PRESENT: Final = 0.8  # share of listeners that were there when collection began
_PORTS: Final = (*names.SERVICE_PORTS, *names.IDLE_PORTS)


def draw_processes(
    rng: np.random.Generator, world: World, host: Host, count: int, *, violating: int
) -> Draft:
    """Return starts and exits of the host's short-lived instances, at the times they had."""
    del world
    which = skewed(rng, count, len(host.started_us), power=1)
    exits = rng.random(count) < 0.5  # noqa: PLR2004
    lives = sizes(rng, count, median=_LIFE_US[0], spread=_LIFE_US[1])
    ts_us = host.started_us[which] + np.where(exits, lives, 0)
    process = (host.first_started + which).astype(np.uint32)
    rows = Draft("process", np.minimum(ts_us, END_US - 1), process)
    rows.put("state", np.where(exits, rows.code("state", "exited"), rows.code("state", "started")))
    rows.put("argument_count", 1 + sizes(rng, count, median=2, spread=0.7), valid=~exits)
    rows.put("source", rows.code("source", "perf"))
    places = chosen(rng, count, one_in=violating)
    rows.process[places] = host.rogue(names.IN_MEMORY)
    rows["state"][places] = rows.code("state", "started")
    rows.set_numbers("argument_count", places, 1)
    return rows


def draw_listeners(rng: np.random.Generator, world: World, host: Host, count: int) -> Draft:
    """Return listeners on ports that are used and on ports that nobody uses."""
    is_present = rng.random(count) < _PRESENT
    ts_us = np.where(is_present, START_US, moments(rng, count))
    daemon = skewed(rng, count, host.daemons, power=1)
    rows = Draft("listener", ts_us, (host.first_daemon + daemon).astype(np.uint32))
    port = np.array(_PORTS)[skewed(rng, count, len(_PORTS), power=1)]
    is_udp = np.isin(port, names.UDP_PORTS)
    rows.put(
        "protocol", np.where(is_udp, rows.code("protocol", "udp"), rows.code("protocol", "tcp"))
    )
    here = world.ids(("0.0.0.0", "127.0.0.1", "::"))  # noqa: S104 (made-up telemetry)
    rows.put("local_address", here[skewed(rng, count, len(here), power=1.5)])
    rows.put("local_port", port)
    rows.put(
        "state",
        np.where(is_present, rows.code("state", "present"), rows.code("state", "opened")),
    )
    rows.put("attribution", rows.code("attribution", "exact"))
    rows.put("source", rows.code("source", "sock_diag"))
    return rows
