"""Tallies: the groups of one rule on every host, in numbers, with the rows that they may show.

In: the rows that count. Out: groups as ``rules.outcome`` knows them, at most so many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from analyzer.engine.arrays import grown, plain, run_lengths, run_starts
from analyzer.engine.earliest import earliest
from analyzer.engine.evidence import Evidence, by_kind
from analyzer.engine.ids import IdTable
from analyzer.engine.minutes import Minutes
from rules.buckets import MINUTE_US
from rules.outcome import Counted, Group, Key, closing_group, group_of
from rules.telemetry.kinds import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.engine.arrays import Int64s, Places
    from analyzer.engine.keys import Keys, PairedKeys
    from analyzer.engine.operations import Operations
    from analyzer.engine.snapshot import State
    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.slices import Columns

Hosts = Mapping[int, str]
"""Agent id by the number of a host."""

Fired = dict[str, tuple[Group, ...]]
"""By agent id the findings of one rule; hosts without are left out."""


class Tally:
    """The groups of one rule.

    Attributes:
        keys: Keys of groups: the host's number first.
    """

    def __init__(self, keys: Keys | PairedKeys, operations: Operations) -> None:
        """Count by ``keys``."""
        self._coder = keys
        self._operations = operations
        self.keys = IdTable(1 + keys.width, operations)
        self._counts: Int64s = np.zeros(0, np.int64)
        self._firsts: Int64s = np.zeros(0, np.int64)
        self._lasts: Int64s = np.zeros(0, np.int64)
        self._shown: Int64s = np.zeros(0, np.int64)
        self._minutes = Minutes()
        self._touched: set[int] = set()
        self._evidence: dict[str, Evidence] = {}

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.keys)

    def groups(self, host: int | Int64s, rows: Columns) -> Int64s:
        """Return the group of each row; new ones are entered, with a count of 0."""
        return self.enter(host, self._coder.of(rows))

    def enter(self, host: int | Int64s, keys: Int64s) -> Int64s:
        """Return the group of each key on its host; new ones are entered, with a count of 0."""
        whole = np.empty((len(keys), 1 + keys.shape[1]), np.int64)
        whole[:, 0] = host
        whole[:, 1:] = keys
        found = self.keys.enter(whole)
        self._touched.update((host,) if isinstance(host, int) else np.unique(host).tolist())
        size = len(self.keys)
        self._counts = grown(self._counts, size)
        self._firsts = grown(self._firsts, size, INT64_MAX)
        self._lasts = grown(self._lasts, size, INT64_MIN)
        self._shown = grown(self._shown, size)
        return found

    def add(self, host: int | Int64s, rows: Columns) -> Int64s:
        """Count rows of one host, or each of its own, for evidence too; returns their groups."""
        groups = self.groups(host, rows)
        self.count(groups, rows.ts_us)
        self.show(groups, rows)
        return groups

    def count(self, groups: Int64s, ts_us: Int64s) -> None:
        """Count rows."""
        self._operations.tally(groups, plain(ts_us), self._counts, self._firsts, self._lasts)
        self._minutes.add(groups, ts_us // MINUTE_US, np.ones(len(groups), np.int64))

    def show(self, groups: Int64s, rows: Columns) -> None:
        """Let rows be evidence of groups."""
        self.offer(groups)
        self.keep(groups, rows)

    def offer(self, groups: Int64s) -> None:
        """Note how many rows could be evidence, each of a group."""
        np.add.at(self._shown, groups, 1)

    def keep(self, groups: Int64s, rows: Columns) -> None:
        """Keep rows as evidence of groups: of those offered at least the first and last."""
        self._evidence.setdefault(rows.kind, Evidence()).add(groups, rows)

    def touched(self) -> list[int]:
        """Return the hosts that had rows since the last call."""
        hosts = sorted(self._touched)
        self._touched.clear()
        return hosts

    def of_hosts(self, hosts: Hosts) -> Places:
        """Return the groups of some hosts, ascending."""
        own = self.keys.keys[:, 0]
        if len(hosts) == 1:
            return np.flatnonzero(own == next(iter(hosts)))
        wanted = np.zeros(int(own.max(initial=-1)) + 1, np.bool_)
        known = np.fromiter(hosts, np.int64, len(hosts))
        wanted[known[known < len(wanted)]] = True
        return np.flatnonzero(wanted[own])

    def merged(self, groups: Places, keys: Int64s, coder: Keys) -> Tally:
        """Return some groups by other keys: those of a host with one new key become one.

        Args:
            groups: The groups, ascending.
            keys: The new key of each.
            coder: Makes such keys.
        """
        merged = Tally(coder, self._operations)
        new = merged.enter(self.keys.keys[groups, 0], keys)
        np.add.at(merged._counts, new, self._counts[groups])
        np.add.at(merged._shown, new, self._shown[groups])
        np.minimum.at(merged._firsts, new, self._firsts[groups])
        np.maximum.at(merged._lasts, new, self._lasts[groups])
        self._minutes.copy_to(merged._minutes, groups, new)
        for kind, evidence in self._evidence.items():
            evidence.copy_to(merged._evidence.setdefault(kind, Evidence()), groups, new)
        return merged

    def state(self) -> State:
        """Return what it holds."""
        size = len(self.keys)
        return {
            "keys": self.keys.state(),
            "counts": self._counts[:size],
            "firsts": self._firsts[:size],
            "lasts": self._lasts[:size],
            "shown": self._shown[:size],
            "minutes": self._minutes.state(),
            "evidence": {kind: item.state() for kind, item in self._evidence.items()},
        }

    def load(self, state: State, dictionary: Dictionary) -> None:
        """Hold what a state says."""
        self.keys.load(state["keys"])
        self._counts, self._firsts = state["counts"], state["firsts"]
        self._lasts, self._shown = state["lasts"], state["shown"]
        self._minutes.load(state["minutes"])
        for kind, item in state["evidence"].items():
            self._evidence[kind] = Evidence()
            self._evidence[kind].load(item, dictionary)
        self._touched = set(self.keys.keys[:, 0].tolist())

    def results(
        self,
        groups: Places,
        hosts: Hosts,
        max_groups: int | None,
        decided: Mapping[int, tuple[tuple[int, int] | None, int | None]] | None = None,
    ) -> Fired:
        """Return findings by host: the earliest groups, and one that counts the others.

        Args:
            groups: Groups that fired, of some of the hosts.
            hosts: The hosts.
            max_groups: How many of each host; None = all.
            decided: Group → the window that decided and what was measured, where it matters.
        """
        if not len(groups):
            return {}
        of_hosts, firsts = self.keys.keys[groups, 0], self._firsts[groups]
        shown, rest = earliest(groups, of_hosts, firsts, max_groups, self._keys_of)
        found: dict[str, list[Group]] = {}
        for agent_id, group in self._shown_groups(shown, hosts, decided or {}):
            found.setdefault(agent_id, []).append(group)
        for agent_id, group in self._closing_groups(rest, hosts):
            found.setdefault(agent_id, []).append(group)
        return {agent_id: tuple(own) for agent_id, own in found.items()}

    def _shown_groups(
        self,
        groups: Places,
        hosts: Hosts,
        decided: Mapping[int, tuple[tuple[int, int] | None, int | None]],
    ) -> Iterator[tuple[str, Group]]:
        """Yield groups with their hosts, everything about them looked up at once."""
        ascending = np.sort(groups)
        names = [hosts[host] for host in self.keys.keys[groups, 0].tolist()]
        rows = by_kind(self._evidence, ascending)
        minutes = self._minutes.of(ascending)
        numbers = (self._counts, self._firsts, self._lasts, self._shown)
        for group, name, key, count, first_us, last_us, shown in zip(
            groups.tolist(),
            names,
            self._keys_of(groups),
            *(array[groups].tolist() for array in numbers),
            strict=True,
        ):
            own = rows[group]
            for row in own:
                row["agent_id"] = name
            window, measured = decided.get(group, (None, None))
            yield (
                name,
                group_of(
                    key,
                    Counted(count, first_us, last_us, minutes[group]),
                    own,
                    shown_count=shown,
                    window=window,
                    measured=measured,
                ),
            )

    def _closing_groups(self, rest: Places, hosts: Hosts) -> Iterator[tuple[str, Group]]:
        """Yield for each host of some groups, which stand host after host, one that counts them."""
        if not len(rest):
            return
        of_hosts = self.keys.keys[rest, 0]
        starts = run_starts(of_hosts)
        firsts = np.minimum.reduceat(self._firsts[rest], starts)
        lasts = np.maximum.reduceat(self._lasts[rest], starts)
        lengths = run_lengths(starts, len(rest))
        numbers = (of_hosts[starts], lengths, firsts, lasts)
        for host, length, first_us, last_us in zip(*(own.tolist() for own in numbers), strict=True):
            yield hosts[host], closing_group(length, first_us, last_us)

    def _keys_of(self, groups: Places) -> list[Key]:
        return self._coder.values(self.keys.keys[groups, 1:])
