"""Pace: rules that fire for groups whose rows come at a steady pace over the whole run.

In: selected rows. Out: a group per key that is steady when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import elapsed, grown, run_starts
from analyzer.engine.tally import Tally
from rules.pace import pace_of_gaps

if TYPE_CHECKING:
    from analyzer.engine.arrays import Int64s, UInt64s
    from analyzer.engine.keys import Keys
    from analyzer.engine.operations import Operations
    from analyzer.engine.snapshot import State
    from analyzer.engine.survivors import Found
    from analyzer.engine.tally import Fired, Hosts
    from analyzer.telemetry.dictionary import Dictionary
    from rules.detection import PeriodicDetection

_SPARE: Final = 1_024  # gaps that may wait to be added up


class Pace:
    """One periodic rule on every host."""

    def __init__(self, detection: PeriodicDetection, keys: Keys, operations: Operations) -> None:
        """Measure the gaps between rows by ``keys``."""
        self._detection = detection
        self._tally = Tally(keys, operations)
        self._lasts: Int64s = np.zeros(0, np.int64)
        self._gaps = _Gaps()

    def collect(self, found: Found) -> None:
        """Take rows."""
        known, rows = len(self._tally), found.rows
        groups = self._tally.add(found.hosts, rows)
        self._lasts = grown(self._lasts, len(self._tally))
        order = np.argsort(groups, kind="stable")
        groups, ts_us = groups[order], rows.ts_us[order]
        moments = run_starts(groups, ts_us)
        groups, ts_us = groups[moments], ts_us[moments]
        firsts = run_starts(groups)
        before = np.empty_like(ts_us)
        before[1:] = ts_us[:-1]
        before[firsts] = self._lasts[groups[firsts]]
        self._lasts[groups] = ts_us  # the last of each group stays
        has_gap = np.ones(len(groups), np.bool_)
        has_gap[firsts] = groups[firsts] < known
        self._gaps.add(groups[has_gap], elapsed(before[has_gap], ts_us[has_gap]))

    def groups(self, place: int, hosts: Hosts, max_groups: int | None) -> Fired:
        """Return the findings on some hosts, as they are by now."""
        del place
        decided: dict[int, tuple[None, int]] = {}
        for group in self._tally.of_hosts(hosts).tolist():
            pace = pace_of_gaps(self._detection, self._gaps.of(group))
            if pace.median_us is not None and pace.fires(self._detection):
                decided[group] = None, pace.median_us
        fired = np.array(list(decided), np.intp)
        return self._tally.results(fired, hosts, max_groups, decided)

    def touched(self) -> list[tuple[int, int]]:
        """Return on which hosts more counts since the last call."""
        return [(0, host) for host in self._tally.touched()]

    def state(self) -> State:
        """Return what it holds."""
        return {
            "tally": self._tally.state(),
            "lasts": self._lasts[: len(self._tally)],
            "gaps": self._gaps.state(),
        }

    def load(self, state: State, dictionary: Dictionary) -> None:
        """Hold what a state says."""
        self._tally.load(state["tally"], dictionary)
        self._lasts = state["lasts"]
        self._gaps.load(state["gaps"])


class _Gaps:
    """The gaps of groups, each length with how often it came."""

    def __init__(self) -> None:
        self._parts: list[tuple[Int64s, UInt64s, Int64s]] = []
        self._count = 0
        self._kept = 0

    def add(self, groups: Int64s, gaps: UInt64s) -> None:
        """Take gaps, each of a group."""
        if len(groups):
            self._parts.append((groups, gaps, np.ones(len(groups), np.int64)))
            self._count += len(groups)
            if self._count > 2 * self._kept + _SPARE:
                self._add_up()

    def of(self, group: int) -> list[tuple[int, int]]:
        """Return the distinct gaps of a group, ascending, and how often each came."""
        if not self._parts:
            return []
        if len(self._parts) > 1 or self._kept != self._count:
            self._add_up()
        groups, gaps, counts = self._parts[0]
        start, end = np.searchsorted(groups, (group, group + 1)).tolist()
        return list(zip(gaps[start:end].tolist(), counts[start:end].tolist(), strict=True))

    def state(self) -> State:
        if not self._parts:
            return {}
        self._add_up()
        groups, gaps, counts = self._parts[0]
        return {"groups": groups, "gaps": gaps, "counts": counts}

    def load(self, state: State) -> None:
        if state:
            self._parts = [(state["groups"], state["gaps"], state["counts"])]
            self._count = self._kept = len(state["groups"])

    def _add_up(self) -> None:
        groups, gaps, counts = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = np.lexsort((gaps, groups))
        groups, gaps, counts = groups[order], gaps[order], counts[order]
        starts = run_starts(groups, gaps)
        self._parts = [(groups[starts], gaps[starts], np.add.reduceat(counts, starts))]
        self._count = self._kept = len(starts)
