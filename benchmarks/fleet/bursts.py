"""Bursts: what only shows over time, such as scans, floods and uploads, and implants.

In: the drafts of a host and which bursts it has. Out: the same drafts with some rows changed: other
times, one process, and values that add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.fleet import names
from benchmarks.fleet.connections import send_outbound
from benchmarks.fleet.draw import Ints
from benchmarks.fleet.sessions import sign_themselves
from benchmarks.fleet.shape import BURST_TYPES, DAY_US, END_US, START_US, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.fleet.draft import Draft
    from benchmarks.fleet.world import Host, World

    Drafts = Mapping[str, Draft]

_SECOND_US: Final = 1_000_000
_FLOOD, _PORT_SCAN, _HOST_SCAN, _UPLOADS, _QUERIES, _SELF_SIGNED, _SESSIONLESS = range(BURST_TYPES)
_BURST_STREAM: Final = 2_000_000  # generator number; hosts and the world have theirs
_IMPLANTS: Final = 0.2  # per host: a program in memory that starts and calls out
_LARGE: Final = (230_000_000, 290_000_000)  # bytes of one of many uploads


def plan_bursts(shape: Shape, world: World) -> dict[int, list[int]]:
    """Return the bursts of each host by its number; busy hosts have most of them."""
    rng = np.random.default_rng((shape.seed, _BURST_STREAM))
    planned: dict[int, list[int]] = {}
    hosts = rng.choice(shape.hosts, shape.bursts, p=world.weights)
    hosts[:BURST_TYPES] = np.argmax(world.weights)  # one of each, whatever the size
    for number, host in enumerate(hosts.tolist()):
        planned.setdefault(host, []).append(number % BURST_TYPES)
    return planned


class Bursts:
    """Puts bursts into the drafts of one host; no row is in two of them."""

    def __init__(self, rng: np.random.Generator, world: World, host: Host, drafts: Drafts) -> None:
        """Change ``drafts`` of ``host``."""
        self._rng = rng
        self._world = world
        self._host = host
        self._drafts = drafts
        self._used = dict.fromkeys(drafts, 0)

    def add(self, which: int) -> None:
        """Put one burst in, as large as the host has rows for."""
        if which == _SELF_SIGNED:
            sign_themselves(self._drafts["tls_session"], self._seen_certificates())
        elif which == _SESSIONLESS:
            at = self._rows("imds_request", 30, span_s=120)
            self._drafts["imds_request"]["imds_version"][at] = 1
            self._drafts["imds_request"]["purpose"][at] = self._drafts["imds_request"].code(
                "purpose", "identity"
            )
        else:
            self._add_flows(which)

    def add_implants(self, *, at_least: int) -> None:
        """Let a program in memory start, and call out within a minute."""
        flows, processes = self._drafts["connection"], self._drafts["process"]
        rogue = self._host.rogue(names.IN_MEMORY)
        for _ in range(at_least + int(self._rng.poisson(_IMPLANTS))):
            start = self._rows("process", 1, span_s=1)
            at = self._rows("connection", 3, span_s=30)
            if not len(start) or not len(at):
                return
            processes.process[start] = flows.process[at] = rogue
            processes["state"][start] = processes.code("state", "started")
            processes.set_numbers("argument_count", start, 1)
            processes.ts_us[start] = flows.ts_us[at].min() - _SECOND_US
            ports = self._rng.choice(names.BACKDOOR_PORTS, len(at))
            send_outbound(self._rng, flows, at, ports)

    def _add_flows(self, which: int) -> None:
        rng, flows = self._rng, self._drafts["connection"]
        size, span_s = _FLOWS[which]
        at = self._rows("connection", size, span_s=span_s)
        steps = np.arange(len(at))
        if which == _PORT_SCAN:
            send_outbound(rng, flows, at, 10_000 + 7 * steps)
            flows["remote_address"][at] = self._world.private[0]
        elif which == _HOST_SCAN:
            send_outbound(rng, flows, at, np.full(len(at), 443))
            flows["remote_address"][at] = self._world.private[steps]
        elif which == _UPLOADS:
            send_outbound(rng, flows, at, np.full(len(at), 443))
            flows["remote_address"][at] = self._world.public[steps % 5]
            flows["bytes_sent"][at] = rng.integers(*_LARGE, len(at))
        elif which == _QUERIES:
            send_outbound(rng, flows, at, np.full(len(at), 53), protocol="udp")
        flows["duration_us"][at] = rng.integers(200, 60_000, len(at))

    def _rows(self, kind: str, size: int, *, span_s: int) -> Ints:
        """Return the places of rows that are now of one process and one short span of time."""
        draft = self._drafts[kind]
        start = self._used[kind]
        at = np.arange(start, min(start + size, len(draft)))
        self._used[kind] = start + len(at)
        span_us = span_s * _SECOND_US
        begin_us = START_US + int(self._rng.integers(DAY_US // 10, DAY_US - 2 * span_us))
        draft.ts_us[at] = begin_us + self._rng.integers(0, span_us, len(at))
        if len(at):
            draft.process[at] = self._host.pick(self._rng, np.full(1, END_US - 1))
        return at

    def _seen_certificates(self) -> Ints:
        """Return sessions of one minute whose certificate was seen."""
        draft = self._drafts["tls_session"]
        at = self._rows("tls_session", 80, span_s=60)
        seen: Ints = at[draft["cert_self_signed"][at] != 0]
        return seen


_FLOWS: Final = {
    _FLOOD: (2_200, 200),
    _PORT_SCAN: (90, 40),
    _HOST_SCAN: (160, 40),
    _UPLOADS: (16, 3_000),
    _QUERIES: (1_300, 45),
}
"""Flows of a burst and the seconds it takes."""
