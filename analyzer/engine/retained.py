"""Retained rows: what slices held, as long as a window may still want it.

In: packs of one kind. Out: the rows of hosts again, those that are near enough; and for each host
a bound of what any window can hold, which mostly shows that none needs a closer look. Rows that
nobody asked for lately are kept compressed once there are many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import elapsed, grown, plain
from analyzer.engine.held import Held
from analyzer.engine.panes import MOST
from analyzer.telemetry.slices import concatenated
from rules.telemetry.kinds import INT64_MIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analyzer.engine.arrays import Int64s, Places
    from analyzer.engine.classify import Classifier
    from analyzer.engine.measures import Measures
    from analyzer.engine.operations import Operations
    from analyzer.engine.packs import Pack
    from analyzer.engine.selection import Selection
    from analyzer.engine.snapshot import State
    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.slices import Columns

_NO_PEAKS: Final = np.zeros(0, np.int64)
IDLE: Final = 4  # packs after which it is likely that rows are not read soon
WARM_BYTES: Final = 16 * 1024 * 1024  # of rows that may lie ready to be read


class Retained:
    """Rows of one kind of every host.

    Attributes:
        count: Packs that ever came.
    """

    def __init__(self, within_us: int, operations: Operations) -> None:
        """Keep what is less than ``within_us`` before the next row of its host."""
        self.count = 0
        self._within_us = within_us
        self._operations = operations
        self._held: list[Held] = []
        self._panes: dict[tuple[int, str | None], Int64s] = {}
        """By length of windows and column: for each host its last pane, as ``peaks`` fills it."""
        self._peaks: dict[tuple[int, str | None], tuple[int, Int64s]] = {}
        """By the same: the pack that was asked about last, and what was answered."""

    def add(self, pack: Pack, selection: Selection, first_serial: int) -> None:
        """Take the rows of a pack; those that no window with one of them holds are let go."""
        hosts = np.array(pack.hosts, np.int64)
        first_us = pack.columns.ts_us[pack.starts[:-1]]
        for held in self._held:
            parts, owners = held.parts_of(hosts)
            far = parts[elapsed(held.last_us[parts], first_us[owners]) >= self._within_us]
            held.starts[far] = held.stops[far]
        serials = np.arange(first_serial, first_serial + len(pack.columns))
        self._held.append(Held(self.count, selection, serials, hosts, pack.starts))
        self.count += 1

    def trim(self, to_us: Mapping[int, int]) -> None:
        """Let go of rows of the last pack that no window of rows to come holds, if they are many.

        Args:
            to_us: By host: where its slices ended.
        """
        self._held[-1].trim(to_us, self._within_us)
        self._held = [held for held in self._held if held.shrink()]
        self._cool()

    def near(
        self, hosts: Int64s, first_us: Int64s, within_us: int
    ) -> Iterator[tuple[Held, Places, Places]]:
        """Yield the rows of some hosts that windows at ``first_us`` or later may hold.

        The rows of the last pack are the last ones, and all of them. With what is held come its
        parts, and for each which of the hosts it is of.
        """
        for held in self._held[:-1]:
            parts, owners = held.parts_of(hosts)
            is_near = elapsed(held.last_us[parts], first_us[owners]) < within_us
            if is_near.any():
                yield held, parts[is_near], owners[is_near]
        last = self._held[-1]
        yield last, *last.parts_of(hosts)

    def rows(self, serials: Int64s) -> tuple[Columns, Places]:
        """Return rows by their numbers, and in which order of these they come."""
        found, order = [], []
        for held in self._held:
            own = np.flatnonzero((serials >= held.first) & (serials <= held.last))
            if len(own):
                places = np.searchsorted(held.serials, serials[own])
                found.append(held.selection.columns.take(places))
                order.append(own)
        return concatenated(found), np.concatenate(order)

    def peaks(self, pack: Pack, within_us: int, measures: Measures) -> Int64s:
        """Return for each host of a pack a bound of what windows that end in it hold.

        It is of all rows, whatever their group and selector, so no group holds more. Each pack is
        read once, however many rules with like windows ask.

        Args:
            pack: The rows, which were added last.
            within_us: Length of the windows.
            measures: What they add up; where it counts distinct values, rows are counted.
        """
        asked = within_us, measures.added
        number, peaks = self._peaks.get(asked, (0, _NO_PEAKS))
        if number == self.count:
            return peaks
        hosts = np.array(pack.hosts, np.int64)
        panes = self._panes.get(asked, np.zeros((0, 3), np.int64))
        known = len(panes)
        panes = grown(panes, int(hosts.max()) + 1)
        panes[known:, 0] = INT64_MIN
        self._panes[asked] = panes
        values, valid = measures.amounts(pack.columns)
        peaks = np.zeros(len(hosts), np.int64)
        self._operations.peaks_of_panes(
            plain(pack.columns.ts_us),
            *(pack.starts, hosts, values, valid, within_us, MOST, panes, peaks),
        )
        self._peaks[asked] = self.count, peaks
        return peaks

    def state(self) -> State:
        """Return what it holds."""
        return {
            "count": self.count,
            "held": [held.state() for held in self._held],
            "panes": [[within, column, panes] for (within, column), panes in self._panes.items()],
        }

    def load(self, state: State, dictionary: Dictionary, classifier: Classifier) -> None:
        """Hold what a state says."""
        self.count = state["count"]
        self._held = [Held.of(own, dictionary, classifier) for own in state["held"]]
        for within_us, column, panes in state["panes"]:
            self._panes[within_us, column] = panes

    def _cool(self) -> None:
        """Compress the rows of packs that nobody read lately, if they are many."""
        warm = sum(held.warm_bytes for held in self._held)
        for held in self._held[:-1]:
            if warm > WARM_BYTES and held.idle >= IDLE:
                warm -= held.warm_bytes
                held.cool()
            held.idle += 1
