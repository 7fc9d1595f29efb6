"""Faults: what is wrong inside one file, as places and sentences instead of pydantic's words.

In: validation errors of pydantic, or faults found by hand. Out: ``(place, sentence)`` pairs that
the loader turns into path and line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from rules.columns import shown, suggestion

Location = tuple[str | int, ...]
"""Where a value stands in a file: keys and list indexes from the root."""
Fault = tuple[Location, str]
"""A place, and what is wrong there."""

_OWN: Final = "fault"  # error type of sentences that are ours already
_TAG: Final = "kind"  # the key that says which model of a union a map is


def raise_faults(title: str, faults: Iterable[Fault]) -> NoReturn:
    """Raise ``faults`` as one validation error, so that models can be nested.

    Raises:
        ValidationError: Always.
    """
    raise ValidationError.from_exception_data(
        title,
        [
            InitErrorDetails(
                type=PydanticCustomError(_OWN, "{text}", {"text": text}), loc=place, input=None
            )
            for place, text in faults
        ],
    )


def faults_of(
    error: ValidationError, known_keys: Callable[[Location], Iterable[str]]
) -> list[Fault]:
    """Return what a validation error says, in sentences.

    Args:
        error: What pydantic or ``raise_faults`` raised.
        known_keys: Gives the keys that the map at a place may have, for suggestions.
    """
    return [
        (_place(details), _sentence(details, known_keys))
        for details in error.errors(include_url=False)
        # Where every item was refused, pydantic also calls the list too short.
        if not (details["type"] == "too_short" and details["input"])
    ]


def dotted(place: Location) -> str:
    """Return a place as one reads it: ``tests[0].events[2].at``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _place(details: ErrorDetails) -> Location:
    if details["type"].startswith("union_tag_"):
        return (*details["loc"], _TAG)
    return details["loc"]


def _sentence(details: ErrorDetails, known_keys: Callable[[Location], Iterable[str]]) -> str:
    kind, value = details["type"], details["input"]
    context: Mapping[str, Any] = details.get("ctx", {})
    if kind == _OWN:
        return str(context["text"])
    if kind == "extra_forbidden":
        *parent, name = details["loc"]
        return f"unknown key{suggestion(name, known_keys(tuple(parent)))}"
    if kind == "value_error":
        return f"{shown(value)} {context['error']}"
    if kind == "literal_error":
        return _none_of(value, str(context["expected"]))
    if kind == "union_tag_invalid":
        return _none_of(value[_TAG], str(context["expected_tags"]))
    template = _TEMPLATES.get(kind)
    return template.format(value=shown(value), **context) if template else details["msg"]


def _none_of(value: object, expected: str) -> str:
    names = expected.replace(" or ", ", ").replace("'", "").split(", ")
    return f"{shown(value)} is none of {', '.join(names)}{suggestion(value, names)}"


_TEMPLATES: Final = {
    "missing": "is missing",
    "union_tag_not_found": "is missing",
    "string_type": "{value} must be text",
    "string_too_short": "must not be empty",
    "string_too_long": "is longer than {max_length} characters",
    "int_type": "{value} must be a whole number",
    "float_type": "{value} must be a number",
    "bool_type": "{value} must be true or false",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "model_type": "must be a map",
    "dict_type": "must be a map",
    "model_attributes_type": "must be a map",
    "greater_than_equal": "{value} must be at least {ge:g}",
    "less_than_equal": "{value} must be at most {le:g}",
}
"""Sentence of each of pydantic's errors that our models can meet; its own words else."""


class StrictModel(BaseModel):
    """Base of what rule files are made of: no unknown keys, no conversion, no change."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        defer_build=True,  # built when the first file is read, not when the module is imported
    )


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the keys that files use."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_below(model: type[BaseModel], key: str) -> type[BaseModel]:
    """Return the model of the map, or of the maps in the list, that stands at a key."""
    return _models_in(fields_of(model)[key].annotation)[0]


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
