"""Classification: which selectors each row of a slice matches, in one pass over its columns.

In: columns of one kind, and the conjunctions of every rule that reads the kind. Out: 64 bits per
row and plane, a bit for each conjunction, exactly. Of the first plane every row has bits; of others
few rows have any, and only those are looked at column by column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analyzer.engine.planes import Part, Wish, planned
from analyzer.engine.sources import sources_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy.typing as npt

    from analyzer.engine.arrays import Places, UInt64s
    from analyzer.engine.conjunctions import Alternatives
    from analyzer.engine.operations import Operations
    from analyzer.engine.processes import Processes
    from analyzer.engine.sources import Source
    from analyzer.telemetry.slices import Columns

SAMPLE: Final = 4_096  # rows that show how selective conjunctions are
_OFTEN: Final = 0.02  # share of rows above which a selector should be of the first plane
_SPARSE: Final = 8  # where fewer than one in so many rows is left, each is looked up alone


class Classifier:
    """Classifies rows of one kind by the conjunctions of its selectors.

    The bits are chosen when the first rows come, which show what is selective.

    Attributes:
        parts: By selector: its bits.
        rates: By selector: a bound of the share of rows that it accepts.
    """

    def __init__(
        self,
        kind: str,
        selectors: Sequence[Alternatives],
        at_once: Collection[int],
        processes: Processes,
        operations: Operations,
    ) -> None:
        """Prepare the tables of ``selectors``; the rows of some are wanted ``at_once``."""
        self.operations = operations
        self.parts: list[list[Part]] = []
        self.rates: list[float] = []
        self.is_ready = False
        every = [item for own in selectors for item in (*own.accept, *own.refuse)]
        conjunctions = list(dict.fromkeys(every))
        numbers = {item: number for number, item in enumerate(conjunctions)}
        self._selectors = [
            (
                tuple(map(numbers.__getitem__, own.accept)),
                tuple(map(numbers.__getitem__, own.refuse)),
            )
            for own in selectors
        ]
        self._at_once = at_once
        self._count = len(conjunctions)
        self._planes: list[_Plane] = []
        self._sources = sources_of(kind, conjunctions, processes, operations)

    def prepare(self, sample: Columns) -> None:
        """Choose bits, now that there are rows."""
        shares = np.empty((len(self._sources), self._count))
        holds = np.ones((len(sample), self._count), np.bool_)
        for place, source in enumerate(self._sources):
            classes = source.classes(sample)  # looks new values up, so it comes first
            allowed = source.truth.allowed[classes]
            shares[place] = allowed.mean(axis=0)
            holds &= allowed
        rates = holds.mean(axis=0)
        planes, self.parts = planned(
            [self._wish(selector, shares, rates) for selector in range(len(self._selectors))]
        )
        self._planes = [
            _Plane(number, own, self._sources, sample) for number, own in enumerate(planes)
        ]
        self.rates = [float(rates[list(accept)].max(initial=0)) for accept, _ in self._selectors]
        self.is_ready = True

    @property
    def planes(self) -> int:
        """Return how many planes there are."""
        return len(self._planes)

    def direct(self, selector: int) -> tuple[np.uint64, np.uint64] | None:
        """Return the bits in the first plane of which rows have one and none.

        None where a selector is of another plane, or of several.
        """
        parts = self.parts[selector]
        if len(parts) > 1 or parts[0].plane:
            return None
        return np.uint64(parts[0].accept), np.uint64(parts[0].refuse)

    def masks(self, columns: Columns) -> UInt64s:
        """Return the bits of each row in the first plane."""
        return self._planes[0].masks(columns, self.operations)

    def sparse(self, plane: int, columns: Columns) -> tuple[Places, UInt64s]:
        """Return the rows that have bits in another plane, and these bits."""
        return self._planes[plane].sparse(columns, self.operations)

    def _wish(self, selector: int, shares: npt.NDArray[Any], rates: npt.NDArray[Any]) -> Wish:
        accept, refuse = self._selectors[selector]
        rate = float(rates[list(accept)].max(initial=0))
        # Of like selectors the most selective source comes first, then their texts.
        likeness = [int(shares[:, number].argmin()) for number in accept] if len(shares) else []
        is_first = selector in self._at_once or rate > _OFTEN
        return Wish(accept, refuse, is_first, (*sorted(likeness), selector))


class _Plane:
    """Up to 64 conjunctions, and the sources that some of them test, the most selective first."""

    def __init__(
        self, number: int, conjunctions: Sequence[int], sources: Sequence[Source], sample: Columns
    ) -> None:
        self._number = number
        self._all = np.uint64((1 << len(conjunctions)) - 1)
        self._sources = [source for source in sources if source.truth.tests(conjunctions)]
        for source in self._sources:
            source.truth.add_plane(number, conjunctions)
        if len(sample):
            self._sources.sort(key=lambda source: self._left_by(source, sample))

    def _left_by(self, source: Source, rows: Columns) -> int:
        """Return how many rows have bits after a look at one source."""
        classes = source.classes(rows)
        return int(np.count_nonzero(source.words(self._number).take(classes)))

    def masks(self, columns: Columns, operations: Operations) -> UInt64s:
        """Return the bits of each row."""
        masks = np.full(len(columns), self._all, np.uint64)
        for source in self._sources:
            source.restrict(columns, masks, self._number, operations)
        return masks

    def sparse(self, columns: Columns, operations: Operations) -> tuple[Places, UInt64s]:
        """Return the rows that have bits, and these bits."""
        masks = np.full(len(columns), self._all, np.uint64)
        if not self._sources:  # conjunctions that every row of the kind fulfils
            return np.arange(len(columns)), masks
        places = operations.room(0, len(columns))
        count = len(columns)
        sources = iter(self._sources)
        for source in sources:
            source.restrict(columns, masks, self._number, operations)
            count = operations.rows_with(masks, self._all, np.uint64(0), places)
            if count * _SPARSE <= len(columns):
                break
        places = places[:count].copy()
        masks = masks.take(places)
        for source in sources:
            if not len(places):
                break
            classes = source.classes(columns, places)
            masks &= source.words(self._number).take(classes)
        has_bits = masks != 0
        return places[has_bits], masks[has_bits]
