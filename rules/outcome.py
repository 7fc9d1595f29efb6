"""Outcomes: what a rule comes to on one host, and the groups behind it.

In: the rows that made each group fire. Out: counts, times, evidence, and at most so many groups.
Shared by every evaluator, so that they can only differ in which rows they find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Literal

import msgspec

from rules.buckets import MINUTE_US, Buckets, fold_minutes
from rules.columns import Value
from rules.telemetry.batch import Row
from rules.telemetry.ndjson import canonical, encode_row

MAX_GROUPS: Final = 100  # groups of one rule on one host; the rest is counted in a closing one
EVIDENCE_ENDS: Final = 10  # rows shown from the beginning, and as many from the end

Verdict = Literal["findings", "clean", "not_evaluated"]
Key = dict[str, Value | None]
"""Value of each ``group_by`` column, in the order of the rule."""


class Group(msgspec.Struct, frozen=True, gc=False):
    """One finding of a rule on a host.

    Attributes:
        key: What tells it apart from others; empty for a rule without ``group_by``.
        count: Rows that made the finding; of the closing group, how many groups it stands for.
        first_seen_us: Time of the first such row.
        last_seen_us: Time of the last such row.
        evidence: The first and the last of those rows.
        and_more: Rows left out of ``evidence``; of the closing group, the same as ``count``.
        window: From and to of what decided. threshold: the first window that crosses, (from, to];
            sequence: the first pair, and of its ``then`` rows' pairs the closest; others: first
            and last time of the rows that count.
        measured: threshold: what that window holds; sequence: the time between the pair in
            microseconds; periodic: the median gap in microseconds; others: None.
        buckets: How many of the rows that count fall into each stretch of time; none of the
            closing group.
    """

    key: Key
    count: int
    first_seen_us: int
    last_seen_us: int
    evidence: tuple[Row, ...]
    and_more: int
    window: tuple[int, int]
    measured: int | None = None
    buckets: Buckets = ()

    @property
    def is_closing(self) -> bool:
        """Tell whether it stands for the groups above the cap."""
        return not self.evidence


class Outcome(msgspec.Struct, frozen=True, gc=False):
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


@dataclass(frozen=True, slots=True)
class Counted:
    """The rows that count in one group, at least one, in numbers.

    Attributes:
        minutes: How many rows have each ``ts_us // MINUTE_US``.
    """

    count: int
    first_seen_us: int
    last_seen_us: int
    minutes: Mapping[int, int]


def make_group(
    key: Key,
    rows: Sequence[Row],
    *,
    shown: Sequence[Row] | None = None,
    window: tuple[int, int] | None = None,
    measured: int | None = None,
) -> Group:
    """Return the finding that ``rows`` make, in any order and at least one.

    Args:
        key: Of the group.
        rows: The rows that count and give the times.
        shown: The rows to take evidence from; None = ``rows``.
        window: What decided; None = from the first to the last of the rows that count.
        measured: What the window holds, or the time that decided.
    """
    pool = rows if shown is None else shown
    return group_of(
        key,
        count_rows(rows),
        pool,
        shown_count=len(pool),
        window=window,
        measured=measured,
    )


def count_rows(rows: Iterable[Row]) -> Counted:
    """Return rows in numbers."""
    times = [_time(row) for row in rows]
    minutes = Counter(time // MINUTE_US for time in times)
    return Counted(len(times), min(times), max(times), minutes)


def group_of(
    key: Key,
    counted: Counted,
    shown: Sequence[Row],
    *,
    shown_count: int,
    window: tuple[int, int] | None = None,
    measured: int | None = None,
) -> Group:
    """Return the finding of an evaluator that has the numbers and not every row.

    Args:
        key: Of the group.
        counted: The rows that count.
        shown: Rows to take evidence from, at least those that ``first_and_last`` would choose.
        shown_count: How many there are in all.
        window: What decided; None = from the first to the last of the rows that count.
        measured: What the window holds, or the time that decided.
    """
    evidence = first_and_last(shown)
    return Group(
        key=key,
        count=counted.count,
        first_seen_us=counted.first_seen_us,
        last_seen_us=counted.last_seen_us,
        evidence=evidence,
        and_more=shown_count - len(evidence),
        window=window or (counted.first_seen_us, counted.last_seen_us),
        measured=measured,
        buckets=fold_minutes(counted.minutes),
    )


def first_and_last(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the first and the last rows by time and canonical JSON, without null columns."""
    if len(rows) == 1:  # as most findings have
        return (_without_null(rows[0]),)
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
    return tuple(map(_without_null, ordered))


def capped(groups: Iterable[Group], max_groups: int | None = MAX_GROUPS) -> tuple[Group, ...]:
    """Return the earliest groups, and one that counts the others; None = all of them."""
    ordered = sorted(groups, key=lambda group: (group.first_seen_us, canonical(group.key)))
    if max_groups is None or len(ordered) <= max_groups:
        return tuple(ordered)
    rest = ordered[max_groups:]
    last_us = max(group.last_seen_us for group in rest)
    closing = closing_group(len(rest), rest[0].first_seen_us, last_us)
    return (*ordered[:max_groups], closing)


def closing_group(count: int, first_us: int, last_us: int) -> Group:
    """Return the group that stands for those above the cap: how many, and their times."""
    return Group(
        key={},
        count=count,
        first_seen_us=first_us,
        last_seen_us=last_us,
        evidence=(),
        and_more=count,
        window=(first_us, last_us),
    )


_time: Final[Callable[[Row], int]] = itemgetter("ts_us")


def _without_null(row: Row) -> Row:
    if None in row.values():
        return {name: value for name, value in row.items() if value is not None}
    return row.copy()


def _canonically(rows: Iterable[Row]) -> list[Row]:
    ordered = sorted(rows, key=_time)
    if len(set(map(_time, ordered))) == len(ordered):
        return ordered  # the text decides between rows of one moment alone
    return sorted(ordered, key=lambda row: (_time(row), encode_row(row)))
