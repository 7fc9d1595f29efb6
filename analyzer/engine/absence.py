"""Absence: rules that fire for rows whose match key no row of another selector has in the run.

In: the rows of both selectors. Out: a group per key, of the rows unmatched so far.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import grown, plain
from analyzer.engine.ids import IdTable
from analyzer.engine.keys import PairedKeys
from analyzer.engine.tally import Tally
from rules.telemetry.kinds import PORT_MAX

if TYPE_CHECKING:
    from analyzer.engine.arrays import Bools, Int64s, UInt64s
    from analyzer.engine.keys import Keys
    from analyzer.engine.operations import Operations
    from analyzer.engine.packs import Pack
    from analyzer.engine.selection import Selection
    from analyzer.engine.snapshot import State
    from analyzer.engine.survivors import Found
    from analyzer.engine.tally import Fired, Hosts
    from analyzer.telemetry.dictionary import Dictionary


_WORDS: Final = (PORT_MAX + 1) // 64
_NONE_NULL: Final = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Side:
    """One of two selectors whose rows are matched.

    Attributes:
        keys: By ``match_on``.
    """

    kind: str
    selector: int
    keys: Keys


class Used:
    """The match keys that rows of one selector have had, by host; rules share it."""

    def __init__(self, side: Side, operations: Operations) -> None:
        """Note the keys of ``side``."""
        self.side = side
        self._operations = operations
        self._keys = IdTable(1 + side.keys.width, operations)
        """The host's number first."""
        self._ports: UInt64s = np.zeros((0, _WORDS), np.uint64)
        """By host a bit per port, where that is the key."""

    def feed(self, pack: Pack, selection: Selection) -> None:
        """Take the rows of a pack."""
        keys, selector = self.side.keys, self.side.selector
        bits = selection.direct(selector)
        if keys.port is not None and bits is not None:
            self._mark(pack, selection.masks, keys.port, bits)
            return
        places = selection.places(selector)
        # Keys with a null are entered too: nobody asks for them.
        own = keys.of(selection.columns, places)
        self._keys.enter(np.column_stack((pack.host_of_rows()[places], own)))

    def state(self) -> State:
        """Return what it holds."""
        return {"keys": self._keys.state(), "ports": self._ports}

    def load(self, state: State) -> None:
        """Hold what a state says."""
        self._keys.load(state["keys"])
        self._ports = state["ports"]

    def has(self, hosts: Int64s, keys: Int64s) -> Bools:
        """Tell which keys rows of their hosts have had, of keys without a null."""
        found = self._keys.find(np.column_stack((hosts, keys))) >= 0
        known = np.flatnonzero(hosts < len(self._ports))
        if len(known):
            ports = keys[known, 0]
            words = self._ports[hosts[known], ports >> 6]
            found[known] |= (words >> (ports & 63).astype(np.uint64)) & 1 != 0
        return found

    def _mark(
        self, pack: Pack, masks: UInt64s, name: str, bits: tuple[np.uint64, np.uint64]
    ) -> None:
        vector = pack.columns.columns.get(name)
        if vector is None:
            return
        hosts = np.array(pack.hosts, np.int64)
        self._ports = grown(self._ports, int(hosts.max()) + 1)
        valid = _NONE_NULL if vector.valid is None else plain(vector.valid)
        self._operations.mark_ports(
            masks, *bits, plain(vector.values), valid, pack.starts, hosts, self._ports
        )


class Absence:
    """One absence rule on every host."""

    def __init__(
        self, select_keys: Keys, unless: Used, group_keys: Keys, operations: Operations
    ) -> None:
        """Look for rows whose ``select_keys`` are none that ``unless`` has seen."""
        self._select_keys = select_keys
        self._unless = unless
        self._group_keys = group_keys
        self._is_finer = set(select_keys.names) <= set(group_keys.names)
        """Whether each group has rows of one match key alone."""
        # By match key and group, so that a key that turns up later takes its rows away.
        self._tally = Tally(PairedKeys(select_keys, group_keys), operations)

    def collect(self, found: Found) -> None:
        """Take rows."""
        hosts, rows = found.hosts, found.rows
        complete = self._select_keys.complete(rows)
        if not complete.all():
            hosts, rows = hosts[complete], rows.take(complete)
        self._tally.add(hosts, rows)

    def groups(self, place: int, hosts: Hosts, max_groups: int | None) -> Fired:
        """Return the findings on a host, were the run over now."""
        del place
        own = self._tally.of_hosts(hosts)
        width, keys = self._select_keys.width, self._tally.keys.keys[own]
        unmatched = ~self._unless.has(keys[:, 0], np.ascontiguousarray(keys[:, 1 : 1 + width]))
        own = own[unmatched]
        if self._is_finer:
            return self._tally.results(own, hosts, max_groups)
        merged = self._tally.merged(own, keys[unmatched, 1 + width :], self._group_keys)
        return merged.results(np.arange(len(merged)), hosts, max_groups)

    def touched(self) -> list[tuple[int, int]]:
        """Return on which hosts more counts since the last call."""
        return [(0, host) for host in self._tally.touched()]

    def state(self) -> State:
        """Return what it holds."""
        return {"tally": self._tally.state()}

    def load(self, state: State, dictionary: Dictionary) -> None:
        """Hold what a state says."""
        self._tally.load(state["tally"], dictionary)
