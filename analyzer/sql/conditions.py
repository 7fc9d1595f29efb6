"""Conditions: a selector as the WHERE clause of a statement.

In: a selector. Out: lines of SQL that keep exactly the rows that it accepts.

A comparison with null is null in SQL. Here it stands under AND and OR alone, up to WHERE or to IS
NOT TRUE, and both take null for false: a null column satisfies nothing but ``is_null``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analyzer.sql.words import WIDTH, literal, literals, name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from rules.selector import Condition, Conditions, Selector

_COMPARISONS: Final[Mapping[str, str]] = {
    "eq": "=",
    "ne": "<>",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}
_LISTS: Final[Mapping[str, str]] = {"in": "IN", "not_in": "NOT IN"}


def where(selector: Selector, *, not_null: Iterable[str] = ()) -> list[str]:
    """Return the WHERE clause of a selector, one condition a line; no lines where all rows do.

    Args:
        selector: Which rows.
        not_null: Columns that must be there as well.
    """
    terms = [
        *map(_term, selector.where),
        *_any_of(selector.any_of),
        *(f"{_all_of(group)} IS NOT TRUE" for group in selector.none_of),
        *(f"{name(column)} IS NOT NULL" for column in not_null),
    ]
    return [f"{'  AND' if index else 'WHERE'} {term}" for index, term in enumerate(terms)]


def _any_of(groups: tuple[Conditions, ...]) -> Iterator[str]:
    if groups:
        lines = [
            f"    {'OR ' if index else ''}{_all_of(group)}" for index, group in enumerate(groups)
        ]
        yield "\n".join(["(", *lines, "  )"])


def _all_of(group: Conditions) -> str:
    line = f"({' AND '.join(map(_term, group))})"
    if len(line) + 8 <= WIDTH and "\n" not in line:
        return line
    separator = "\n      AND "
    return f"({separator.join(map(_term, group))})"


def _term(condition: Condition) -> str:
    column, operator, value = name(condition.column), condition.operator, condition.value
    if isinstance(value, tuple):
        listed = f"{column} {_LISTS[operator]} "
        return listed + literals(value, indent="    ", offset=len(listed) + 6)
    if operator == "is_null":
        return f"{column} IS {'NULL' if value else 'NOT NULL'}"
    if operator in _COMPARISONS:
        return f"{column} {_COMPARISONS[operator]} {literal(value)}"
    return f"{operator}({column}, {literal(value)})"
