"""Conjunctions: a selector as alternatives of tests that must all hold, and as exceptions.

In: selectors. Out: for each the conjunctions of which one must hold, and those of which none may.
Their number grows with the rule file's length, never with the product of its groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from analyzer.engine.predicates import AllOf, AnyOf, Not, Test
from rules.selector import Condition, Conditions, Selector

_Tests = dict[str, list[Test]]


@dataclass(frozen=True, slots=True)
class Conjunction:
    """Tests that must all hold, by column, sorted."""

    tests: tuple[tuple[str, tuple[Test, ...]], ...]

    @property
    def columns(self) -> frozenset[str]:
        """Return the columns that are tested."""
        return frozenset(name for name, _ in self.tests)


@dataclass(frozen=True, slots=True)
class Alternatives:
    """A selector: one of ``accept`` must hold, and none of ``refuse``."""

    accept: tuple[Conjunction, ...]
    refuse: tuple[Conjunction, ...]


def alternatives(selector: Selector) -> Alternatives:
    """Return a selector as conjunctions.

    Groups that ask of one column alone become a test of that column.
    """
    base = _by_column(selector.where)
    refused: list[Conditions] = []
    for group in selector.none_of:
        column = _only_column((group,))
        if column is None:
            refused.append(group)
        else:
            base[column].append(Not(AllOf(group)))
    accepted = selector.any_of or ((),)
    column = _only_column(selector.any_of)
    if column is not None:
        base[column].append(AnyOf(tuple(AllOf(group) for group in selector.any_of)))
        accepted = ((),)
    return Alternatives(
        tuple(_conjunction(base, group) for group in accepted),
        tuple(_conjunction(base, group) for group in refused),
    )


def _only_column(groups: Iterable[Conditions]) -> str | None:
    names = {condition.column for group in groups for condition in group}
    return names.pop() if len(names) == 1 else None


def _by_column(conditions: Iterable[Condition]) -> _Tests:
    tests: _Tests = defaultdict(list)
    for condition in conditions:
        tests[condition.column].append(condition)
    return tests


def _conjunction(base: _Tests, more: Conditions) -> Conjunction:
    tests = defaultdict(list, {name: list(own) for name, own in base.items()})
    for condition in more:
        tests[condition.column].append(condition)
    return Conjunction(
        tuple((name, tuple(dict.fromkeys(own))) for name, own in sorted(tests.items()))
    )
