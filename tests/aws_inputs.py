"""Input of every operation, made from the model: valid, and with one bound broken each.

Comes in: shapes. Goes out: values, with the way to what is wrong in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from analyzer.aws.input_codes import ITEM
from analyzer.aws.shapes import Shape, operations

UUID = "01234567-89ab-cdef-0123-456789abcdef"


@dataclass(frozen=True)
class Broken:
    """An input with one thing wrong."""

    operation: str
    path: tuple[str, ...]
    what: str
    value: dict[str, Any]
    is_type: bool = False

    def __str__(self) -> str:
        """Return what it is, for the names of tests."""
        return f"{self.operation}.{'.'.join(self.path)}:{self.what}"


def valid(shape: Shape) -> Any:  # noqa: ANN401 (JSON)
    """Return the fullest value that keeps every bound, with one item in each list."""
    if shape.kind == "structure":
        return {name: valid(member) for name, member in shape.members.items()}
    if shape.item is not None:
        return [valid(shape.item)]
    if shape.choices:
        return min(shape.choices)
    if shape.pattern is not None:
        return UUID
    if shape.kind == "string":
        return "x" * max(1, shape.minimum or 0)
    return shape.minimum or 1


def broken() -> Iterator[Broken]:
    """Yield every operation's input with each of its bounds broken, one at a time."""
    for name, operation in operations().items():
        whole = valid(operation.input)
        for path, shape, is_required in _walk(operation.input, ()):
            for what, value in _wrong(shape):
                yield Broken(name, path, what, _put(whole, path, value), what == "type")
            if is_required:
                yield Broken(name, path, "missing", _put(whole, path, None))


def _walk(shape: Shape, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Shape, bool]]:
    for name, member in shape.members.items():
        yield (*path, name), member, name in shape.required
        yield from _walk(member, (*path, name))
    if shape.item is not None:
        yield (*path, ITEM), shape.item, False
        yield from _walk(shape.item, (*path, ITEM))


def _wrong(shape: Shape) -> Iterator[tuple[str, Any]]:
    yield "type", {"string": 1, "list": "x", "structure": []}.get(shape.kind, True)
    if shape.kind == "list":
        yield from _wrong_lists(shape)
    elif shape.kind == "string":
        yield from _wrong_texts(shape)
    elif shape.kind == "integer":
        yield from [("too small", shape.minimum - 1)] if shape.minimum is not None else []
        yield from [("too large", shape.maximum + 1)] if shape.maximum is not None else []


def _wrong_lists(shape: Shape) -> Iterator[tuple[str, Any]]:
    assert shape.item is not None
    one = valid(shape.item)
    if shape.minimum:
        yield "too few", [one] * (shape.minimum - 1)
    if shape.maximum is not None:
        yield "too many", [one] * (shape.maximum + 1)


def _wrong_texts(shape: Shape) -> Iterator[tuple[str, Any]]:
    if shape.choices:
        yield "not in the list", "NO_SUCH_THING"
    elif shape.minimum:
        yield "too short", "x" * (shape.minimum - 1)
    if shape.maximum is not None:
        yield "too long", "x" * (shape.maximum + 1)
    if shape.pattern is not None:
        yield "not of the pattern", UUID.upper()


def _put(whole: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    copy: Any = deepcopy(whole)
    place = copy
    for name in path[:-1]:
        place = place[0] if name == ITEM else place[name]
    if path[-1] == ITEM:
        place[0] = value
    else:
        place[path[-1]] = value
    result: dict[str, Any] = copy
    return result
