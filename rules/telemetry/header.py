"""Header: who sends a batch, which one it is, what interval it covers and what is missing from it.

In: nothing. Out: the statements that the coverage ledger is made of. Bounds stand at the types,
where the wire checks them while it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from rules.telemetry.event import Int64, Text
from rules.telemetry.kinds import INT64_MAX, SENSOR_STATES
from rules.telemetry.topics import is_agent_id

MAX_KINDS = 64  # kinds that one header or coverage row names, known or not
MAX_CAUSES = 64  # causes of loss in one coverage row
MAX_RUNS = 1_000
MAX_STATEMENTS = 1_000  # losses, and coverage rows, of one batch

Count = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Ordinal = Annotated[int, Meta(ge=1, le=INT64_MAX)]
Name = Annotated[str, Meta(max_length=255)]
Kinds = Annotated[tuple[Name, ...], Meta(max_length=MAX_KINDS)]


@dataclass(frozen=True, slots=True)
class Loss:
    """Events that are missing, and why."""

    cause: Name
    events: Count
    from_us: Int64
    to_us: Int64


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one sensor watched during an interval: a coverage row.

    ``lost`` counts events by cause; ``sampled_one_in`` is 1 where nothing was left out on purpose.
    """

    sensor: Name
    kinds: Kinds
    from_us: Int64
    to_us: Int64
    state: Name
    method: Text = ""
    sampled_one_in: Ordinal = 1
    lost: Annotated[Mapping[Name, Count], Meta(max_length=MAX_CAUSES)] | None = None
    cpu_ms: Count | None = None
    rss_bytes: Count | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Who sends a batch, which one it is, and what interval [from_us, to_us) it covers."""

    agent_id: Name
    boot_id: Name
    stream: Name
    sequence: Ordinal
    from_us: Int64
    to_us: Int64
    runs: Annotated[tuple[Name, ...], Meta(max_length=MAX_RUNS)] = ()
    kinds: Kinds = ()
    losses: Annotated[tuple[Loss, ...], Meta(max_length=MAX_STATEMENTS)] = ()
    coverage: Annotated[tuple[Coverage, ...], Meta(max_length=MAX_STATEMENTS)] = ()


def problem_of(header: Header) -> str | None:
    """Return what makes no sense in a header, None if all of it does."""
    if not all(map(is_agent_id, (header.agent_id, header.boot_id, header.stream))):
        return "agent_id, boot_id and stream are 1 to 128 of A-Z a-z 0-9 _ -"
    parts: tuple[Header | Loss | Coverage, ...] = (header, *header.losses, *header.coverage)
    if any(part.to_us < part.from_us for part in parts):
        return "an interval ends before it begins"
    if any(row.state not in SENSOR_STATES for row in header.coverage):
        return "a coverage row has no known state"
    return None
