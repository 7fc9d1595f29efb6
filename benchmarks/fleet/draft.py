"""Draft: the columns of one kind of one host while they are being drawn, in no order of time.

In: arrays of ids, codes and numbers. Out: ``Columns`` by time, with derived columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analyzer.telemetry.columns import derived
from analyzer.telemetry.slices import Columns
from rules.telemetry.batch import NULLABLE_NUMBERS, TYPE_CODES, Vector
from rules.telemetry.kinds import KINDS

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.telemetry.dictionary import Dictionary
    from benchmarks.fleet.draw import Ints
    from benchmarks.fleet.world import Ids

_NOBODY: Final = 0  # id of no process


class Draft:
    """Columns by name; setting one converts it to the column's type.

    Attributes:
        ts_us: Times.
        process: Ids of process instances.
    """

    def __init__(self, kind: str, ts_us: Ints, process: Ids) -> None:
        """Start with no column of its own."""
        self.kind = kind
        self.ts_us = ts_us
        self.process = process
        self._columns: dict[str, Vector] = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ts_us)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return the values of a column; changing them changes the column."""
        values: npt.NDArray[Any] = self._columns[name].values
        return values

    def put(self, name: str, values: object, *, valid: object = None) -> None:
        """Set a column; one value stands for every row."""
        column = KINDS[self.kind].columns[name]
        shape = (len(self),)
        array = np.array(np.broadcast_to(np.asarray(values), shape), TYPE_CODES[column.type])
        is_number = column.type in NULLABLE_NUMBERS
        there = None
        if is_number and valid is not None:
            there = np.array(np.broadcast_to(np.asarray(valid), shape), np.uint8)
            array[there == 0] = 0
        self._columns[name] = Vector(array, there)

    def set_numbers(self, name: str, places: Ints, values: object) -> None:
        """Set a number column of some rows, which are null no longer."""
        vector = self._columns[name]
        vector.values[places] = values
        if vector.valid is not None:
            vector.valid[places] = 1

    def code(self, name: str, value: str) -> int:
        """Return the code of a closed value."""
        return KINDS[self.kind].columns[name].closed.index(value) + 1

    def codes(self, name: str, pool: tuple[str, ...]) -> npt.NDArray[np.uint8]:
        """Return the codes of closed values."""
        return np.array([self.code(name, value) for value in pool], np.uint8)

    def forget_process(self, places: Ints) -> None:
        """Make the process of some rows unknown."""
        self.process[places] = _NOBODY
        self["attribution"][places] = self.code("attribution", "unknown")

    def columns(self, dictionary: Dictionary) -> Columns:
        """Return the rows by time, derived columns included."""
        own = derived(self.kind, self.ts_us, dict(self._columns), dictionary)
        whole = Columns(self.kind, self.ts_us, self.process, own, dictionary)
        return whole.take(np.argsort(self.ts_us, kind="stable"))
