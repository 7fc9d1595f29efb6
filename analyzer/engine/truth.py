"""Truth: which conjunctions each class of a source's values allows, as bits of a plane.

In: the values of a class. Out: words: a bit for every conjunction of a plane that they do not rule
out. A test runs once per class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.engine.arrays import grown
from analyzer.engine.predicates import Test, is_true

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.engine.arrays import Bools, UInt64s
    from analyzer.engine.conjunctions import Conjunction
    from rules.columns import Value


class Truth:
    """Which conjunctions each class of values allows.

    Attributes:
        allowed: bool[class, conjunction]; a conjunction without a test of these columns is allowed.
        count: Number of classes.
    """

    def __init__(self, columns: Sequence[str], conjunctions: Sequence[Conjunction]) -> None:
        """Know the tests that ``conjunctions`` make of ``columns``."""
        self._tests: dict[str, list[tuple[int, tuple[Test, ...]]]] = {}
        for number, conjunction in enumerate(conjunctions):
            for name, tests in conjunction.tests:
                if name in columns:
                    self._tests.setdefault(name, []).append((number, tests))
        self._of_value: dict[tuple[str, Value | None], Bools] = {}
        """By column and value: which conjunctions it allows."""
        self.allowed: Bools = np.ones((0, len(conjunctions)), np.bool_)
        self.count = 0
        self._planes: dict[int, _Words] = {}

    def tests(self, conjunctions: Sequence[int]) -> bool:
        """Tell whether some of the conjunctions have a test of the columns."""
        tested = {number for tests in self._tests.values() for number, _ in tests}
        return not tested.isdisjoint(conjunctions)

    def add_plane(self, plane: int, conjunctions: Sequence[int]) -> None:
        """Make words of some conjunctions: a bit for each."""
        self._planes[plane] = _Words(conjunctions)

    def words(self, plane: int) -> UInt64s:
        """Return the word of each class: which of a plane's conjunctions it allows."""
        return self._planes[plane].of(self.allowed, self.count)

    def add(self, values: Mapping[str, Value | None]) -> int:
        """Enter the class that some values are of; returns its number."""
        number = self.count
        self.count += 1
        self.allowed = grown(self.allowed, self.count, fill=1)
        for name in self._tests:
            self.allowed[number] &= self._allowed_by(name, values[name])
        return number

    def _allowed_by(self, name: str, value: Value | None) -> Bools:
        """Return which conjunctions a value of a column allows."""
        allowed = self._of_value.get((name, value))
        if allowed is None:
            allowed = self._of_value[name, value] = np.ones(self.allowed.shape[1], np.bool_)
            for conjunction, tests in self._tests[name]:
                allowed[conjunction] = all(is_true(test, value) for test in tests)
        return allowed


class _Words:
    """Words of classes in one plane."""

    def __init__(self, conjunctions: Sequence[int]) -> None:
        self._numbers = list(conjunctions)
        self._bits = np.left_shift(np.uint64(1), np.arange(len(conjunctions), dtype=np.uint64))
        self._words: UInt64s = np.zeros(0, np.uint64)
        self._count = 0

    def of(self, allowed: Bools, count: int) -> UInt64s:
        """Return the word of each of ``count`` classes."""
        known = self._count
        if known < count:
            new = np.where(allowed[known:count, self._numbers], self._bits, np.uint64(0))
            self._words = grown(self._words, count)
            self._words[known:count] = np.bitwise_or.reduce(new, axis=1)
            self._count = count
        return self._words
