"""Earliest: which groups of each host are shown, and in which order, where not all can be.

In: groups that fired, with host and first time. Out: of each host the earliest, by first time and
key; and the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.engine.arrays import run_lengths, run_starts
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.engine.arrays import Bools, Int64s, Places
    from rules.outcome import Key


def earliest(
    groups: Places,
    hosts: Int64s,
    firsts: Int64s,
    limit: int | None,
    keys_of: Callable[[Places], list[Key]],
) -> tuple[Places, Places]:
    """Return the groups that are shown and the others, both host after host.

    Args:
        groups: All of them.
        hosts: The host of each.
        firsts: When each was seen first.
        limit: How many are shown of a host; None = all.
        keys_of: Returns keys of groups, whose text decides between those of one moment.
    """
    order = np.lexsort((firsts, hosts))
    groups, hosts, firsts = groups[order], hosts[order], firsts[order]
    crowded = _of_one_moment(hosts, firsts)
    if crowded.any():
        places = np.flatnonzero(crowded)
        texts = map(canonical, keys_of(groups[places]))
        own = zip(hosts[places].tolist(), firsts[places].tolist(), texts, strict=True)
        ranked = sorted(zip(own, groups[places].tolist(), strict=True))
        groups[places] = [group for _, group in ranked]
    if limit is None:
        return groups, groups[:0]
    starts = run_starts(hosts)
    ranks = np.arange(len(hosts)) - np.repeat(starts, run_lengths(starts, len(hosts)))
    return groups[ranks < limit], groups[ranks >= limit]


def _of_one_moment(hosts: Int64s, firsts: Int64s) -> Bools:
    """Return which groups share their moment with another one of their host."""
    same = (hosts[1:] == hosts[:-1]) & (firsts[1:] == firsts[:-1])
    crowded = np.zeros(len(hosts), np.bool_)
    crowded[1:] |= same
    crowded[:-1] |= same
    return crowded
