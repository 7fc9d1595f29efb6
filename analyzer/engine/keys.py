"""Keys: the values of some columns of a row as whole numbers, and back.

In: columns of a slice. Out: a row of int64 per row of telemetry; equal exactly where the values
are, in every kind that has the columns and whatever batch they came in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.engine.arrays import grown, some
from analyzer.engine.ids import IdTable
from analyzer.engine.processes import PLACES
from rules.telemetry.batch import Vector
from rules.telemetry.kinds import KINDS, Column, ColumnType

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.engine.arrays import Bools, Int64s, Places
    from analyzer.engine.operations import Operations
    from analyzer.engine.processes import Processes
    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.slices import Columns
    from rules.columns import Value
    from rules.outcome import Key

_TEXTS: Final = (ColumnType.TEXT, ColumnType.ADDRESS)
_NUMBERS: Final = (ColumnType.PORT, ColumnType.INTEGER)
_WORDS: Final = tuple(
    dict.fromkeys(
        word for kind in KINDS.values() for column in kind.own for word in (None, *column.closed)
    )
)
_WORD_NUMBERS: Final = {word: number for number, word in enumerate(_WORDS)}
_BOOLEANS: Final = (None, False, True)


class ProcessKeys:
    """Process instances by some of their columns: those that agree in them have one number."""

    def __init__(self, names: Sequence[str], processes: Processes, operations: Operations) -> None:
        """Tell processes apart by ``names``."""
        self._fields = [processes.field(name) for name in names]
        self._table = IdTable(len(names) + 1, operations)
        self._numbers: npt.NDArray[np.int32] = np.zeros(0, np.int32)
        self._has_null: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._dictionary = processes.dictionary
        self._count = 0

    def numbers(self) -> npt.NDArray[np.int32]:
        """Return the number of each process of the dictionary, by its id."""
        self._extend()
        return self._numbers

    def has_null(self) -> Bools:
        """Tell of each process of the dictionary whether one of the columns is null."""
        self._extend()
        return self._has_null

    def values(self, numbers: Int64s) -> list[list[Value | None]]:
        """Return by column the values that some numbers stand for."""
        self._extend()
        keys = self._table.keys.take(numbers, axis=0)
        nulls = keys[:, -1]
        return [
            field.values(keys[:, place], nulls >> place & 1 != 0)
            for place, field in enumerate(self._fields)
        ]

    def parts(self, place: int) -> Int64s:
        """Return the number in one of the columns, by the number of the process; null is 0."""
        return self._table.keys[:, place]

    def _extend(self) -> None:
        known, count = self._count, len(self._dictionary.processes)
        if known == count:
            return
        nulls = np.zeros(count - known, np.int64)
        for place, field in enumerate(self._fields):
            nulls |= field.is_null()[known:count].astype(np.int64) << place
        parts = [field.numbers()[known:count] for field in self._fields]
        self._numbers = grown(self._numbers, count)
        self._has_null = grown(self._has_null, count)
        self._numbers[known:count] = self._table.enter(np.column_stack((*parts, nulls)))
        self._has_null[known:count] = nulls != 0
        self._count = count


class Keys:
    """Keys by some columns of a kind.

    Attributes:
        names: The columns, in the order of ``values``.
        width: Numbers in a key.
    """

    def __init__(
        self,
        kind: str,
        names: Sequence[str],
        processes: ProcessKeys | None,
        dictionary: Dictionary,
    ) -> None:
        """Make keys of ``names``.

        Args:
            kind: The telemetry kind.
            names: Its columns.
            processes: Tells processes apart by those of ``names`` that are theirs; None = by none.
            dictionary: What ids mean.
        """
        self.names = tuple(names)
        self._texts = dictionary.texts
        self._all = dictionary.processes
        self._same = np.zeros(0, np.int32)
        self._processes = processes
        self._of_process = [name for name in names if name in PLACES]
        self._own = [KINDS[kind].columns[name] for name in names if name not in PLACES]
        self._codes = {
            column.name: np.array([_WORD_NUMBERS[word] for word in (None, *column.closed)])
            for column in self._own
            if column.type is ColumnType.CODE
        }
        numbers = [column.name for column in self._own if column.type in _NUMBERS]
        self._null_bits = {name: 1 << place for place, name in enumerate(numbers)}
        self.width = bool(self._of_process) + len(self._own) + bool(numbers)

    @property
    def of_processes(self) -> npt.NDArray[np.int32] | None:
        """Return the key of each process by its id, where a key is one number of the process.

        Keys of no column are all the same.
        """
        if self._own:
            return None
        if self._processes is None:
            if len(self._same) < len(self._all):
                self._same = np.zeros(2 * len(self._all), np.int32)
            return self._same
        return self._processes.numbers()

    @property
    def port(self) -> str | None:
        """Return the column where a key is one port."""
        is_port = len(self.names) == 1 and bool(self._own) and self._own[0].type is ColumnType.PORT
        return self.names[0] if is_port else None

    def of(self, columns: Columns, places: Places | None = None) -> Int64s:
        """Return int64[row, width] of some rows; None = all."""
        keys = np.zeros((len(columns) if places is None else len(places), self.width), np.int64)
        place = 0
        if self._processes is not None:
            keys[:, 0] = self._processes.numbers().take(some(columns.process, places))
            place = 1
        for column in self._own:
            vector = columns.columns.get(column.name)
            self._put(column, vector, places, keys[:, place], keys[:, -1])
            place += 1
        return keys

    def complete(self, columns: Columns, places: Places | None = None) -> Bools:
        """Tell of some rows whether none of the columns is null; None = all rows."""
        complete = np.ones(len(columns) if places is None else len(places), np.bool_)
        if self._processes is not None:
            complete &= ~self._processes.has_null().take(some(columns.process, places))
        for column in self._own:
            vector = columns.columns.get(column.name)
            if vector is None:
                complete[:] = False
            elif column.type not in _NUMBERS:
                complete &= some(vector.values, places) != 0
            elif vector.valid is not None:
                complete &= some(vector.valid, places) != 0
        return complete

    def values(self, keys: Int64s) -> list[Key]:
        """Return the values of keys, each by column and in the order of ``names``."""
        found: dict[str, list[Value | None]] = {}
        place = 0
        if self._processes is not None:
            found.update(zip(self._of_process, self._processes.values(keys[:, 0]), strict=True))
            place = 1
        for column in self._own:
            found[column.name] = self._values(column, keys[:, place], keys[:, -1])
            place += 1
        if not self.names:
            return [{} for _ in keys]
        ordered = [found[name] for name in self.names]
        return [dict(zip(self.names, own, strict=True)) for own in zip(*ordered, strict=True)]

    def numbers(self, parts: Int64s) -> Int64s:
        """Return the numbers that the first parts of keys stand for, in keys of one column."""
        if self._processes is None:
            return parts
        return self._processes.parts(0).take(parts)

    def _put(
        self,
        column: Column,
        vector: Vector | None,
        places: Places | None,
        into: Int64s,
        nulls: Int64s,
    ) -> None:
        is_number = column.type in _NUMBERS
        if vector is None:
            if is_number:
                nulls |= self._null_bits[column.name]
            return
        values = some(vector.values, places)
        if column.type is ColumnType.CODE:
            into[:] = self._codes[column.name].take(values)
        elif vector.valid is None or not is_number:
            into[:] = values
        else:
            is_null = some(vector.valid, places) == 0
            into[:] = np.where(is_null, 0, values)
            nulls[is_null] |= self._null_bits[column.name]

    def _values(self, column: Column, numbers: Int64s, nulls: Int64s) -> list[Value | None]:
        if column.type in _NUMBERS:
            is_null = nulls & self._null_bits[column.name] != 0
            return [
                None if none else number
                for number, none in zip(numbers.tolist(), is_null.tolist(), strict=True)
            ]
        if column.type in _TEXTS:
            return [self._texts[number] for number in numbers.tolist()]
        words = _WORDS if column.type is ColumnType.CODE else _BOOLEANS
        return [words[number] for number in numbers.tolist()]


class PairedKeys:
    """Keys that are two keys, one after the other."""

    def __init__(self, one: Keys, other: Keys) -> None:
        """Make keys of both."""
        self._one, self._other = one, other
        self.width = one.width + other.width

    def of(self, columns: Columns) -> Int64s:
        """Return int64[row, width]."""
        return np.hstack((self._one.of(columns), self._other.of(columns)))

    def values(self, keys: Int64s) -> list[Key]:
        """Return the values of the second key of each."""
        return self._other.values(keys[:, self._one.width :])


class KeyMaker:
    """Makes the keys of one run: those by the same process columns share their table."""

    def __init__(self, processes: Processes, operations: Operations) -> None:
        """Make keys of what a dictionary names."""
        self._all = processes
        self._operations = operations
        self._processes: dict[tuple[str, ...], ProcessKeys] = {}

    def keys(self, kind: str, names: Sequence[str]) -> Keys:
        """Return keys by ``names`` of a kind; equal values have equal keys in every kind."""
        of_process = tuple(name for name in names if name in PLACES)
        if of_process and of_process not in self._processes:
            self._processes[of_process] = ProcessKeys(of_process, self._all, self._operations)
        return Keys(kind, names, self._processes.get(of_process), self._all.dictionary)
