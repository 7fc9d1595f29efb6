"""Outcomes: what a rule comes to on one host, and the groups behind it.

In: the rows that made each group fire. Out: counts, times, evidence, and at most so many groups.
Shared by every evaluator, so that they can only differ in which rows they find.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rules.columns import Value
from rules.telemetry.batch import Row
from rules.telemetry.ndjson import canonical, encode_row

MAX_GROUPS: Final = 100  # groups of one rule on one host; the rest is counted in a closing one
EVIDENCE_ENDS: Final = 10  # rows shown from the beginning, and as many from the end

Verdict = Literal["findings", "clean", "not_evaluated"]
Key = dict[str, Value | None]
"""Value of each ``group_by`` column, in the order of the rule."""


@dataclass(frozen=True, slots=True)
class Group:
    """One finding of a rule on a host.

    Attributes:
        key: What tells it apart from others; empty for a rule without ``group_by``.
        count: Rows that made the finding; of the closing group, how many groups it stands for.
        first_seen_us: Time of the first such row.
        last_seen_us: Time of the last such row.
        evidence: The first and the last of those rows.
        and_more: Rows left out of ``evidence``; of the closing group, the same as ``count``.
    """

    key: Key
    count: int
    first_seen_us: int
    last_seen_us: int
    evidence: tuple[Row, ...]
    and_more: int

    @property
    def is_closing(self) -> bool:
        """Tell whether it stands for the groups above the cap."""
        return not self.evidence


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule came to on one host.

    Attributes:
        reason: Why it was not evaluated, in words for people; None for other outcomes.
        coverage: Share of the run that was watched of what the rule needs, 0 to 1.
        groups: Findings by first time and key; a closing group stands last.
    """

    rule_id: str
    agent_id: str
    outcome: Verdict
    reason: str | None
    coverage: float
    groups: tuple[Group, ...] = ()


def make_group(key: Key, rows: Sequence[Row], *, shown: Sequence[Row] | None = None) -> Group:
    """Return the finding that ``rows`` make, in any order and at least one.

    Args:
        key: Of the group.
        rows: The rows that count and give the times.
        shown: The rows to take evidence from; None = ``rows``.
    """
    pool = rows if shown is None else shown
    evidence = first_and_last(pool)
    times = [row["ts_us"] for row in rows]
    return Group(
        key=key,
        count=len(rows),
        first_seen_us=min(times),
        last_seen_us=max(times),
        evidence=evidence,
        and_more=len(pool) - len(evidence),
    )


def first_and_last(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the first and the last rows by time and canonical JSON, without null columns."""
    ordered = sorted(rows, key=_time)
    if len(ordered) > 2 * EVIDENCE_ENDS:
        # Only rows at the time of the last one shown can change places with it.
        first_us = ordered[EVIDENCE_ENDS - 1]["ts_us"]
        last_us = ordered[-EVIDENCE_ENDS]["ts_us"]
        head = _canonically(row for row in ordered if row["ts_us"] <= first_us)
        tail = _canonically(row for row in ordered if row["ts_us"] >= last_us)
        ordered = head[:EVIDENCE_ENDS] + tail[-EVIDENCE_ENDS:]
    else:
        ordered = _canonically(ordered)
    return tuple(
        {name: value for name, value in row.items() if value is not None} for row in ordered
    )


def capped(groups: Iterable[Group], max_groups: int | None = MAX_GROUPS) -> tuple[Group, ...]:
    """Return the earliest groups, and one that counts the others; None = all of them."""
    ordered = sorted(groups, key=lambda group: (group.first_seen_us, canonical(group.key)))
    if max_groups is None or len(ordered) <= max_groups:
        return tuple(ordered)
    rest = ordered[max_groups:]
    closing = Group(
        key={},
        count=len(rest),
        first_seen_us=rest[0].first_seen_us,
        last_seen_us=max(group.last_seen_us for group in rest),
        evidence=(),
        and_more=len(rest),
    )
    return (*ordered[:max_groups], closing)


def _time(row: Row) -> int:
    return int(row["ts_us"])


def _canonically(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["ts_us"], encode_row(row)))
