"""Day: one day of one host, all kinds.

In: the world, a host and how many rows of each kind it has. Out: its columns by kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.fleet import connections, sessions
from benchmarks.fleet.bursts import Bursts, plan_bursts
from benchmarks.fleet.processes import draw_listeners, draw_processes
from benchmarks.fleet.requests import draw_aws_calls, draw_dns_answers, draw_imds_requests
from benchmarks.fleet.shape import Shape
from benchmarks.fleet.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.telemetry.slices import Columns
    from benchmarks.fleet.draft import Draft
    from benchmarks.fleet.world import Host

_SPLIT_STREAM = 3_000_000  # generator number; hosts have theirs below a million


def days(shape: Shape, world: World) -> Iterator[tuple[Host, dict[str, Columns]]]:
    """Yield each host's day; kinds without rows are left out."""
    split = np.random.default_rng((shape.seed, _SPLIT_STREAM))
    counts = {kind: split.multinomial(total, world.weights) for kind, total in shape.totals.items()}
    bursts = plan_bursts(shape, world)
    for host in world.hosts:
        own = {kind: int(rows[host.number]) for kind, rows in counts.items()}
        yield host, _day(shape, world, host, own, bursts.get(host.number, ()))


def _day(
    shape: Shape, world: World, host: Host, counts: Mapping[str, int], bursts: Sequence[int]
) -> dict[str, Columns]:
    rng = np.random.default_rng((shape.seed, host.number))
    drafts = _drafts(rng, shape, world, host, counts)
    added = Bursts(rng, world, host, drafts)
    for which in bursts:
        added.add(which)
    added.add_implants(at_least=min(len(bursts), 1))
    connections.forget_some(rng, drafts["connection"])
    drafts["connection"] = connections.with_ends(drafts["connection"], counts["connection"])
    return {kind: draft.columns(world.dictionary) for kind, draft in drafts.items() if len(draft)}


def _drafts(
    rng: np.random.Generator, shape: Shape, world: World, host: Host, counts: Mapping[str, int]
) -> dict[str, Draft]:
    violating = shape.violating
    flows = connections.draw_flows(rng, world, host, (counts["connection"] + 1) // 2)
    connections.break_rules(rng, world, host, flows, violating=violating)
    tls = sessions.draw_sessions(rng, world, host, counts["tls_session"])
    sessions.break_rules(rng, world, host, tls, violating=violating)
    return {
        "connection": flows,
        "tls_session": tls,
        "aws_call": draw_aws_calls(rng, world, host, counts["aws_call"], violating=violating),
        "process": draw_processes(rng, world, host, counts["process"], violating=violating),
        "dns_answer": draw_dns_answers(rng, world, host, counts["dns_answer"]),
        "imds_request": draw_imds_requests(
            rng, world, host, counts["imds_request"], violating=violating
        ),
        "listener": draw_listeners(rng, world, host, counts["listener"]),
    }
