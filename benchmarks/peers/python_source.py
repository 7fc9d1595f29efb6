"""Python source: selectors as expressions of the language, for evaluators that run it.

In: a selector. Out: text that is true where the selector accepts a row; names of columns are
replaced by what holds their value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rules.selector import Condition, Conditions, Selector

    Spell = Callable[[str], str]
    """From a column to the expression of its value."""

_COMPARISONS: Final = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def selector_source(selector: Selector, spell: Spell) -> str:
    """Return a selector as a Python expression; a null column holds None."""
    parts = [_condition(condition, spell) for condition in selector.where]
    if selector.any_of:
        parts.append(_joined(" or ", (_all(group, spell) for group in selector.any_of)))
    parts += [f"not {_all(group, spell)}" for group in selector.none_of]
    return " and ".join(parts) or "True"


def _all(conditions: Conditions, spell: Spell) -> str:
    return _joined(" and ", (_condition(condition, spell) for condition in conditions))


def _condition(condition: Condition, spell: Spell) -> str:
    value, there = spell(condition.column), f"{spell(condition.column)} is not None"
    wanted = repr(condition.value)
    match condition.operator:
        case "eq":
            return f"{value} == {wanted}"
        case "in":
            return f"{value} in {{{wanted[1:-1]}}}"
        case "not_in":
            return f"({there} and {value} not in {{{wanted[1:-1]}}})"
        case "is_null":
            return f"{value} is {'' if condition.value else 'not '}None"
        case "starts_with" | "ends_with" as operator:
            return f"({there} and {value}.{operator.replace('_', '')}({wanted}))"
    return f"({there} and {value} {_COMPARISONS[condition.operator]} {wanted})"


def _joined(word: str, parts: Iterable[str]) -> str:
    return f"({word.join(parts)})"
