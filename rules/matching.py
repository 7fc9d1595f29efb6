"""Matching: which rows a selector accepts, and how rows belong together.

In: selectors and rows of one host. Out: selected rows, groups, match keys. This is part of the
definition of what rules mean; ``rules.reference`` is the rest of it.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from rules.columns import Value
from rules.detection import AbsenceDetection, Detection, SequenceDetection
from rules.outcome import Key
from rules.selector import Condition, Selector
from rules.telemetry.batch import Row

RowsByKind = Mapping[str, Sequence[Row]]
Values = tuple[Value | None, ...]


def matches(selector: Selector, row: Row) -> bool:
    """Tell whether a selector accepts a row.

    All of ``where`` must hold, one group of ``any_of`` if there are any, and no group of
    ``none_of``. A null column satisfies no operator but ``is_null``, so a null in ``none_of`` does
    not exclude a row.
    """
    return (
        row["telemetry"] == selector.telemetry
        and all_hold(selector.where, row)
        and (not selector.any_of or any(all_hold(group, row) for group in selector.any_of))
        and not any(all_hold(group, row) for group in selector.none_of)
    )


def selected(selector: Selector, rows_by_kind: RowsByKind) -> list[Row]:
    """Return the rows that a selector accepts, in their order."""
    return [row for row in rows_by_kind.get(selector.telemetry, ()) if matches(selector, row)]


def by_group(detection: Detection, rows: Iterable[Row]) -> list[tuple[Key, list[Row]]]:
    """Return rows by the values of ``group_by``, where null is a value like any other."""
    groups: dict[Values, list[Row]] = defaultdict(list)
    for row in rows:
        groups[group_values(detection, row)].append(row)
    return [(key_of(detection, values), grouped) for values, grouped in groups.items()]


def group_values(detection: Detection, row: Row) -> Values:
    """Return the values of ``group_by``."""
    return tuple(map(row.get, detection.group_by))


def key_of(detection: Detection, values: Values) -> Key:
    """Return the values of ``group_by`` by their columns."""
    return dict(zip(detection.group_by, values, strict=True))


def match_key(detection: AbsenceDetection | SequenceDetection, row: Row) -> Values | None:
    """Return the values of ``match_on``; None where one is null, which proves nothing."""
    key = tuple(row.get(name) for name in detection.match_on)
    return None if None in key else key


def all_hold(conditions: Iterable[Condition], row: Row) -> bool:
    """Tell whether a row satisfies every condition."""
    return all(holds(condition, row.get(condition.column)) for condition in conditions)


def holds(condition: Condition, value: Value | None) -> bool:
    """Tell whether a condition holds of a column's value; None is null."""
    if condition.operator == "is_null":
        return (value is None) is condition.value
    return value is not None and _COMPARE[condition.operator](value, condition.value)


_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "in": lambda value, listed: value in listed,
    "not_in": lambda value, listed: value not in listed,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
"""Meaning of every operator but ``is_null`` on a value that is there. Text compares exactly."""
