"""Values and columns in rule files: what a column may hold, said in sentences.

In: plain values from a file and the declared columns of a telemetry kind. Out: what is wrong with
them, or nothing.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import msgspec

from rules.telemetry.kinds import INT64_MAX, INT64_MIN, PORT_MAX, Column, ColumnType, Kind
from rules.telemetry.scope import plain_address

if TYPE_CHECKING:
    from collections.abc import Iterable

Value = str | int | bool
"""What a column can hold, beside null."""

NUMBERS: Final = frozenset({ColumnType.INTEGER, ColumnType.PORT})
TEXTS: Final = frozenset({ColumnType.TEXT, ColumnType.ADDRESS, ColumnType.CODE})
_WORDS: Final = {
    ColumnType.TEXT: "text",
    ColumnType.ADDRESS: "an address as text",
    ColumnType.CODE: "text",
    ColumnType.PORT: f"a port, 0 to {PORT_MAX}",
    ColumnType.INTEGER: "a whole number",
    ColumnType.BOOLEAN: "true or false",
}
_SHOWN: Final = 60  # characters of somebody else's value in a message
_UNHELPFUL: Final = frozenset({"telemetry", "ts_us", "agent_id"})


def value_problem(column: Column, value: object) -> str | None:
    """Return why ``column`` can never hold ``value``, or None where it can."""
    if value is None:
        return f"null is no value of {column.name}; write {{is_null: true}} to ask for it"
    if not _has_type(column, value):
        return f"{shown(value)} is no value of {column.name}, which holds {_WORDS[column.type]}"
    allowed = column.closed or column.numbers
    if allowed and value not in allowed:
        names = ", ".join(map(str, allowed))
        return f"{shown(value)} is none of {names}{suggestion(value, column.closed)}"
    low, high = (0, PORT_MAX) if column.type is ColumnType.PORT else (INT64_MIN, INT64_MAX)
    if column.type in NUMBERS and isinstance(value, int) and not low <= value <= high:
        return f"{value} is outside of {low} to {high}"
    return None


def stored_form(column: Column, value: Value) -> Value:
    """Return ``value`` as telemetry spells it: caseless names lowered, mapped addresses IPv4."""
    if column.lower and isinstance(value, str):
        return value.lower()
    if column.type is ColumnType.ADDRESS and isinstance(value, str):
        return plain_address(value)
    return value


def column_problem(kind: Kind, name: str) -> str | None:
    """Return why ``name`` is no column of ``kind``, or None where it is one."""
    if name in kind.columns:
        return None
    if name in _UNHELPFUL:
        return f"{name} is no column that a rule can name: every row has it"
    return f"{kind.name} has no column {shown(name)}{suggestion(name, kind.columns)}"


def suggestion(name: object, known: Iterable[str]) -> str:
    """Return ``; did you mean …?`` for a name that resembles a known one, else nothing."""
    close = get_close_matches(str(name), list(known), n=1) or [
        other for other in known if other.lower() == str(name).lower()
    ]
    return f"; did you mean {close[0]!r}?" if close else ""


def shown(value: object) -> str:
    """Return a value from a file for use in a message: short, on one line, unambiguous."""
    if isinstance(value, str):
        text = repr(value)
    else:
        text = msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _has_type(column: Column, value: object) -> bool:
    if column.type is ColumnType.BOOLEAN:
        return type(value) is bool
    if column.type in NUMBERS:
        return type(value) is int
    return type(value) is str
