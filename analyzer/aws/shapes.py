"""The service's shapes: what goes in and out of each operation, as typed values.

In: botocore's model of Inspector. Out: operations with their input and output shapes, and bounds
that the model leaves to its texts. Nothing here knows an operation by what it does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal[
    "structure", "list", "map", "string", "integer", "long", "double", "boolean", "timestamp"
]

SERVICE: Final = "inspector"
API_VERSION: Final = "2016-02-16"
PAGE_LIMIT: Final = 500  # of maxResults, by the model's text
FINDINGS_LIMIT: Final = 100  # clients send whole pages, and the reply holds as many


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a value must be; ``minimum`` and ``maximum`` bound lengths and numbers alike."""

    name: str
    kind: Kind
    minimum: int | None = None
    maximum: int | None = None
    choices: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None
    members: Mapping[str, Shape] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    item: Shape | None = None
    """Of a list its items, of a map its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: its shapes, and the errors that its clients know."""

    name: str
    input: Shape
    output: Shape | None
    errors: frozenset[str]

    @property
    def is_read(self) -> bool:
        """Tell whether it changes nothing."""
        return self.name.startswith(("Describe", "Get", "List", "Preview"))


@cache
def operations() -> Mapping[str, Operation]:
    """Return every operation by name."""
    model = _model()
    found = {name: _operation(model.operation_model(name)) for name in model.operation_names}
    return MappingProxyType(found)


@cache
def error_members() -> Mapping[str, frozenset[str]]:
    """Return the modelled errors, each with the members that its body may have."""
    shapes = _model().error_shapes
    return MappingProxyType({shape.name: frozenset(shape.members) for shape in shapes})


@cache
def error_codes(error: str) -> frozenset[str]:
    """Return the closed list of a modelled error's ``errorCode``; empty where it has none."""
    shape = _model().shape_for(error).members.get("errorCode")
    return frozenset(shape.enum) if shape is not None else frozenset()


def _model() -> Any:  # noqa: ANN401 (botocore has no types)
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    description = Loader().load_service_model(SERVICE, "service-2", API_VERSION)
    return ServiceModel(description, SERVICE)


def _operation(model: Any) -> Operation:  # noqa: ANN401 (botocore has no types)
    taken = _shape(model.input_shape) if model.input_shape else Shape(name="", kind="structure")
    return Operation(
        name=model.name,
        input=_with_documented_bounds(model.name, taken),
        output=_shape(model.output_shape) if model.output_shape else None,
        errors=frozenset(shape.name for shape in model.error_shapes),
    )


def _shape(model: Any) -> Shape:  # noqa: ANN401 (botocore has no types)
    kind = cast("Kind", model.type_name)
    bounds = model.metadata
    members = {name: _shape(shape) for name, shape in getattr(model, "members", {}).items()}
    item = {"list": "member", "map": "value"}.get(kind)
    return Shape(
        name=model.name,
        kind=kind,
        minimum=bounds.get("min"),
        maximum=bounds.get("max"),
        choices=frozenset(bounds.get("enum", ())),
        pattern=re.compile(bounds["pattern"]) if "pattern" in bounds else None,
        members=MappingProxyType(members),
        required=tuple(bounds.get("required", ())),
        item=_shape(getattr(model, item)) if item else None,
    )


def _with_documented_bounds(operation: str, shape: Shape) -> Shape:
    members = dict(shape.members)
    if "maxResults" in members:
        members["maxResults"] = replace(members["maxResults"], minimum=1, maximum=PAGE_LIMIT)
    if operation == "DescribeFindings":
        members["findingArns"] = replace(members["findingArns"], maximum=FINDINGS_LIMIT)
    return replace(shape, members=MappingProxyType(members))
