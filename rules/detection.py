"""Detections: the five ways in which a rule can fire, as pydantic models.

In: the plain ``detection`` map of a rule file. Out: frozen models. What each one means is defined
in ``rules.reference``. Durations are microseconds here, and text with a unit in the file.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from rules.durations import PATTERN, parse_duration
from rules.faults import StrictModel
from rules.selector import Selector

SHARE_DIGITS: Final = 6  # shares are stated with at most six digits, here as in results


def _positive(duration_us: int) -> int:
    if duration_us <= 0:
        raise ValueError("is no span of time; it must be more than 0")
    return duration_us


def _six_digits(share: float) -> float:
    if round(share, SHARE_DIGITS) != share:
        message = f"has more than {SHARE_DIGITS} digits after the point"
        raise ValueError(message)
    return share


Text = Annotated[str, StringConstraints(min_length=1)]
Names = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]
"""A list of names that is not empty."""
ColumnName = Annotated[Text, WithJsonSchema({"x-column": True})]
Columns = Annotated[tuple[ColumnName, ...], Field(strict=False, min_length=1)]
"""A list of columns that is not empty."""
GroupBy = Annotated[tuple[ColumnName, ...], Field(strict=False)]
Duration = Annotated[
    int, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "pattern": PATTERN})
]
Window = Annotated[Duration, AfterValidator(_positive)]
Share = Annotated[float, Field(ge=0, le=1), AfterValidator(_six_digits)]

_GROUP_BY: Final = "One finding per value of these columns; null is a value. None: one per host."
_WITHIN: Final = "Length of the window, such as 5m; the window is (t - within, t]."


class Count(StrictModel):
    """How many rows are too many."""

    gt: Annotated[int, Field(ge=0)] = Field(description="Fires above this number.")


class Measure(StrictModel):
    """How much of a column is too much."""

    column: ColumnName = Field(description="The column that is counted or summed.")
    gt: Annotated[int, Field(ge=0)] = Field(description="Fires above this number.")


class EventDetection(StrictModel):
    """Fires for each group with at least one selected row."""

    kind: Literal["event"]
    select: Selector
    group_by: GroupBy = Field(default=(), description=_GROUP_BY)

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Return every selector; ``group_by`` names columns of the first."""
        return (self.select,)


class ThresholdDetection(StrictModel):
    """Fires for each group with a window that holds too many rows, values or too large a sum."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [key]} for key in ("count", "distinct", "sum")]}
    )
    kind: Literal["threshold"]
    select: Selector
    group_by: GroupBy = Field(default=(), description=_GROUP_BY)
    within_us: Window = Field(alias="within", description=_WITHIN)
    count: Count | None = Field(default=None, description="Counts selected rows.")
    distinct: Measure | None = Field(default=None, description="Counts values that are not null.")
    sum: Measure | None = Field(default=None, description="Sums a number column; null is 0.")

    @property
    def gt(self) -> int:
        """Return the number above which it fires."""
        measures = (self.count, self.distinct, self.sum)
        return next(measure.gt for measure in measures if measure is not None)

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Return every selector; ``group_by`` names columns of the first."""
        return (self.select,)


class AbsenceDetection(StrictModel):
    """Fires for each group with a row whose match key no ``unless`` row has."""

    kind: Literal["absence"]
    select: Selector
    unless: Selector
    match_on: Columns = Field(
        description="Columns that must be equal in both kinds; null never is."
    )
    group_by: GroupBy = Field(default=(), description=_GROUP_BY)
    min_coverage: Share = Field(
        default=0.95, description="Share of the run that must have been watched, of both kinds."
    )

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Return every selector; ``group_by`` names columns of the first."""
        return (self.select, self.unless)


class SequenceDetection(StrictModel):
    """Fires for each group with a ``then`` row that follows a ``first`` row soon enough."""

    kind: Literal["sequence"]
    first: Selector
    then: Selector
    match_on: Columns = Field(
        description="Columns that must be equal in both kinds; null never is."
    )
    within_us: Window = Field(alias="within", description="Longest time from first to then.")
    group_by: GroupBy = Field(default=(), description=_GROUP_BY)

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Return every selector; ``group_by`` names columns of the first."""
        return (self.then, self.first)


class Span(StrictModel):
    """Shortest and longest time between two events, ends included."""

    min_us: Duration = Field(alias="min")
    max_us: Duration = Field(alias="max")


class PeriodicDetection(StrictModel):
    """Fires for each group whose rows come at a steady pace."""

    kind: Literal["periodic"]
    select: Selector
    group_by: GroupBy = Field(default=(), description=_GROUP_BY)
    at_least: Annotated[int, Field(ge=6)] = Field(description="Distinct times it takes.")
    jitter: Annotated[float, Field(ge=0, le=0.5), AfterValidator(_six_digits)] = Field(
        description="Share of the median gap by which gaps may differ from it."
    )
    every: Span = Field(description="Where the median gap must lie.")

    @property
    def selectors(self) -> tuple[Selector, ...]:
        """Return every selector; ``group_by`` names columns of the first."""
        return (self.select,)


Detection = Annotated[
    EventDetection | ThresholdDetection | AbsenceDetection | SequenceDetection | PeriodicDetection,
    Field(discriminator="kind"),
]

DETECTIONS: Final[dict[str, type[StrictModel]]] = {
    "event": EventDetection,
    "threshold": ThresholdDetection,
    "absence": AbsenceDetection,
    "sequence": SequenceDetection,
    "periodic": PeriodicDetection,
}
"""Every detection by the name in ``kind``."""
