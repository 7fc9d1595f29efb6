"""Selections: the rows of a slice that each selector of a kind accepts.

In: columns and their classification. Out: rows, looked for once however many rules want them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.telemetry.slices import concatenated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.engine.arrays import Bools, Places, UInt64s
    from analyzer.engine.classify import Classifier
    from analyzer.telemetry.slices import Columns

    Plane = tuple[Places | None, UInt64s]
    """Rows and their bits; None = every row has some."""

_NONE: Final = np.uint64(0)
_FEW: Final = 128  # rows that are not worth a copy


class Selection:
    """What one classifier makes of rows of one kind.

    Attributes:
        columns: The rows.
        classifier: Who says what accepts them.
        masks: Bits of each row in the first plane.
    """

    def __init__(
        self, columns: Columns, classifier: Classifier, planes: Sequence[Plane] = ()
    ) -> None:
        """Classify ``columns``, unless the bits of their rows are known."""
        self.columns = columns
        self.classifier = classifier
        self._planes = list(planes)
        if not self._planes:
            self._planes.append((None, classifier.masks(columns)))
            others = range(1, classifier.planes)
            self._planes += [classifier.sparse(plane, columns) for plane in others]
        self.masks = self._planes[0][1]
        self._places: dict[int, Places] = {}

    @cached_property
    def bits(self) -> list[int]:
        """Return by plane the bits that some row has."""
        any_of = self.classifier.operations.any_of
        return [int(any_of(masks)) for _, masks in self._planes]

    def has(self, selector: int) -> bool:
        """Tell whether a selector may accept a row."""
        bits = self.bits
        return any(bits[part.plane] & part.accept for part in self.classifier.parts[selector])

    def direct(self, selector: int) -> tuple[np.uint64, np.uint64] | None:
        """Return the bits in ``masks`` of which rows have one and none; None = see ``places``."""
        return self.classifier.direct(selector)

    def places(self, selector: int) -> Places:
        """Return which rows a selector accepts, ascending."""
        found = self._places.get(selector)
        if found is None:
            found = self._places[selector] = self._find(selector)
        return found

    def having(self, bits: Sequence[int]) -> tuple[Selection, Places]:
        """Return the rows that have, in some plane, one of its ``bits``; and where they stand."""
        found = [
            self._rows(plane, own, 0) for plane, own in enumerate(bits) if own & self.bits[plane]
        ]
        places = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
        if len(places) == len(self.columns) or len(self.columns) <= _FEW:
            return self, np.arange(len(self.columns))
        planes = [(None, self._bits_at(plane, places)) for plane in range(len(self._planes))]
        return Selection(self.columns.take(places), self.classifier, planes), places

    def taken(self, places: Places) -> Selection:
        """Return a copy of some rows, which ascend."""
        planes: list[Plane] = []
        for where, masks in self._planes:
            if where is None:
                planes.append((None, masks.take(places)))
            else:
                at, own = _common(places, where)
                planes.append((at, masks[own]))
        return Selection(self.columns.take(places), self.classifier, planes)

    def forget(self) -> None:
        """Free what can be made again."""
        self._places.clear()

    def whole(self, plane: int) -> UInt64s:
        """Return the bits of each row in a plane."""
        where, masks = self._planes[plane]
        return masks if where is None else self._bits_at(plane, np.arange(len(self.columns)))

    @classmethod
    def joined(cls, parts: Sequence[Selection], classifier: Classifier) -> Selection:
        """Return the rows of several selections by one classifier, part after part."""
        planes: list[Plane] = [
            (None, np.concatenate([part.whole(plane) for part in parts]))
            for plane in range(classifier.planes)
        ]
        return cls(concatenated([part.columns for part in parts]), classifier, planes)

    def _find(self, selector: int) -> Places:
        parts = self.classifier.parts[selector]
        if len(parts) == 1:
            return self._rows(parts[0].plane, parts[0].accept, parts[0].refuse)
        accepted = [self._rows(part.plane, part.accept, part.refuse) for part in parts]
        refused = [self._rows(part.plane, part.refuse, 0) for part in parts if part.refuse]
        rows = np.unique(np.concatenate(accepted))
        return np.setdiff1d(rows, np.concatenate(refused)) if refused else rows

    def _rows(self, plane: int, accept: int, refuse: int) -> Places:
        """Return the rows that have one of some bits and none of others."""
        where, masks = self._planes[plane]
        operations = self.classifier.operations
        room = operations.room(0, len(masks))
        count = operations.rows_with(masks, np.uint64(accept), np.uint64(refuse), room)
        return room[:count].copy() if where is None else where.take(room[:count])

    def _bits_at(self, plane: int, places: Places) -> UInt64s:
        """Return the bits of some rows, which ascend."""
        where, masks = self._planes[plane]
        if where is None:
            return masks.take(places)
        found = np.zeros(len(places), np.uint64)
        at, own = _common(places, where)
        found[at] = masks[own]
        return found


def _common(places: Places, where: Places) -> tuple[Places, Bools]:
    """Return where the rows that both have stand in ``places``, and which of ``where`` they are."""
    if not len(places):
        return np.zeros(0, np.intp), np.zeros(len(where), np.bool_)
    at = np.minimum(np.searchsorted(places, where), len(places) - 1)
    same = places[at] == where
    return at[same], same
