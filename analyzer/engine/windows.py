"""Windows: rules that fire where (t - within, t] holds too much, t a row's time.

In: the selected rows of packs. Out: for each rule the rows inside at least one crossing window,
in the pack in which they cross. Rules with the same selector, groups and window share their state.

Two sieves stand before the exact look, both of them sound: what a host has in two adjacent panes
bounds every group; what a group has in two adjacent panes bounds the windows that end in the later
one. Only the rows of such panes are kept apart and looked at window by window: windows that end in
others hold fewer of them than cross. Every sieve takes all hosts of a pack at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import elapsed, grown, run_starts
from analyzer.engine.counting import Counting, hosts_of
from analyzer.engine.evidence import ends_of
from analyzer.engine.ids import IdTable
from analyzer.engine.slots import Crossings, Pending, Slot
from analyzer.engine.snapshot import decided_of, decided_state
from analyzer.engine.tally import Tally
from rules.telemetry.kinds import INT64_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from analyzer.engine.arrays import Bools, Int64s, Places
    from analyzer.engine.counting import Suspects
    from analyzer.engine.held import Held
    from analyzer.engine.keys import Keys
    from analyzer.engine.measures import Measures
    from analyzer.engine.operations import Operations
    from analyzer.engine.packs import Pack
    from analyzer.engine.panes import PaneTable
    from analyzer.engine.retained import Retained
    from analyzer.engine.snapshot import State
    from analyzer.engine.tally import Fired, Hosts
    from analyzer.telemetry.dictionary import Dictionary

_NO_GROUPS: Final = np.zeros(0, np.int64)
_NEW: Final = 2  # in ``emitted``: by this look


@dataclass(frozen=True, slots=True)
class Frame:
    """What rules with a shared window have in common."""

    kind: str
    selector: int
    group_by: tuple[str, ...]
    within_us: int


@dataclass(frozen=True, slots=True)
class _Look:
    """Hosts that are looked at, and when their rows of a pack begin and their slices end."""

    hosts: Int64s
    first_us: Int64s
    to_us: Int64s

    def has(self, hosts: Int64s) -> Bools:
        """Tell which of some hosts are looked at."""
        return np.isin(hosts, self.hosts)

    def places(self, hosts: Int64s) -> Places:
        """Return for each of some hosts, which are looked at, which one it is."""
        order = np.argsort(self.hosts)
        return order[np.searchsorted(self.hosts[order], hosts)]


class Windows:
    """The rules of one frame on every host."""

    def __init__(
        self,
        frame: Frame,
        slots: Sequence[Slot],
        keys: Keys,
        table: PaneTable,
        operations: Operations,
    ) -> None:
        """Watch the windows of ``slots``, of groups by ``keys``; panes are counted in ``table``."""
        self.frame = frame
        self._slots = slots
        self._operations = operations
        self._bounds: dict[str | None, tuple[Measures, int]] = {}
        for slot in slots:
            _, least = self._bounds.get(slot.measures.added, (None, slot.least))
            self._bounds[slot.measures.added] = slot.measures, min(least, slot.least)
        self._counting = Counting(frame, keys, list(self._bounds.values()), table, operations)
        self._rules = slots[-1].places.stop
        self._tallies = [Tally(keys, operations) for _ in range(self._rules)]
        self._decided: list[dict[int, tuple[tuple[int, int], int]]] = [
            {} for _ in range(self._rules)
        ]
        self._counted: Int64s = np.zeros(0, np.int64)
        """By host: packs below this number are in the panes, or too old to matter."""
        self._pending: Pending | None = None

    def feed(self, pack: Pack, retained: Retained, to_us: Mapping[int, int]) -> None:
        """Look at a pack, which is retained; the slices of each host end at ``to_us``."""
        above = np.zeros(len(pack.hosts), np.bool_)
        for measures, least in self._bounds.values():
            above |= retained.peaks(pack, self.frame.within_us, measures) > least
        parts = np.flatnonzero(above)
        if len(parts):
            hosts = np.array(pack.hosts, np.int64)[parts]
            ends = np.array([min(to_us[host], INT64_MAX) for host in hosts.tolist()], np.int64)
            first_us = pack.columns.ts_us[pack.starts[parts]]
            self._look(_Look(hosts, first_us, ends), retained)

    def groups(self, place: int, hosts: Hosts, max_groups: int | None) -> Fired:
        """Return the findings of one of its rules on some hosts."""
        tally = self._tallies[place]
        return tally.results(tally.of_hosts(hosts), hosts, max_groups, self._decided[place])

    def touched(self) -> list[tuple[int, int]]:
        """Return for which of its rules and which hosts more counts since the last call."""
        return [
            (place, host) for place, tally in enumerate(self._tallies) for host in tally.touched()
        ]

    def state(self) -> State:
        """Return what it holds."""
        return {
            "tallies": [tally.state() for tally in self._tallies],
            "decided": [decided_state(decided) for decided in self._decided],
            "counting": self._counting.state(),
            "counted": self._counted,
            "pending": None if self._pending is None else self._pending.state(),
        }

    def load(self, state: State, dictionary: Dictionary) -> None:
        """Hold what a state says."""
        for tally, own in zip(self._tallies, state["tallies"], strict=True):
            tally.load(own, dictionary)
        self._decided = [decided_of(decided) for decided in state["decided"]]
        self._counting.load(state["counting"])
        self._counted = state["counted"]
        if state["pending"] is not None:
            self._pending = Pending(**state["pending"])

    def _look(self, look: _Look, retained: Retained) -> None:
        """Look at the last pack of some hosts."""
        others = self._pending
        mine: list[Pending] = []
        if others is not None:
            is_mine = look.has(hosts_of(others.ids))
            mine, others = [others.take(is_mine)], others.take(~is_mine)
        pending = self._sieve(look, retained, mine)
        if pending is not None:
            pending = self._crossed(look, pending, retained)
        left = [part for part in (others, pending) if part is not None and len(part.ids)]
        self._pending = Pending.joined(left) if left else None
        self._counting.renumber(self._pending)

    def _sieve(self, look: _Look, retained: Retained, parts: list[Pending]) -> Pending | None:
        """Return the rows that windows in the last pack may hold which cross, by host."""
        near = list(retained.near(look.hosts, look.first_us, self.frame.within_us))
        self._counted = grown(self._counted, int(look.hosts.max()) + 1)
        counted = self._counted[look.hosts]
        for held, own, to_us, new in _uncounted(near, counted, look.to_us):
            found = self._counting.count(held, own[new], to_us[new])
            if len(found.places):
                parts.append(self._of(held, found.places, found.groups))
            if len(found.early):
                before = [item for item in near if item[0].number < held.number]
                known = np.concatenate([_NO_GROUPS, *(part.serials for part in parts)])
                parts += self._before(before, found, known)
        self._counted[look.hosts] = retained.count
        parts = [part for part in parts if len(part.ids)]
        if not parts:
            return None
        whole = Pending.joined(parts)
        first_us = look.first_us[look.places(hosts_of(whole.ids))]
        is_near = elapsed(whole.ts_us, first_us) < self.frame.within_us
        is_near |= whole.ts_us >= first_us
        if not is_near.all():
            whole = whole.take(is_near)
        return whole.by_time() if len(whole.ids) else None

    def _before(
        self, near: Iterable[tuple[Held, Places, Places]], found: Suspects, known: Int64s
    ) -> Iterator[Pending]:
        """Yield the rows of packs before that may be in windows with suspects; not the known ones.

        A window that crosses in a pane lies in that one and the one before it.
        """
        for held, parts, _ in near:
            places, numbers = self._counting.rows_of(held, parts, found.early)
            ts_us, pane_us = held.selection.columns.ts_us[places], found.early_us[numbers]
            is_near = elapsed(ts_us, np.maximum(ts_us, pane_us)) <= self.frame.within_us
            is_near &= ~np.isin(held.serials[places], known)
            if is_near.any():
                yield self._of(held, places[is_near], found.early[numbers[is_near]])

    def _of(self, held: Held, places: Places, ids: Int64s) -> Pending:
        """Return some rows, each of a group."""
        columns = held.selection.columns
        measured = [slot.measures.values(columns, places) for slot in self._slots]
        return Pending(
            columns.ts_us[places],
            ids,
            held.serials[places],
            [values for values, _ in measured],
            [there for _, there in measured],
            np.zeros((len(places), self._rules), np.uint8),
        )

    def _crossed(self, look: _Look, pending: Pending, retained: Retained) -> Pending | None:
        """Count the rows inside windows that cross; returns those that later windows may hold."""
        hosts = hosts_of(pending.ids)
        begins = run_starts(hosts)
        stops = np.append(begins[1:], len(hosts))
        own = look.places(hosts[begins])
        owners = np.repeat(own, stops - begins)
        is_new = pending.ts_us >= look.first_us[owners]
        starts = stops - np.add.reduceat(is_new.astype(np.int64), begins)
        self._cross(pending, (begins, starts, stops), retained)
        to_us = np.maximum(look.to_us[own], pending.ts_us[stops - 1])
        near = elapsed(pending.ts_us, np.repeat(to_us, stops - begins)) < self.frame.within_us
        return pending.take(near) if near.any() else None

    def _cross(
        self, pending: Pending, parts: tuple[Int64s, Int64s, Int64s], retained: Retained
    ) -> None:
        """Count the rows inside windows that cross in the new rows of parts."""
        if (parts[1] >= parts[2]).all():
            return
        ids = IdTable(1, self._operations).enter(pending.ids.reshape(-1, 1))
        for slot in self._slots:
            found = slot.cross(pending, ids, parts, self.frame.within_us, self._operations)
            if found is not None:
                self._emit(pending, ids, slot, found, retained)
                pending.emitted[:, slot.places] = found.emitted != 0

    def _emit(
        self, pending: Pending, ids: Int64s, slot: Slot, found: Crossings, retained: Retained
    ) -> None:
        """Count rows for the rules of a slot."""
        for number, place in enumerate(range(slot.places.start, slot.places.stop)):
            marked = np.flatnonzero(found.emitted[:, number] == _NEW)
            if len(marked):
                own, ts_us = ids[marked], pending.ts_us[marked]
                shown = marked[ends_of(own, ts_us)]
                rows, order = retained.rows(pending.serials[shown])
                shown = shown[order]
                tally = self._tallies[place]
                numbers = np.empty(len(found.rows), np.int64)
                numbers[ids[shown]] = tally.groups(hosts_of(pending.ids[shown]), rows)
                groups = numbers[own]
                tally.count(groups, ts_us)
                tally.offer(groups)
                tally.keep(numbers[ids[shown]], rows)
                self._decide(place, pending, (groups, own), found, number)

    def _decide(
        self,
        place: int,
        pending: Pending,
        groups: tuple[Int64s, Int64s],
        found: Crossings,
        number: int,
    ) -> None:
        """Note the first window of groups of a rule that crosses, and what it holds."""
        decided = self._decided[place]
        distinct, firsts = np.unique(groups[0], return_index=True)
        for group, own_id in zip(distinct.tolist(), groups[1][firsts].tolist(), strict=True):
            if group not in decided:
                end_us = int(pending.ts_us[found.rows[own_id, number]])
                window = end_us - self.frame.within_us, end_us
                decided[group] = window, int(found.held[own_id, number])


def _uncounted(
    near: Sequence[tuple[Held, Places, Places]], counted: Int64s, to_us: Int64s
) -> list[tuple[Held, Places, Int64s, Places]]:
    """Return what has parts that are not in the panes: its parts, their ends, and which these are.

    After the last pack comes what is after ``to_us``, after another what is after its last row.
    """
    found = []
    for held, parts, owners in near:
        new = np.flatnonzero(held.number >= counted[owners])
        ends = to_us[owners] if held is near[-1][0] else held.last_us[parts]
        if len(new):
            found.append((held, parts, ends, new))
    return found
