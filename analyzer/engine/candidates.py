"""Candidates: ``then`` rows of a sequence that may follow a ``first`` row, of too many.

In: the selection of a pack. Out: few rows: those whose key some ``first`` row of the host has had
not long before, so that the others need not wait for an exact look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import plain, run_starts
from analyzer.engine.ids import IdTable
from analyzer.engine.survivors import Found
from rules.telemetry.kinds import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.engine.arrays import Int64s, Places
    from analyzer.engine.operations import Operations
    from analyzer.engine.packs import Pack
    from analyzer.engine.selection import Selection
    from analyzer.engine.sequences import Sequences
    from analyzer.engine.snapshot import State
    from analyzer.telemetry.slices import Columns

_NO_PLACES: Final = np.zeros(0, np.intp)


class _Armed:
    """Keys of ``first`` rows of a host.

    Attributes:
        from_us: Time of the first of them.
        until_us: When the last of them has passed.
    """

    def __init__(self, width: int, operations: Operations) -> None:
        self.known = IdTable(width, operations)
        self.from_us = INT64_MAX
        self.until_us = INT64_MIN


class Candidates:
    """Picks the ``then`` rows of one rule."""

    def __init__(self, rule: Sequences, within_us: int, operations: Operations) -> None:
        """Pick rows for ``rule``."""
        self.rule = rule
        self._within_us = within_us
        self._operations = operations
        self._armed: dict[int, _Armed] = {}

    def arm(self, hosts: Int64s, selection: Selection, from_us: Mapping[int, int]) -> None:
        """Note the keys of ``first`` rows.

        Args:
            hosts: The host of each row.
            selection: The rows, host after host.
            from_us: By host: where the slices begin that they are of.
        """
        places = selection.places(self.rule.first.selector)
        if not len(places):
            return
        own = hosts[places]
        starts = run_starts(own)
        for host, rows in zip(own[starts].tolist(), np.split(places, starts[1:]), strict=True):
            armed = self._armed.get(host)
            if armed is not None and armed.until_us < from_us[host]:
                del self._armed[host]
            self._arm(host, selection.columns, rows)

    def arm_by(self, waiting: Iterable[Found]) -> None:
        """Note the keys of ``first`` rows that came before."""
        for found in waiting:
            for host in np.unique(found.hosts).tolist():
                self._arm(host, found.rows, np.flatnonzero(found.hosts == host))

    def pick(self, pack: Pack, selection: Selection, first_serial: int) -> None:
        """Give the rule the rows of a pack that may follow."""
        ts_us, parts = pack.columns.ts_us, []
        for host, start, stop in pack.parts() if self._armed else ():
            armed = self._armed.get(host)
            if armed is None:
                continue
            if armed.until_us < ts_us[start]:
                del self._armed[host]
                continue
            first = start + int(ts_us[start:stop].searchsorted(armed.from_us, side="right"))
            last = start + int(ts_us[start:stop].searchsorted(armed.until_us, side="right"))
            parts.append(self._places(armed, selection, first, last))
        places = np.concatenate(parts) if parts else _NO_PLACES
        if len(places):
            hosts = pack.host_of_rows()[places]
            self.rule.collect_then(Found(hosts, places + first_serial, pack.columns.take(places)))

    def state(self) -> State:
        """Return what it holds."""
        return {
            str(host): [armed.known.state(), armed.from_us, armed.until_us]
            for host, armed in self._armed.items()
        }

    def load(self, state: Mapping[str, tuple[State, int, int]]) -> None:
        """Hold what a state says."""
        for host, (known, from_us, until_us) in state.items():
            armed = self._armed[int(host)] = _Armed(self.rule.first.keys.width, self._operations)
            armed.known.load(known)
            armed.from_us, armed.until_us = from_us, until_us

    def _arm(self, host: int, columns: Columns, places: Places) -> None:
        side = self.rule.first
        armed = self._armed.get(host)
        first_us, last_us = int(columns.ts_us[places[0]]), int(columns.ts_us[places[-1]])
        if armed is None:
            armed = self._armed[host] = _Armed(side.keys.width, self._operations)
            armed.from_us = min(armed.from_us, first_us)
        # Keys with a null do no harm: the exact look knows none of them.
        armed.known.enter(side.keys.of(columns, places))
        armed.until_us = max(armed.until_us, min(last_us + self._within_us, INT64_MAX))

    def _places(self, armed: _Armed, selection: Selection, start: int, stop: int) -> Places:
        side = self.rule.then
        keys, bits = side.keys.of_processes, selection.direct(side.selector)
        if keys is not None and bits is not None:
            ends = np.array([[start], [stop], [0]])
            parts = ends[0], ends[1], ends[2]
            processes = plain(selection.columns.process)
            found, _ = armed.known.find_groups(
                selection.masks, processes, bits=bits, keys=keys, parts=parts
            )
            return found
        places = selection.places(side.selector)
        first, last = np.searchsorted(places, (start, stop)).tolist()
        places = places[first:last]
        known: Int64s = armed.known.find(side.keys.of(selection.columns, places))
        return places[known >= 0]
