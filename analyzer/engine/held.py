"""Held: what is left of the rows of one pack, ready to be read or compressed.

In: the rows of a pack. Out: the same rows, fewer as time goes by. Whether they were compressed
meanwhile shows in nothing but memory and time.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np

from analyzer.engine.arrays import expanded
from analyzer.engine.selection import Selection
from analyzer.engine.snapshot import columns_of, columns_state, packed, unpacked
from rules.errors import WireError
from rules.telemetry.compression import Method, pack, unpack
from rules.telemetry.kinds import INT64_MIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.engine.arrays import Int64s, Places
    from analyzer.engine.classify import Classifier
    from analyzer.engine.snapshot import State
    from analyzer.telemetry.dictionary import Dictionary

    _Warm = tuple[Selection, Int64s]

_LIVE: Final = 0.75  # share of rows held that must be wanted, or the others are let go


class Cold(NamedTuple):
    """Rows as they are compressed.

    Attributes:
        size_bytes: Their size before.
    """

    method: Method
    size_bytes: int
    data: bytes | mmap.mmap


class Held:
    """The rows of one pack, or what is left of them.

    Attributes:
        number: Packs count from 0.
        hosts: The host of each part.
        starts: Where the rows of each part begin that are still wanted.
        stops: Where they end.
        last_us: Time of the last row that each part had.
        first: The number of the first row.
        last: The number of the last row.
        idle: How often a pack was looked at since somebody read the rows.
    """

    def __init__(
        self, number: int, selection: Selection, serials: Int64s, hosts: Int64s, starts: Int64s
    ) -> None:
        """Hold rows, host after host; ``starts`` says where those of each begin, and the end.

        ``serials`` are numbers of the rows, ascending.
        """
        self.number = number
        self.hosts = hosts
        self.starts, self.stops = starts[:-1].copy(), starts[1:].copy()
        self.last_us = selection.columns.ts_us[self.stops - 1]
        self.idle = 0
        self._classifier = selection.classifier
        self._dictionary = selection.columns.dictionary
        self._rows: tuple[Selection, Int64s] | Cold
        self._hold(selection, serials)

    @property
    def selection(self) -> Selection:
        """Return the rows."""
        return self._read()[0]

    @property
    def serials(self) -> Int64s:
        """Return the number of each row; ascending."""
        return self._read()[1]

    @property
    def warm_bytes(self) -> int:
        """Return how much memory the rows take that lie ready; 0 where they are compressed."""
        return 0 if isinstance(self._rows, Cold) else self._bytes

    def parts_of(self, hosts: Int64s) -> tuple[Places, Places]:
        """Return the parts with rows that are of some hosts, and for each which of these."""
        known = np.full(int(max(hosts.max(), self.hosts.max())) + 1, -1)
        known[hosts] = np.arange(len(hosts))
        owners = known[self.hosts]
        parts = np.flatnonzero((owners >= 0) & (self.stops > self.starts))
        return parts, owners[parts]

    def trim(self, to_us: Mapping[int, int], within_us: int) -> None:
        """Let go of what no window of a row from ``to_us`` on holds, but for the last rows."""
        ts_us = self.selection.columns.ts_us
        for part, (host, start, stop) in enumerate(
            zip(self.hosts.tolist(), self.starts.tolist(), self.stops.tolist(), strict=True)
        ):
            before_us = to_us[host] - within_us
            if before_us >= INT64_MIN:
                gone = int(ts_us[start:stop].searchsorted(before_us, side="right"))
                self.starts[part] = min(start + gone, stop - 1)

    def shrink(self) -> bool:
        """Let go of rows that are not wanted, if they are many; returns whether some are left."""
        lengths = self.stops - self.starts
        count = int(lengths.sum())
        if 0 < count <= _LIVE * self._count:
            was_cold = isinstance(self._rows, Cold)
            alive = lengths > 0
            places, _ = expanded(self.starts, self.stops)
            selection, serials = self._read()
            self.hosts, self.last_us = self.hosts[alive], self.last_us[alive]
            self.stops = np.cumsum(lengths[alive])
            self.starts = self.stops - lengths[alive]
            self._hold(selection.taken(places), serials[places])
            if was_cold:
                self.cool()
        return count > 0

    def cool(self) -> None:
        """Compress the rows until somebody reads them.

        They lie in pages of their own: small pieces that stay, among large ones that come and go,
        would keep the allocator from giving memory back.
        """
        if not isinstance(self._rows, Cold):
            cold = _cooled(self._rows)
            pages = mmap.mmap(-1, len(cold.data))
            pages.write(cold.data)
            self._rows = cold._replace(data=pages)

    def state(self) -> State:
        """Return what it holds."""
        cold = self._rows if isinstance(self._rows, Cold) else _cooled(self._rows)
        return {
            "number": self.number,
            "hosts": self.hosts,
            "starts": self.starts,
            "stops": self.stops,
            "last_us": self.last_us,
            "rows": (*cold[:2], cold.data[:]),
        }

    @classmethod
    def of(cls, state: State, dictionary: Dictionary, classifier: Classifier) -> Self:
        """Return what a state says.

        Raises:
            ValueError: Its rows cannot be read.
        """
        try:
            selection, serials = _warmed(Cold(*state["rows"]), dictionary, classifier)
        except WireError as error:
            raise ValueError(str(error)) from error
        bounds = np.append(state["starts"], len(serials))
        held = cls(state["number"], selection, serials, state["hosts"], bounds)
        held.starts, held.stops = state["starts"], state["stops"]
        held.last_us = state["last_us"]
        return held

    def _hold(self, selection: Selection, serials: Int64s) -> None:
        self._rows = selection, serials
        self._count = len(serials)
        self._bytes = selection.columns.nbytes + selection.masks.nbytes + serials.nbytes
        self.first, self.last = int(serials[0]), int(serials[-1])

    def _read(self) -> _Warm:
        self.idle = 0
        if isinstance(self._rows, Cold):
            self._rows = _warmed(self._rows, self._dictionary, self._classifier)
        return self._rows


def _cooled(rows: _Warm) -> Cold:
    selection, serials = rows
    data = packed({"rows": columns_state(selection.columns), "serials": serials})
    method, smaller = pack(data)
    return Cold(method, len(data), smaller)


def _warmed(cold: Cold, dictionary: Dictionary, classifier: Classifier) -> _Warm:
    data = unpack(cold.data[:], method=cold.method, size_bytes=cold.size_bytes)
    state = unpacked(data)
    return Selection(columns_of(state["rows"], dictionary), classifier), state["serials"]
