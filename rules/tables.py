"""Tables of the reference page, generated so that they cannot lag behind.

In: declared telemetry kinds, operators, shipped rules. Out: Markdown tables between the marks
``<!-- generated: NAME -->`` and ``<!-- end of NAME -->`` of ``README.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rules.detection import DETECTIONS
from rules.faults import fields_of
from rules.loader import load_packages
from rules.selector import OPERATORS
from rules.telemetry.kinds import KINDS, PROCESS_COLUMNS, Column, ColumnType

README_PATH: Final = Path(__file__).with_name("README.md")
_BLOCK: Final = re.compile(
    r"(<!-- generated: (?P<name>[a-z_]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL
)


def with_tables(text: str) -> str:
    """Return a page with every generated block made anew.

    Raises:
        KeyError: A block has a name that no table has.
    """
    tables = {
        "detections": _detections,
        "operators": _operators,
        "process_columns": lambda: _columns(PROCESS_COLUMNS),
        "kinds": _kinds,
        "rules": _rules,
    }
    return _BLOCK.sub(lambda block: f"{block[1]}\n{tables[block['name']]()}\n{block[3]}", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _detections() -> str:
    return _table(
        ("kind", "meaning", "keys"),
        (
            (
                f"`{name}`",
                _one_line(model.__doc__),
                ", ".join(f"`{key}`" for key in fields_of(model) if key != "kind"),
            )
            for name, model in DETECTIONS.items()
        ),
    )


def _operators() -> str:
    takes = {
        "value": "a value",
        "list": "a list of values",
        "part": "a text",
        "boolean": "`true` or `false`",
    }
    return _table(
        ("operator", "holds where the column", "takes", "columns"),
        (
            (
                f"`{operator.name}`",
                operator.words,
                takes[operator.takes],
                _type_names(operator.types),
            )
            for operator in OPERATORS.values()
        ),
    )


def _type_names(types: frozenset[ColumnType]) -> str:
    if types == frozenset(ColumnType):
        return "any"
    return ", ".join(type_.value for type_ in ColumnType if type_ in types)


def _kinds() -> str:
    return "\n".join(
        f"### {kind.name}\n\n{kind.description}\n\n{_columns(kind.own)}" for kind in KINDS.values()
    )


def _columns(columns: Iterable[Column]) -> str:
    return _table(
        ("column", "type", "description"),
        ((f"`{column.name}`", _type(column), _description(column)) for column in columns),
    )


def _type(column: Column) -> str:
    return f"{column.type.value}, derived" if column.derived else column.type.value


def _description(column: Column) -> str:
    allowed = ", ".join(f"`{value}`" for value in column.closed or column.numbers)
    return f"{column.description} One of {allowed}." if allowed else column.description


def _rules() -> str:
    return _table(
        ("package", "rule", "severity", "looks for"),
        (
            (package.id, f"`{rule.id}`", rule.severity, rule.title)
            for package in load_packages()
            for rule in package.rules
        ),
    )


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split()).replace("``", "`")
