"""Output: from what an operation returns to a reply's body, by the model's shapes.

In: plain values, times in microseconds. Out: JSON with the model's members only, nulls left out,
times as seconds with milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.aws.shapes import Operation, Shape

_US_PER_MS: Final = 1_000


def write_output(operation: Operation, answer: Mapping[str, Any] | None) -> bytes:
    """Return the reply's body; empty where the operation answers nothing."""
    if operation.output is None:
        return b""
    return msgspec.json.encode(shaped(operation.output, answer or {}))


def shaped(shape: Shape, value: Any) -> Any:  # noqa: ANN401 (any shape of JSON)
    """Return a value as JSON holds it.

    Raises:
        KeyError: A member that clients rely on is missing.
    """
    if shape.kind == "structure":
        return _structure(shape, value)
    if shape.kind == "timestamp":
        return value // _US_PER_MS / 1_000
    if shape.item is None:
        return value
    if shape.kind == "list":
        return [shaped(shape.item, one) for one in value]
    return {key: shaped(shape.item, one) for key, one in value.items()}


def _structure(shape: Shape, value: Mapping[str, Any]) -> dict[str, Any]:
    missing = [name for name in shape.required if value.get(name) is None]
    if missing:
        raise KeyError(f"{shape.name} lacks {', '.join(missing)}")
    return {
        name: shaped(member, value[name])
        for name, member in shape.members.items()
        if value.get(name) is not None
    }
