"""Predicates: tests of a column, and the classes of values that they cannot tell apart.

In: conditions of selectors. Out: for any value a class, so that a test runs once per class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rules.columns import Value
from rules.matching import holds
from rules.selector import Condition
from rules.telemetry.kinds import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from analyzer.engine.arrays import Int64s

_BETWEEN: Final = "\0"
_AFFIXES: Final = {"starts_with": str.startswith, "ends_with": str.endswith}


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where every test is."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where one of the tests is."""

    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where a test is not, of null too."""

    test: Test


Test = Condition | AllOf | AnyOf | Not
"""What must be so of one column."""


def is_true(test: Test, value: Value | None) -> bool:
    """Tell whether a value passes a test."""
    match test:
        case AllOf():
            return all(is_true(part, value) for part in test.tests)
        case AnyOf():
            return any(is_true(part, value) for part in test.tests)
        case Not():
            return not is_true(test.test, value)
    return holds(test, value)


def conditions_of(test: Test) -> Iterator[Condition]:
    """Yield the conditions that a test is made of."""
    match test:
        case AllOf() | AnyOf():
            for part in test.tests:
                yield from conditions_of(part)
        case Not():
            yield from conditions_of(test.test)
        case Condition():
            yield test


class Numbers:
    """Classes of a number column: intervals in which all numbers pass and fail the same tests.

    Attributes:
        points: Where the intervals begin, ascending; the first begins at the least number.
    """

    def __init__(self, tests: Iterable[Test]) -> None:
        """Distinguish what ``tests`` do."""
        named = {int(value) for value in _values(tests)}
        edges = {edge for value in named for edge in (value, value + 1)}
        self.points = sorted(edge for edge in edges if INT64_MIN < edge <= INT64_MAX)


class Texts:
    """Classes of a text column: those that tests name, and those that begin and end alike.

    Attributes:
        named: Texts that tests name, sorted.
    """

    def __init__(self, tests: Iterable[Test]) -> None:
        """Distinguish what ``tests`` do."""
        tests = tuple(tests)
        self.named = sorted(map(str, _values(tests)))
        parts = {
            (condition.operator, str(condition.value))
            for condition in _conditions(tests)
            if condition.operator in _AFFIXES
        }
        self._parts = sorted(parts)

    def keys(
        self, texts: Sequence[str | None], start: int, find: Callable[[str], int | None]
    ) -> Int64s:
        """Return int64[text, key] of texts from ``start`` on: those with equal keys are of a class.

        ``find`` returns which text, of all, one is that tests name.
        """
        keys = np.zeros((len(texts) - start, 2 + len(self._parts)), np.int64)
        keys[:1, 0] = start == 0  # null is the first of a dictionary
        for number, text in enumerate(self.named, start=1):
            place = find(text)
            if place is not None and place >= start:
                keys[place - start, 1] = number
        if self._parts:
            affixes = _Affixes([text or "" for text in texts[start:]])
            for place, (name, part) in enumerate(self._parts, start=2):
                keys[affixes.places(name, part), place] = 1
        return keys


class _Affixes:
    """Texts as one long text, in which those that begin or end alike are found at once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._whole = _BETWEEN.join(("", *texts, ""))
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self._ends = np.cumsum(lengths + 1)
        """Where the separator stands that follows each."""
        self._is_clear = self._whole.count(_BETWEEN) == len(texts) + 1

    def places(self, name: str, part: str) -> Int64s:
        """Return which texts start, or end, with a part."""
        if not self._is_clear or not part or _BETWEEN in part:
            passes = _AFFIXES[name]
            found = [place for place, text in enumerate(self._texts) if passes(text, part)]
            return np.array(found, np.int64)
        starts = name == "starts_with"
        wanted = _BETWEEN + part if starts else part + _BETWEEN
        at = np.fromiter(_found(self._whole, wanted), np.int64)
        return np.searchsorted(self._ends, at + 1 if starts else at)


def _found(whole: str, wanted: str) -> Iterator[int]:
    """Yield where a text is found in another."""
    at = whole.find(wanted)
    while at >= 0:
        yield at
        at = whole.find(wanted, at + 1)


def _values(tests: Iterable[Test]) -> set[Value]:
    found: set[Value] = set()
    for condition in _conditions(tests):
        if condition.operator not in ("is_null", *_AFFIXES):
            value = condition.value
            found.update(value if isinstance(value, tuple) else (value,))
    return found


def _conditions(tests: Iterable[Test]) -> Iterator[Condition]:
    for test in tests:
        yield from conditions_of(test)
