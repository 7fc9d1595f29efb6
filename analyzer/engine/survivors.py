"""Survivors: rows that neither slice nor moment matter to, put aside until there are many.

In: selections of packs. Out: the rows that each selector accepts: what a call costs
is paid once for thousands of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.engine.arrays import Int64s
    from analyzer.engine.classify import Classifier
    from analyzer.telemetry.slices import Columns

ENOUGH: Final = 16_384  # rows


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one kind of any hosts; those of one host stand by time.

    Attributes:
        hosts: The host of each.
        serials: A number of each that no other row of its kind has, ascending by host.
    """

    hosts: Int64s
    serials: Int64s
    rows: Columns


class Survivors:
    """Rows of one kind that wait.

    Attributes:
        bits: By plane: bits of which each of them has one.
    """

    def __init__(
        self, classifier: Classifier, wanted: Sequence[tuple[int, Callable[[Found], None]]]
    ) -> None:
        """Wait for rows of selectors; each with who takes them."""
        self.wanted = list(wanted)
        self.bits: list[int] = []
        self._classifier = classifier
        self._parts: list[tuple[Int64s, Int64s, Selection]] = []
        self._count = 0

    def prepare(self) -> None:
        """Note the bits of the selectors, now that they have some."""
        self.bits = [0] * self._classifier.planes
        for selector, _ in self.wanted:
            for part in self._classifier.parts[selector]:
                self.bits[part.plane] |= part.accept

    def add(self, hosts: Int64s, selection: Selection, serials: Int64s) -> None:
        """Put rows aside, each of its host."""
        self._parts.append((hosts, serials, selection))
        self._count += len(serials)

    @property
    def is_full(self) -> bool:
        """Tell whether there are enough rows."""
        return self._count >= ENOUGH

    def flush(self) -> None:
        """Give the rows to who wants them."""
        if not self._parts:
            return
        hosts = np.concatenate([hosts for hosts, _, _ in self._parts])
        serials = np.concatenate([serials for _, serials, _ in self._parts])
        parts = [selection for _, _, selection in self._parts]
        selection = Selection.joined(parts, self._classifier)
        self._parts, self._count = [], 0
        for selector, take in self.wanted:
            if selection.has(selector):
                places = selection.places(selector)
                if len(places):
                    rows = selection.columns.take(places)
                    take(Found(hosts[places], serials[places], rows))
