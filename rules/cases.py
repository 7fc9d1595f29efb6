"""Cases: the tests inside a rule file, and the events they are made of.

In: the plain ``tests`` list of a rule file. Out: frozen models and rows of telemetry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from rules.columns import Value, column_problem, shown, stored_form, value_problem
from rules.detection import Share, Text, Window
from rules.durations import parse_duration
from rules.faults import Fault, StrictModel, raise_faults
from rules.selector import read_kind
from rules.telemetry.batch import Row
from rules.telemetry.derive import derive
from rules.telemetry.kinds import Kind

DEFAULT_AGENT: Final = "i-test"
DEFAULT_DURATION_US: Final = 3_600_000_000  # one hour
MAX_REPEAT: Final = 100_000  # events of one case: more is a mistake, and would fill the memory
AGENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
EVENT_KEYS: Final = ("at", "telemetry", "agent_id", "repeat", "every")


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One line of ``events``: a row, or the same row several times."""

    telemetry: str
    at_us: int
    values: Mapping[str, Value]
    agent_id: str = DEFAULT_AGENT
    repeat: int = 1
    every_us: int = 0

    def rows(self) -> Iterator[Row]:
        """Yield its rows, with derived columns."""
        for number in range(self.repeat):
            yield derive(
                {
                    "telemetry": self.telemetry,
                    "ts_us": self.at_us + number * self.every_us,
                    "agent_id": self.agent_id,
                    **self.values,
                }
            )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let a pydantic model hold an event: plain map in, event out."""
        del source, handler
        return core_schema.no_info_plain_validator_function(parse_event)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Leave a mark that ``rules.schema`` replaces by the schema of events."""
        del schema, handler
        return {"x-event": True}


class Case(StrictModel):
    """One test of a rule: what happens on the hosts, and which findings must come of it."""

    name: Text = Field(description="What the test shows, in a few words.")
    events: Annotated[tuple[CaseEvent, ...], Field(strict=False)] = Field(
        description="What the agents observe; no events are an idle host."
    )
    expect: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = Field(
        description="The groups that must fire, and no others; agent_id is i-test unless given."
    )
    duration_us: Window = Field(
        default=DEFAULT_DURATION_US, alias="duration", description="Length of the run, such as 1h."
    )
    coverage: Share = Field(default=1.0, description="Share of the run that was watched.")
    not_evaluated: bool = Field(
        default=False, description="Whether the rule must end as not evaluated."
    )


def parse_event(plain: object) -> CaseEvent:
    """Return the event that a plain map describes.

    Raises:
        ValidationError: With every problem and its place inside the map.
    """
    if not isinstance(plain, dict):
        raise_faults("CaseEvent", [((), "must be a map with at, telemetry and columns")])
    faults: list[Fault] = []
    kind = read_kind(plain, faults)
    values = _values(kind, plain, faults) if kind else {}
    event = CaseEvent(
        telemetry=kind.name if kind else "",
        at_us=_duration(plain, "at", faults),
        values=values,
        agent_id=_agent(plain, faults),
        repeat=_repeat(plain, faults),
        every_us=_duration(plain, "every", faults) if "every" in plain else 0,
    )
    if "every" in plain and "repeat" not in plain:
        faults.append((("every",), "has no meaning without repeat"))
    if faults:
        raise_faults("CaseEvent", faults)
    return event


def _values(kind: Kind, plain: Mapping[str, Any], faults: list[Fault]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, value in plain.items():
        if name in EVENT_KEYS:
            continue
        problem = column_problem(kind, name)
        if problem is None and value is not None:
            problem = value_problem(kind.columns[name], value)
            values[name] = stored_form(kind.columns[name], value)
        if problem is not None:
            faults.append(((name,), problem))
    return values


def _duration(plain: Mapping[str, Any], key: str, faults: list[Fault]) -> int:
    if key not in plain:
        faults.append(((key,), "is missing"))
        return 0
    try:
        return parse_duration(plain[key])
    except ValueError as error:
        faults.append(((key,), f"{shown(plain[key])} {error}"))
        return 0


def _agent(plain: Mapping[str, Any], faults: list[Fault]) -> str:
    agent_id = plain.get("agent_id", DEFAULT_AGENT)
    if isinstance(agent_id, str) and AGENT_ID.fullmatch(agent_id):
        return agent_id
    faults.append((("agent_id",), f"{shown(agent_id)} is no agent id: letters, digits, _ and -"))
    return DEFAULT_AGENT


def _repeat(plain: Mapping[str, Any], faults: list[Fault]) -> int:
    repeat = plain.get("repeat", 1)
    if type(repeat) is int and 1 <= repeat <= MAX_REPEAT:
        return repeat
    faults.append((("repeat",), f"{shown(repeat)} must be a whole number from 1 to {MAX_REPEAT}"))
    return 1
