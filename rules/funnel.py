"""Funnel: how many rows each condition of a selector leaves, one after the other.

In: a selector and the rows of one host. Out: a count for each step, and what a condition that left
nothing had before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rules.columns import Value
from rules.explain import all_of_words, condition_words
from rules.matching import RowsByKind, all_hold
from rules.selector import Condition, Selector
from rules.telemetry.batch import Row
from rules.telemetry.ndjson import canonical

MAX_SEEN: Final = 5  # values that a condition which left nothing had before it


@dataclass(frozen=True, slots=True)
class Step:
    """One condition, or the groups of ``any_of``, or one group of ``none_of``.

    Attributes:
        words: How it reads.
        left: Rows that it and all steps before it leave.
        seen: Where it leaves nothing: the commonest values that its column had, with their counts;
            only of conditions in ``where``.
    """

    words: str
    left: int
    seen: tuple[tuple[Value | None, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Funnel:
    """One selector: the rows of its kind, and what each step leaves of them."""

    role: str
    """What the rule calls it: ``select``, ``unless``, ``first`` or ``then``."""
    telemetry: str
    rows: int
    steps: tuple[Step, ...]

    @property
    def selected(self) -> int:
        """Return how many rows the selector accepts."""
        return self.steps[-1].left if self.steps else self.rows


def funnel(role: str, selector: Selector, rows_by_kind: RowsByKind) -> Funnel:
    """Return what each step of a selector leaves: ``where``, ``any_of``, then ``none_of``."""
    rows = rows_by_kind.get(selector.telemetry, ())
    return Funnel(role, selector.telemetry, len(rows), tuple(_steps(selector, rows)))


def _steps(selector: Selector, rows: Sequence[Row]) -> Iterator[Step]:
    for words, column, holds in _tests(selector):
        left = [row for row in rows if holds(row)]
        seen = () if left or column is None else _commonest(column, rows)
        yield Step(words, len(left), seen)
        rows = left


_Test = tuple[str, str | None, Callable[[Row], bool]]
"""How a step reads, the column it asks about if it is one, and whether a row passes."""


def _tests(selector: Selector) -> Iterator[_Test]:
    for condition in selector.where:
        yield condition_words(condition), condition.column, _holds(condition)
    if selector.any_of:
        words = " or ".join(f"({all_of_words(group)})" for group in selector.any_of)
        yield words, None, lambda row: any(all_hold(group, row) for group in selector.any_of)
    for group in selector.none_of:
        yield f"not ({all_of_words(group)})", None, _excludes(group)


def _holds(condition: Condition) -> Callable[[Row], bool]:
    return lambda row: all_hold((condition,), row)


def _excludes(group: tuple[Condition, ...]) -> Callable[[Row], bool]:
    return lambda row: not all_hold(group, row)


def _commonest(column: str, rows: Sequence[Row]) -> tuple[tuple[Value | None, int], ...]:
    counts = Counter(row.get(column) for row in rows)
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], canonical(item[0])))[:MAX_SEEN])
