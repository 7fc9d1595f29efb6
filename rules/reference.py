"""The meaning of rules, row at a time: the definition that every faster evaluator must equal.

In: a rule, the rows of one host by kind in any order, and the run's coverage ledger. Out: one of
three outcomes, with the groups that fired. Where this file and another evaluator differ, this file
is right. A rule reads no clock, no network and no other rule.

Time is event time in whole microseconds. A row is a map without keys for null columns. Equal rows
are separate events.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple

from rules.columns import Value
from rules.detection import (
    AbsenceDetection,
    Detection,
    EventDetection,
    PeriodicDetection,
    SequenceDetection,
    ThresholdDetection,
)
from rules.format import Rule
from rules.outcome import MAX_GROUPS, Group, Key, Outcome, capped, make_group
from rules.selector import Condition, Selector
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Ledger
from rules.watched import watched

__all__ = ["Group", "Outcome", "group_rows", "judge", "matches"]

RowsByKind = Mapping[str, Sequence[Row]]
_Values = tuple[Value | None, ...]
_PPM: Final = 1_000_000  # shares in a rule have at most six digits, so they are whole millionths
_STEADY_OF_TEN: Final = 9  # of ten gaps that many must be close to the median


def judge(
    rule: Rule,
    agent_id: str,
    rows_by_kind: RowsByKind,
    ledger: Ledger,
    *,
    max_groups: int | None = MAX_GROUPS,
) -> Outcome:
    """Return what a rule comes to on one host.

    Findings stand whatever the coverage, except those of absence: they are only claimed where
    ``min_coverage`` of the run was watched. Without findings the host is clean if half of the run
    was watched, else the rule was not evaluated.

    Args:
        rule: The rule.
        agent_id: The host.
        rows_by_kind: Rows of this host alone, with derived columns, by telemetry kind.
        ledger: What was watched during the run.
        max_groups: Cap of groups; None lifts it.
    """
    seen = watched(rule.detection, agent_id, ledger)
    if seen.reason is not None and isinstance(rule.detection, AbsenceDetection):
        return Outcome(rule.id, agent_id, "not_evaluated", seen.reason, seen.coverage)
    groups = capped(_fired(rule.detection, rows_by_kind), max_groups)
    if groups:
        return Outcome(rule.id, agent_id, "findings", None, seen.coverage, groups)
    if seen.reason is not None:
        return Outcome(rule.id, agent_id, "not_evaluated", seen.reason, seen.coverage)
    return Outcome(rule.id, agent_id, "clean", None, seen.coverage)


def group_rows(rows: Iterable[Row]) -> dict[str, dict[str, list[Row]]]:
    """Return rows by agent and telemetry kind, as ``judge`` wants them."""
    grouped: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        grouped[row["agent_id"]][row["telemetry"]].append(row)
    return grouped


def matches(selector: Selector, row: Row) -> bool:
    """Tell whether a selector accepts a row.

    All of ``where`` must hold, one group of ``any_of`` if there are any, and no group of
    ``none_of``. A null column satisfies no operator but ``is_null``, so a null in ``none_of`` does
    not exclude a row.
    """
    return (
        row["telemetry"] == selector.telemetry
        and _all_hold(selector.where, row)
        and (not selector.any_of or any(_all_hold(group, row) for group in selector.any_of))
        and not any(_all_hold(group, row) for group in selector.none_of)
    )


def _all_hold(conditions: Iterable[Condition], row: Row) -> bool:
    return all(_holds(condition, row.get(condition.column)) for condition in conditions)


def _holds(condition: Condition, value: Value | None) -> bool:
    if condition.operator == "is_null":
        return (value is None) is condition.value
    return value is not None and _COMPARE[condition.operator](value, condition.value)


_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "in": lambda value, listed: value in listed,
    "not_in": lambda value, listed: value not in listed,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
"""Meaning of every operator but ``is_null`` on a value that is there. Text compares exactly."""


def _selected(selector: Selector, rows_by_kind: RowsByKind) -> list[Row]:
    return [row for row in rows_by_kind.get(selector.telemetry, ()) if matches(selector, row)]


def _by_group(detection: Detection, rows: Iterable[Row]) -> list[tuple[Key, list[Row]]]:
    """Return rows by the values of ``group_by``, where null is a value like any other."""
    groups: dict[_Values, list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(map(row.get, detection.group_by))].append(row)
    return [(_key(detection, values), grouped) for values, grouped in groups.items()]


def _key(detection: Detection, values: _Values) -> Key:
    return dict(zip(detection.group_by, values, strict=True))


def _match_key(detection: AbsenceDetection | SequenceDetection, row: Row) -> _Values | None:
    """Return the values of ``match_on``; None where one is null, which proves nothing."""
    key = tuple(row.get(name) for name in detection.match_on)
    return None if None in key else key


def _fired(detection: Detection, rows_by_kind: RowsByKind) -> list[Group]:
    match detection:
        case EventDetection():
            return _event(detection, rows_by_kind)
        case ThresholdDetection():
            return _threshold(detection, rows_by_kind)
        case AbsenceDetection():
            return _absence(detection, rows_by_kind)
        case SequenceDetection():
            return _sequence(detection, rows_by_kind)
    return _periodic(detection, rows_by_kind)


def _event(detection: EventDetection, rows_by_kind: RowsByKind) -> list[Group]:
    """Fire for each group with at least one selected row."""
    selected = _selected(detection.select, rows_by_kind)
    return [make_group(key, rows) for key, rows in _by_group(detection, selected)]


def _threshold(detection: ThresholdDetection, rows_by_kind: RowsByKind) -> list[Group]:
    """Fire for each group with a crossing window; the rows inside such windows count."""
    selected = _selected(detection.select, rows_by_kind)
    crossing = (
        (key, _rows_in_crossing_windows(detection, rows))
        for key, rows in _by_group(detection, selected)
    )
    return [make_group(key, rows) for key, rows in crossing if rows]


def _rows_in_crossing_windows(detection: ThresholdDetection, rows: list[Row]) -> list[Row]:
    """Return the rows inside at least one window (t - within, t] that crosses, t a row's time.

    A window holds all rows of its last moment: equal times are in the same window.
    """
    ordered = sorted(rows, key=_time)
    tally = _Tally(detection)
    crossing: list[Row] = []
    start = taken = 0  # ordered[start:end + 1] is the window; rows before `taken` are in crossing
    for end, row in enumerate(ordered):
        tally.change(row, 1)
        while ordered[start]["ts_us"] <= row["ts_us"] - detection.within_us:
            tally.change(ordered[start], -1)
            start += 1
        is_last_of_moment = end + 1 == len(ordered) or ordered[end + 1]["ts_us"] > row["ts_us"]
        if is_last_of_moment and tally.crosses:
            crossing += ordered[max(start, taken) : end + 1]
            taken = end + 1
    return crossing


class _Tally:
    """What a threshold measures, of the rows that are in the window."""

    def __init__(self, detection: ThresholdDetection) -> None:
        measures = (detection.count, detection.distinct, detection.sum)
        self._limit = next(measure.gt for measure in measures if measure is not None)
        self._detection = detection
        self._total = 0
        self._values: Counter[Value] = Counter()

    def change(self, row: Row, by: int) -> None:
        """Let a row in (1) or out (-1)."""
        detection = self._detection
        if detection.distinct is not None:
            value = row.get(detection.distinct.column)
            if value is not None:  # null is no value
                self._values[value] += by
                if not self._values[value]:
                    del self._values[value]
            self._total = len(self._values)
        elif detection.sum is not None:
            self._total += by * (row.get(detection.sum.column) or 0)  # null is 0
        else:
            self._total += by

    @property
    def crosses(self) -> bool:
        """Tell whether the window holds more than it may."""
        return self._total > self._limit


def _absence(detection: AbsenceDetection, rows_by_kind: RowsByKind) -> list[Group]:
    """Fire for each group with a selected row whose match key no ``unless`` row of the run has."""
    used = {_match_key(detection, row) for row in _selected(detection.unless, rows_by_kind)}
    unmatched = [
        row
        for row in _selected(detection.select, rows_by_kind)
        if (key := _match_key(detection, row)) is not None and key not in used
    ]
    return [make_group(key, rows) for key, rows in _by_group(detection, unmatched)]


def _sequence(detection: SequenceDetection, rows_by_kind: RowsByKind) -> list[Group]:
    """Fire for each group with a ``then`` row t and a ``first`` row f: f < t <= f + within.

    The ``then`` rows of such pairs count; both rows of each pair are evidence, each row once.
    """
    firsts: dict[_Values | None, list[_Place]] = defaultdict(list)
    for place, row in _placed(detection.first, rows_by_kind):
        firsts[_match_key(detection, row)].append(place)
    firsts.pop(None, None)
    groups: dict[_Values, _Pairs] = defaultdict(_Pairs)
    for place, row in _placed(detection.then, rows_by_kind):
        match_key = _match_key(detection, row)
        before = firsts.get(match_key, [])
        start = bisect_left(before, place.ts_us - detection.within_us, key=_place_time)
        end = bisect_left(before, place.ts_us, key=_place_time)
        if start < end:
            pairs = groups[tuple(map(row.get, detection.group_by))]
            pairs.thens.append(row)
            # Times only grow, so firsts before the end of an earlier pair are in already.
            start = max(start, pairs.taken[match_key])
            pairs.rows.update(
                (first, rows_by_kind[first.kind][first.position]) for first in before[start:end]
            )
            pairs.rows[place] = row
            pairs.taken[match_key] = end
    return [
        make_group(_key(detection, values), pairs.thens, shown=list(pairs.rows.values()))
        for values, pairs in groups.items()
    ]


class _Place(NamedTuple):
    """Which row of a host: equal rows are separate events."""

    ts_us: int
    kind: str
    position: int


@dataclass(slots=True)
class _Pairs:
    """What a sequence found in one group."""

    thens: list[Row] = field(default_factory=list)
    rows: dict[_Place, Row] = field(default_factory=dict)
    taken: Counter[_Values | None] = field(default_factory=Counter)


def _placed(selector: Selector, rows_by_kind: RowsByKind) -> list[tuple[_Place, Row]]:
    """Return selected rows with their places, by time."""
    kind = selector.telemetry
    return sorted(
        (
            (_Place(row["ts_us"], kind, position), row)
            for position, row in enumerate(rows_by_kind.get(kind, ()))
            if matches(selector, row)
        ),
        key=itemgetter(0),
    )


def _periodic(detection: PeriodicDetection, rows_by_kind: RowsByKind) -> list[Group]:
    """Fire for each group whose rows come at a steady pace over the whole run."""
    selected = _selected(detection.select, rows_by_kind)
    return [
        make_group(key, rows)
        for key, rows in _by_group(detection, selected)
        if _is_periodic(detection, sorted({row["ts_us"] for row in rows}))
    ]


def _is_periodic(detection: PeriodicDetection, times_us: list[int]) -> bool:
    """Tell whether distinct times are enough, and steady, and of a wanted pace.

    The median of an even number of gaps is the lower middle one.
    """
    if len(times_us) < detection.at_least:
        return False
    gaps = sorted(later - earlier for earlier, later in pairwise(times_us))
    median = gaps[(len(gaps) - 1) // 2]
    if not detection.every.min_us <= median <= detection.every.max_us:
        return False
    allowed = round(detection.jitter * _PPM) * median
    steady = sum(abs(gap - median) * _PPM <= allowed for gap in gaps)
    return steady * 10 >= len(gaps) * _STEADY_OF_TEN


def _time(row: Row) -> int:
    return int(row["ts_us"])


def _place_time(place: _Place) -> int:
    return place.ts_us
