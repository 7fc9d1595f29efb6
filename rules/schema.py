"""JSON Schema of rule files, for editors: columns and closed values complete per telemetry kind.

In: the pydantic models and the declared telemetry kinds. Out: a draft-07 schema. It allows all
that the loader allows; what parts of a file must say of each other only the loader knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rules.cases import AGENT_ID, MAX_REPEAT
from rules.columns import NUMBERS
from rules.durations import PATTERN
from rules.format import Rule
from rules.selector import OPERATORS
from rules.telemetry.kinds import INT64_MAX, INT64_MIN, KINDS, PORT_MAX, Column, ColumnType, Kind

SCHEMA_PATH: Final = Path(__file__).with_name("rule.schema.json")
Schema = dict[str, Any]
_DEFINITIONS: Final = "#/definitions/"
_MARKS: Final = {"x-selector": "Selector", "x-event": "CaseEvent", "x-column": "ColumnName"}
"""What own types leave in the models' schema, and the definition that takes its place."""
_DURATION: Final = {"type": "string", "pattern": PATTERN}


def rule_schema() -> Schema:
    """Return the schema of a rule file."""
    schema = Rule.model_json_schema(by_alias=True, ref_template=_DEFINITIONS + "{model}")
    definitions: Schema = schema.pop("$defs")
    definitions.update(_kind_definitions())
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **schema,
        "definitions": definitions,
    }
    plain: Schema = _plain(whole)
    return plain


def schema_text() -> str:
    """Return the schema as it stands in ``rule.schema.json``."""
    return json.dumps(rule_schema(), indent=1, ensure_ascii=False) + "\n"


def _plain(schema: Any) -> Any:  # noqa: ANN401 (a JSON value)
    """Return a schema without what pydantic adds and editors do not need.

    Marks of own types become references. Defaults are those of Python, not of the file.
    """
    if isinstance(schema, list):
        return [_plain(item) for item in schema if item != {"type": "null"}]
    if isinstance(schema, str):
        return schema.replace("``", "`")
    if not isinstance(schema, dict):
        return schema
    for mark, name in _MARKS.items():
        if mark in schema:
            return {"$ref": _DEFINITIONS + name}
    return {
        key: _plain(value)
        for key, value in schema.items()
        if key not in ("discriminator", "default") and not (key == "title" and _is_text(value))
    }


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _kind_definitions() -> Iterator[tuple[str, Schema]]:
    kinds = list(KINDS.values())
    yield "Selector", _one_of(f"Selector_{kind.name}" for kind in kinds)
    yield "CaseEvent", _one_of(f"CaseEvent_{kind.name}" for kind in kinds)
    names = {name for kind in kinds for name in kind.columns}
    yield "ColumnName", {"enum": sorted(names)}
    predicates: Schema = {}
    for kind in kinds:
        yield f"Selector_{kind.name}", _selector(kind)
        yield f"Conditions_{kind.name}", _conditions(kind, predicates)
        yield f"CaseEvent_{kind.name}", _event(kind)
    yield from predicates.items()


def _one_of(names: Iterator[str]) -> Schema:
    return {"oneOf": [{"$ref": _DEFINITIONS + name} for name in names]}


def _selector(kind: Kind) -> Schema:
    conditions = {"$ref": f"{_DEFINITIONS}Conditions_{kind.name}"}
    groups = {"type": "array", "minItems": 1, "items": conditions}
    return {
        "type": "object",
        "description": kind.description,
        "additionalProperties": False,
        "required": ["telemetry"],
        "properties": {
            "telemetry": {"const": kind.name, "description": kind.description},
            "where": _with("All of these must hold.", conditions),
            "any_of": {**groups, "description": "One of these groups must hold."},
            "none_of": {**groups, "description": "None of these groups may hold."},
        },
    }


def _with(description: str, reference: Schema) -> Schema:
    return {
        "description": description,
        "allOf": [reference],
    }  # draft-07 ignores what stands by $ref


def _conditions(kind: Kind, predicates: Schema) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            column.name: _with(column.description, _predicate(column, predicates))
            for column in kind.columns.values()
        },
    }


def _predicate(column: Column, predicates: Schema) -> Schema:
    """Return a reference to the predicates of columns like this one, and define them once."""
    value = _value(column)
    name = f"Predicate_{column.type.value}"
    if column.closed or column.numbers:
        name += "_" + "_".join(map(str, column.closed or column.numbers))
    predicates.setdefault(name, {"anyOf": [value, _operators(column, value)]})
    return {"$ref": _DEFINITIONS + name}


def _operators(column: Column, value: Schema) -> Schema:
    takes: Schema = {
        "value": value,
        "list": {"type": "array", "minItems": 1, "items": value},
        "part": {"type": "string", "minLength": 1},
        "boolean": {"type": "boolean"},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            operator.name: takes[operator.takes]
            for operator in OPERATORS.values()
            if column.type in operator.types
        },
    }


def _value(column: Column) -> Schema:
    if column.closed or column.numbers:
        return {"enum": list(column.closed or column.numbers)}
    if column.type is ColumnType.BOOLEAN:
        return {"type": "boolean"}
    if column.type not in NUMBERS:
        return {"type": "string"}
    low, high = (0, PORT_MAX) if column.type is ColumnType.PORT else (INT64_MIN, INT64_MAX)
    return {"type": "integer", "minimum": low, "maximum": high}


def _event(kind: Kind) -> Schema:
    columns = {
        column.name: {
            "description": column.description,
            "anyOf": [_value(column), {"enum": [None]}],
        }
        for column in kind.columns.values()
    }
    return {
        "type": "object",
        "description": kind.description,
        "additionalProperties": False,
        "required": ["at", "telemetry"],
        "properties": {
            "at": {**_DURATION, "description": "Time since the start of the run."},
            "telemetry": {"const": kind.name, "description": kind.description},
            "agent_id": {"type": "string", "pattern": f"^{AGENT_ID.pattern}$"},
            "repeat": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_REPEAT,
                "description": "How many such rows there are.",
            },
            "every": {**_DURATION, "description": "Time between repeated rows."},
            **columns,
        },
    }
