"""Sources: the columns that a plan reads, and which conjunctions the values in them allow.

In: columns of a slice. Out: for each row the class of its value, and for each class the
conjunctions that it does not rule out. A test runs once per class; new values only extend tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from analyzer.engine.arrays import grown, plain, some
from analyzer.engine.ids import IdTable
from analyzer.engine.predicates import Numbers, Test, Texts
from analyzer.engine.processes import PLACES
from analyzer.engine.truth import Truth
from rules.telemetry.kinds import KINDS, PORT_MAX, Column, ColumnType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from analyzer.engine.arrays import Int64s, Places, UInt64s
    from analyzer.engine.conjunctions import Conjunction
    from analyzer.engine.operations import Operations
    from analyzer.engine.processes import Processes
    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.slices import Columns
    from rules.columns import Value

_NONE_NULL: Final = np.zeros(0, np.uint8)
_PAGE: Final = 256  # ports that share the upper half
_NO_WORDS: Final = np.zeros(0, np.uint64)


class Source(Protocol):
    """What the conjunctions of one kind ask of one column, or of the process columns together."""

    names: tuple[str, ...]
    truth: Truth

    def restrict(
        self, columns: Columns, masks: UInt64s, plane: int, operations: Operations
    ) -> None:
        """AND into each mask the word of its row's class."""
        ...

    def words(self, plane: int) -> UInt64s:
        """Return the word of each class."""
        ...

    def classes(self, columns: Columns, places: Places | None = None) -> Int64s:
        """Return the class of some rows; None = of all."""
        ...


class CodeSource:
    """A column of closed values: each code is a class, 0 is null."""

    def __init__(self, column: Column, conjunctions: Sequence[Conjunction]) -> None:
        """Enter every code."""
        self.names: tuple[str, ...] = (column.name,)
        self.truth = Truth(self.names, conjunctions)
        is_boolean = column.type is ColumnType.BOOLEAN
        closed: tuple[Value, ...] = (False, True) if is_boolean else column.closed
        for value in (None, *closed):
            self.truth.add({column.name: value})

    def restrict(
        self, columns: Columns, masks: UInt64s, plane: int, operations: Operations
    ) -> None:
        """AND into each mask the word of its row's code."""
        vector = columns.columns.get(self.names[0])
        if vector is None:
            masks &= self.truth.words(plane)[0]
        else:
            operations.and_codes(plain(vector.values), self.truth.words(plane), masks)

    def words(self, plane: int) -> UInt64s:
        """Return the word of each code."""
        return self.truth.words(plane)

    def classes(self, columns: Columns, places: Places | None = None) -> Int64s:
        """Return the codes of some rows."""
        vector = columns.columns.get(self.names[0])
        if vector is None:
            return np.zeros(len(columns) if places is None else len(places), np.int64)
        return some(vector.values, places)


class NumberSource:
    """An integer column: intervals between the numbers that tests name; class 0 is null."""

    def __init__(self, column: Column, conjunctions: Sequence[Conjunction]) -> None:
        """Enter every interval."""
        name = column.name
        self.names: tuple[str, ...] = (name,)
        self.truth = Truth(self.names, conjunctions)
        self.truth.add({name: None})
        points = Numbers(_tests_of(name, conjunctions)).points
        self._points = np.array(points, np.int64)
        self.truth.add({name: points[0] - 1 if points else 0})
        for point in points:
            self.truth.add({name: point})

    def restrict(
        self, columns: Columns, masks: UInt64s, plane: int, operations: Operations
    ) -> None:
        """AND into each mask the word of its row's interval."""
        vector = columns.columns.get(self.names[0])
        if vector is None:
            masks &= self.truth.words(plane)[0]
        else:
            valid = _NONE_NULL if vector.valid is None else plain(vector.valid)
            words = self.truth.words(plane)
            self._restrict(plain(vector.values), valid, words, masks, operations)

    def words(self, plane: int) -> UInt64s:
        """Return the word of each interval."""
        return self.truth.words(plane)

    def classes(self, columns: Columns, places: Places | None = None) -> Int64s:
        """Return the interval of the numbers of some rows."""
        vector = columns.columns.get(self.names[0])
        if vector is None:
            return np.zeros(len(columns) if places is None else len(places), np.int64)
        found = np.searchsorted(self._points, some(vector.values, places), side="right") + 1
        if vector.valid is None:
            return found
        return np.where(some(vector.valid, places) == 0, 0, found)

    def _restrict(
        self,
        values: npt.NDArray[Any],
        valid: npt.NDArray[np.uint8],
        words: UInt64s,
        masks: UInt64s,
        operations: Operations,
    ) -> None:
        operations.and_numbers(values, valid, self._points, words, masks)


class PortSource(NumberSource):
    """A port column: the interval of every port, in pages of a table."""

    def __init__(self, column: Column, conjunctions: Sequence[Conjunction]) -> None:
        """Look every port up once."""
        super().__init__(column, conjunctions)
        every = np.arange(PORT_MAX + 1)
        table = (np.searchsorted(self._points, every, side="right") + 1).astype(np.uint16)
        distinct, pages = np.unique(table.reshape(-1, _PAGE), axis=0, return_inverse=True)
        self._table = np.ascontiguousarray(distinct.reshape(-1))
        self._pages = pages.reshape(-1).astype(np.uint8)

    def _restrict(
        self,
        values: npt.NDArray[Any],
        valid: npt.NDArray[np.uint8],
        words: UInt64s,
        masks: UInt64s,
        operations: Operations,
    ) -> None:
        operations.and_ports(values, valid, self._pages, self._table, words, masks)


class TextSource:
    """A column of texts or addresses: tables by the dictionary's ids."""

    def __init__(
        self,
        column: Column,
        conjunctions: Sequence[Conjunction],
        dictionary: Dictionary,
        operations: Operations,
    ) -> None:
        """Read the texts of ``dictionary`` as they come."""
        self.names: tuple[str, ...] = (column.name,)
        self.truth = Truth(self.names, conjunctions)
        self._dictionary = dictionary
        self._texts = Texts(_tests_of(column.name, conjunctions))
        self._table = _Table(self.truth, operations)

    def restrict(
        self, columns: Columns, masks: UInt64s, plane: int, operations: Operations
    ) -> None:
        """AND into each mask the word of its row's text."""
        self._extend()
        vector = columns.columns.get(self.names[0])
        if vector is None:
            masks &= self._table.words(plane)[0]
        else:
            operations.and_ids(plain(vector.values), self._table.words(plane), masks)

    def words(self, plane: int) -> UInt64s:
        """Return the word of each class."""
        return self.truth.words(plane)

    def classes(self, columns: Columns, places: Places | None = None) -> Int64s:
        """Return the class of the texts of some rows."""
        self._extend()
        vector = columns.columns.get(self.names[0])
        ids = np.zeros(len(columns), np.uint32) if vector is None else vector.values
        return self._table.classes.take(some(ids, places))

    def _extend(self) -> None:
        texts = self._dictionary.texts
        known, count = self._table.count, len(texts)
        if known < count:
            name = self.names[0]
            keys = self._texts.keys(texts, known, self._dictionary.find_text)
            self._table.extend(keys, lambda place: {name: texts[known + place]})


class ProcessSource:
    """Every process column in one: tables by the dictionary's process ids."""

    def __init__(
        self,
        names: Sequence[str],
        conjunctions: Sequence[Conjunction],
        processes: Processes,
        operations: Operations,
    ) -> None:
        """Read ``processes`` as they come."""
        self.names = tuple(names)
        self.truth = Truth(names, conjunctions)
        self._dictionary = processes.dictionary
        self._parts = [_ProcessPart(name, conjunctions, processes, operations) for name in names]
        self._table = _Table(self.truth, operations)

    def restrict(
        self, columns: Columns, masks: UInt64s, plane: int, operations: Operations
    ) -> None:
        """AND into each mask the word of its row's process."""
        self._extend()
        operations.and_ids(plain(columns.process), self._table.words(plane), masks)

    def words(self, plane: int) -> UInt64s:
        """Return the word of each class."""
        return self.truth.words(plane)

    def classes(self, columns: Columns, places: Places | None = None) -> Int64s:
        """Return the class of the processes of some rows."""
        self._extend()
        return self._table.classes.take(some(columns.process, places))

    def _extend(self) -> None:
        processes = self._dictionary.processes
        known, count = self._table.count, len(processes)
        if known < count:
            keys = np.column_stack([part.classes(known, count) for part in self._parts])
            self._table.extend(keys, lambda place: self._values(processes[known + place]))

    def _values(self, process: Sequence[Value | None]) -> dict[str, Value | None]:
        return {name: process[PLACES[name]] for name in self.names}


class _ProcessPart:
    """Classes of one process column."""

    def __init__(
        self,
        name: str,
        conjunctions: Sequence[Conjunction],
        processes: Processes,
        operations: Operations,
    ) -> None:
        tests = _tests_of(name, conjunctions)
        self._field = processes.field(name)
        is_number = self._field.is_number
        self._points = np.array(Numbers(tests).points if is_number else (), np.int64)
        self._texts = Texts(() if is_number else tests)
        self._operations = operations
        self._known: IdTable | None = None
        self._of_text: Int64s = np.zeros(0, np.int64)

    def classes(self, known: int, count: int) -> Int64s:
        """Return the class of each process from ``known`` to ``count``."""
        numbers = self._field.numbers()[known:count]
        if self._field.is_number:
            found = np.searchsorted(self._points, numbers, side="right") + 1
            return np.where(self._field.is_null()[known:count], 0, found)
        texts = self._field.texts
        if len(self._of_text) < len(texts):
            keys = self._texts.keys(texts, len(self._of_text), self._field.find_text)
            if self._known is None:
                self._known = IdTable(keys.shape[1], self._operations)
            self._of_text = np.concatenate((self._of_text, self._known.enter(keys)))
        return self._of_text.take(numbers)


class _Table:
    """Classes of what a dictionary holds, by id.

    Attributes:
        count: How many ids are in it.
        classes: By id.
    """

    def __init__(self, truth: Truth, operations: Operations) -> None:
        self.count = 0
        self.classes: Int64s = np.zeros(0, np.int64)
        self._truth = truth
        self._operations = operations
        self._known: IdTable | None = None
        self._words: dict[int, tuple[int, UInt64s]] = {}

    def words(self, plane: int) -> UInt64s:
        """Return by id what the class allows."""
        known, words = self._words.get(plane, (0, _NO_WORDS))
        if known < self.count:
            words = grown(words, self.count)
            words[known : self.count] = self._truth.words(plane)[self.classes[known : self.count]]
            self._words[plane] = self.count, words
        return words

    def extend(self, keys: Int64s, values: Callable[[int], dict[str, Value | None]]) -> None:
        """Enter what came last.

        Args:
            keys: int64[new, key]; those with equal keys are of one class.
            values: Returns the columns of one of them.
        """
        if self._known is None:
            self._known = IdTable(keys.shape[1], self._operations)
        known, self.count = self.count, self.count + len(keys)
        found = self._known.enter(keys)
        while self._truth.count < len(self._known):
            self._truth.add(values(int(np.argmax(found == self._truth.count))))
        self.classes = grown(self.classes, self.count)
        self.classes[known : self.count] = found


def sources_of(
    kind: str,
    conjunctions: Sequence[Conjunction],
    processes: Processes,
    operations: Operations,
) -> list[Source]:
    """Return a source for every column that the conjunctions of a kind test."""
    names = sorted({name for conjunction in conjunctions for name in conjunction.columns})
    of_process = [name for name in names if name in PLACES]
    sources: list[Source] = []
    if of_process:
        sources.append(ProcessSource(of_process, conjunctions, processes, operations))
    own = [KINDS[kind].columns[name] for name in names if name not in PLACES]
    dictionary = processes.dictionary
    return sources + [_source(column, conjunctions, dictionary, operations) for column in own]


def _source(
    column: Column,
    conjunctions: Sequence[Conjunction],
    dictionary: Dictionary,
    operations: Operations,
) -> Source:
    match column.type:
        case ColumnType.CODE | ColumnType.BOOLEAN:
            return CodeSource(column, conjunctions)
        case ColumnType.PORT:
            return PortSource(column, conjunctions)
        case ColumnType.INTEGER:
            return NumberSource(column, conjunctions)
    return TextSource(column, conjunctions, dictionary, operations)


def _tests_of(name: str, conjunctions: Sequence[Conjunction]) -> list[Test]:
    return [
        test
        for conjunction in conjunctions
        for column, tests in conjunction.tests
        if column == name
        for test in tests
    ]
