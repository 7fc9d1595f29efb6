"""Selectors: which rows of one telemetry kind a rule looks at.

In: the plain map of a rule file. Out: typed conditions on declared columns, or every problem with
its place. Conditions and their meaning for nulls are defined in ``rules.reference``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from rules.columns import NUMBERS, TEXTS, Value, column_problem, shown, suggestion, value_problem
from rules.faults import Fault, raise_faults
from rules.telemetry.kinds import KINDS, Column, ColumnType, Kind


@dataclass(frozen=True, slots=True)
class Operator:
    """One comparison that a predicate may make."""

    name: str
    words: str
    """How it reads between a column and a value."""
    types: frozenset[ColumnType]
    """Columns it can be used on."""
    takes: str = "value"
    """``value``, ``list`` of values, ``part`` of a text, or ``boolean``."""


_ANY: Final = frozenset(ColumnType)
OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(
    {
        operator.name: operator
        for operator in (
            Operator("eq", "is", _ANY),
            Operator("ne", "is there and is not", _ANY),
            Operator("in", "is one of", _ANY, "list"),
            Operator("not_in", "is there and is none of", _ANY, "list"),
            Operator("lt", "is less than", NUMBERS),
            Operator("le", "is at most", NUMBERS),
            Operator("gt", "is more than", NUMBERS),
            Operator("ge", "is at least", NUMBERS),
            Operator("starts_with", "starts with", TEXTS, "part"),
            Operator("ends_with", "ends with", TEXTS, "part"),
            Operator("is_null", "is null", _ANY, "boolean"),
        )
    }
)
"""Every operator, by the name that rule files use."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a column; ``value`` is a tuple for the operators that take a list."""

    column: str
    operator: str
    value: Value | tuple[Value, ...]


Conditions = tuple[Condition, ...]
"""Conditions that must all hold."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Rows of one kind: all of ``where``, one group of ``any_of``, no group of ``none_of``."""

    telemetry: str
    where: Conditions = ()
    any_of: tuple[Conditions, ...] = ()
    none_of: tuple[Conditions, ...] = ()
    pinned: Mapping[str, frozenset[object]] = field(init=False, repr=False, compare=False)
    """The columns that ``where`` confines, each with the only values it accepts."""

    def __post_init__(self) -> None:
        """Note what is pinned: every verdict asks."""
        object.__setattr__(self, "pinned", _pinned(self.where))

    @property
    def kind(self) -> Kind:
        """Return the declaration of the telemetry kind."""
        return KINDS[self.telemetry]

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let a pydantic model hold a selector: plain map in, selector out."""
        del source, handler
        return core_schema.no_info_plain_validator_function(parse_selector)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Leave a mark that ``rules.schema`` replaces by the schema of selectors."""
        del schema, handler
        return {"x-selector": True}


def _pinned(where: Conditions) -> dict[str, frozenset[object]]:
    pinned: dict[str, frozenset[object]] = {}
    for condition in where:
        if condition.operator in ("eq", "in"):
            value = condition.value
            values = frozenset(value if isinstance(value, tuple) else (value,))
            pinned[condition.column] = pinned.get(condition.column, values) & values
    return pinned


SELECTOR_KEYS: Final = ("telemetry", "where", "any_of", "none_of")


def parse_selector(plain: object) -> Selector:
    """Return the selector that a plain map describes.

    Raises:
        ValidationError: With every problem and its place inside the map.
    """
    faults: list[Fault] = []
    if not isinstance(plain, dict):
        raise_faults("Selector", [((), "must be a map with telemetry and where")])
    faults += [
        ((key,), f"unknown key{suggestion(key, SELECTOR_KEYS)}")
        for key in plain
        if key not in SELECTOR_KEYS
    ]
    kind = read_kind(plain, faults)
    if kind is None:
        raise_faults("Selector", faults)
    where = _group(kind, plain["where"], ("where",), faults) if "where" in plain else ()
    selector = Selector(
        kind.name,
        where,
        _groups(kind, plain, "any_of", faults),
        _groups(kind, plain, "none_of", faults),
    )
    if faults:
        raise_faults("Selector", faults)
    return selector


def read_kind(plain: Mapping[str, Any], faults: list[Fault]) -> Kind | None:
    """Return the telemetry kind that a map names; None, and a fault, where it names none."""
    if "telemetry" not in plain:
        faults.append((("telemetry",), "is missing"))
        return None
    name = plain["telemetry"]
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        known = ", ".join(KINDS)
        text = f"{shown(name)} is no telemetry kind; known kinds: {known}{suggestion(name, KINDS)}"
        faults.append((("telemetry",), text))
    return kind


def _groups(
    kind: Kind, plain: Mapping[str, Any], key: str, faults: list[Fault]
) -> tuple[Conditions, ...]:
    if key not in plain:
        return ()
    groups = plain[key]
    if not isinstance(groups, list) or not groups:
        faults.append(((key,), "must be a list of groups, each a map of columns, and not empty"))
        return ()
    return tuple(_group(kind, group, (key, index), faults) for index, group in enumerate(groups))


def _group(
    kind: Kind, plain: object, place: tuple[str | int, ...], faults: list[Fault]
) -> Conditions:
    if not isinstance(plain, dict) or not plain:
        faults.append((place, "must be a map of columns, and not empty"))
        return ()
    conditions: list[Condition] = []
    for name, predicate in plain.items():
        problem = column_problem(kind, name)
        if problem is None:
            column = kind.columns[name]
            conditions.extend(_predicate(column, predicate, (*place, name), faults))
        else:
            faults.append(((*place, name), problem))
    return tuple(conditions)


def _predicate(
    column: Column, plain: object, place: tuple[str | int, ...], faults: list[Fault]
) -> Iterator[Condition]:
    if isinstance(plain, list):
        faults.append((place, f"a list needs an operator: {{in: {shown(plain)}}}"))
    elif not isinstance(plain, dict):
        yield from _comparison(column, OPERATORS["eq"], plain, place, faults)
    elif not plain:
        faults.append((place, f"has no operator; known operators: {', '.join(OPERATORS)}"))
    else:
        for name, value in plain.items():
            operator = OPERATORS.get(name)
            if operator is None:
                known = ", ".join(OPERATORS)
                text = f"is no operator; known operators: {known}{suggestion(name, OPERATORS)}"
                faults.append(((*place, name), text))
            else:
                yield from _comparison(column, operator, value, (*place, name), faults)


def _comparison(
    column: Column,
    operator: Operator,
    value: Any,  # noqa: ANN401 (a JSON value)
    place: tuple[str | int, ...],
    faults: list[Fault],
) -> Iterator[Condition]:
    if column.type not in operator.types:
        what = "numbers" if operator.types == NUMBERS else "text"
        faults.append((place, f"{operator.name} is for {what}, and {column.name} holds none"))
        return
    known = len(faults)
    if operator.takes == "list":
        faults.extend(_list_faults(column, value, place))
        value = tuple(value) if isinstance(value, list) else value
    elif problem := _single_problem(column, operator, value):
        faults.append((place, problem))
    if len(faults) == known:
        yield Condition(column.name, operator.name, value)


def _list_faults(column: Column, value: object, place: tuple[str | int, ...]) -> Iterator[Fault]:
    if not isinstance(value, list) or not value:
        yield place, "must be a list of values, and not empty"
        return
    for index, item in enumerate(value):
        if problem := value_problem(column, item):
            yield (*place, index), problem


def _single_problem(column: Column, operator: Operator, value: object) -> str | None:
    if operator.takes == "boolean":
        return None if type(value) is bool else f"{shown(value)} must be true or false"
    if operator.takes == "part":
        if type(value) is not str or not value:
            return f"{shown(value)} must be text, and not empty"
        return _part_problem(column, operator, value)
    return value_problem(column, value)


def _part_problem(column: Column, operator: Operator, part: str) -> str | None:
    compare = str.startswith if operator.name == "starts_with" else str.endswith
    if column.closed and not any(compare(value, part) for value in column.closed):
        return f"none of {', '.join(column.closed)} {operator.words} {shown(part)}"
    return None
