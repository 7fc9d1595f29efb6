"""Measures: what a threshold counts or adds up, as whole numbers of rows.

In: columns. Out: a number per row, and whether the row has one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from analyzer.engine.arrays import plain

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.engine.arrays import Bools, Int64s, Places
    from analyzer.engine.keys import Keys
    from analyzer.telemetry.slices import Columns

Measure = Literal["count", "sum", "distinct"]
NUMBERS: Final[dict[Measure, int]] = {"count": 0, "sum": 1, "distinct": 2}
"""As the operation ``cross`` knows them."""
_NO_NUMBERS: Final = np.zeros(0, np.int64)
_NO_BOOLS: Final = np.zeros(0, np.bool_)
_NONE_NULL: Final = np.zeros(0, np.uint8)


class Measures:
    """Reads what some rules measure.

    Attributes:
        measure: What they do with it.
        column: The column; None where rows are counted.
    """

    def __init__(self, measure: Measure, column: str | None, keys: Keys) -> None:
        """Read ``column``, whose values ``keys`` tells apart."""
        self.measure = measure
        self.column = column
        self._keys = keys

    @property
    def added(self) -> str | None:
        """Return the column that is added up; None where the number of rows is a bound."""
        return self.column if self.measure == "sum" else None

    def amounts(self, rows: Columns) -> tuple[Int64s, npt.NDArray[np.uint8]]:
        """Return what is added up and where it is not null; both empty where rows are counted."""
        if self.measure != "sum":
            return _NO_NUMBERS, _NONE_NULL
        vector = rows.columns.get(self.column or "")
        if vector is None:
            return self.values(rows)[0], _NONE_NULL
        values = plain(vector.values).astype(np.int64, copy=False)
        return values, _NONE_NULL if vector.valid is None else plain(vector.valid)

    def values(self, rows: Columns, places: Places | None = None) -> tuple[Int64s, Bools]:
        """Return numbers to add up, or that tell values apart, and which rows have one.

        Both are empty where rows are counted. ``places`` are the rows; None = all.
        """
        if self.column is None:
            return _NO_NUMBERS, _NO_BOOLS
        there = self._keys.complete(rows, places)
        parts = np.ascontiguousarray(self._keys.of(rows, places)[:, 0])
        if self.measure == "sum":
            parts = np.where(there, self._keys.numbers(parts), 0)
        return parts, there
