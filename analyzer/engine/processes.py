"""Processes: the process instances of a dictionary as columns, each looked at once.

In: instances. Out: per field one number for each, so that work on processes is work on arrays.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analyzer.engine.arrays import grown
from analyzer.telemetry.dictionary import Ids
from rules.telemetry.event import PROCESS_ROW_KEYS
from rules.telemetry.kinds import PROCESS_COLUMNS, ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.engine.arrays import Bools, Int64s
    from analyzer.telemetry.dictionary import Dictionary
    from rules.columns import Value
    from rules.telemetry.event import Process

PLACES: Final = {name: place for place, name in enumerate(PROCESS_ROW_KEYS)}
TYPES: Final = {column.name: column.type for column in PROCESS_COLUMNS}


class ProcessField:
    """One field of every process: numbers as they are, texts by their place in ``texts``.

    Attributes:
        name: The column.
        texts: Distinct texts; the first stands for null. Empty for a number field.
    """

    def __init__(self, name: str, dictionary: Dictionary) -> None:
        """Read the processes of ``dictionary`` as they come."""
        self.name = name
        self.texts: list[str | None] = []
        self.is_number = TYPES[name] is ColumnType.INTEGER
        self._ids = Ids(self.texts)
        self._dictionary = dictionary
        self._value_of = itemgetter(PLACES[name])
        self._numbers: Int64s = np.zeros(0, np.int64)
        self._is_null: Bools = np.zeros(0, np.bool_)
        self._count = 0
        if not self.is_number:
            self._ids[None]  # enters it: 0 is null

    def numbers(self) -> Int64s:
        """Return the number of each process, by its id; 0 where the field is null."""
        self._extend()
        return self._numbers[: self._count]

    def is_null(self) -> Bools:
        """Tell of each process whether the field is null."""
        self._extend()
        return self._is_null[: self._count]

    def values(self, numbers: Int64s, is_null: Bools) -> list[Value | None]:
        """Return what some numbers stand for."""
        known: Sequence[Any] = numbers.tolist()
        if not self.is_number:
            known = [self.texts[number] for number in known]
        return [None if none else own for own, none in zip(known, is_null.tolist(), strict=True)]

    def find_text(self, text: str) -> int | None:
        """Return which of ``texts`` one is, if any."""
        return self._ids.get(text)

    def _extend(self) -> None:
        processes = self._dictionary.processes
        known, count = self._count, len(processes)
        if known == count:
            return
        self._numbers = grown(self._numbers, count)
        self._is_null = grown(self._is_null, count)
        if self.is_number:
            nothing = 1 - min(known, 1)  # the first process of a dictionary is none
            self._is_null[known : known + nothing] = True
            self._put_numbers(processes[known + nothing : count], slice(known + nothing, count))
        else:
            self._put_texts(processes[known:count], slice(known, count))
        self._count = count

    def _put_numbers(self, processes: Sequence[Process], at: slice) -> None:
        try:
            self._numbers[at] = self._filled(map(self._value_of, processes), processes)
        except TypeError:  # some are null
            values = list(map(self._value_of, processes))
            self._is_null[at] = [value is None for value in values]
            self._numbers[at] = [value or 0 for value in values]

    def _put_texts(self, processes: Sequence[Process], at: slice) -> None:
        numbers = map(self._ids.__getitem__, map(self._value_of, processes))
        self._numbers[at] = self._filled(numbers, processes)
        self._is_null[at] = self._numbers[at] == 0

    @staticmethod
    def _filled(numbers: Iterable[Any], processes: Sequence[Process]) -> Int64s:
        return np.fromiter(numbers, np.int64, len(processes))


class Processes:
    """The fields of a dictionary's processes that somebody asks for."""

    def __init__(self, dictionary: Dictionary) -> None:
        """Read ``dictionary``."""
        self.dictionary = dictionary
        self._fields: dict[str, ProcessField] = {}

    def field(self, name: str) -> ProcessField:
        """Return a field by the name of its column."""
        if name not in self._fields:
            self._fields[name] = ProcessField(name, self.dictionary)
        return self._fields[name]
