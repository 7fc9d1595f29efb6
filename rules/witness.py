"""Witnesses: the few rows that alone make a finding.

In: a finding and the rows of its host. Out: rows that give a finding of the same rule, host and
group when they are all that is judged, with the coverage as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from rules.columns import Value
from rules.detection import (
    AbsenceDetection,
    Detection,
    EventDetection,
    PeriodicDetection,
    SequenceDetection,
    ThresholdDetection,
)
from rules.matching import RowsByKind, match_key, selected
from rules.outcome import EVIDENCE_ENDS, Group
from rules.pace import pace_of
from rules.reference import unmatched
from rules.telemetry.batch import Row
from rules.telemetry.ndjson import encode_row

MAX_WITNESSES = 2 * EVIDENCE_ENDS  # shown; a threshold may need more of them


def witnesses(detection: Detection, group: Group, rows_by_kind: RowsByKind) -> tuple[Row, ...]:
    """Return the witnesses of a group, by time and canonical JSON, without null columns.

    event: its first row. threshold: of the first window that crosses, the first rows above the
    count, the first row of each value, or the largest summands until the sum is above. absence: the
    first row that nothing matches. sequence: every row of its pairs where they are few, else the
    first pair. periodic: the first consecutive times that are just enough, or else all times.

    Args:
        detection: Of the rule that fired.
        group: Any of its groups but the closing one.
        rows_by_kind: What was judged; rows of this host alone, in any order.
    """
    rows = _witnesses(detection, group, rows_by_kind)
    return tuple(
        {name: value for name, value in row.items() if value is not None} for row in _ordered(rows)
    )


def _witnesses(detection: Detection, group: Group, rows_by_kind: RowsByKind) -> Sequence[Row]:
    match detection:
        case EventDetection():
            return _members(detection, group, selected(detection.select, rows_by_kind))[:1]
        case ThresholdDetection():
            return _threshold(detection, group, rows_by_kind)
        case AbsenceDetection():
            return _members(detection, group, unmatched(detection, rows_by_kind))[:1]
        case SequenceDetection():
            return _sequence(detection, group, rows_by_kind)
    return _periodic(detection, group, rows_by_kind)


def _members(detection: Detection, group: Group, rows: Iterable[Row]) -> list[Row]:
    """Return the rows of a group, by time and canonical JSON."""
    wanted = [group.key[name] for name in detection.group_by]
    return _ordered(row for row in rows if [row.get(name) for name in detection.group_by] == wanted)


def _ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["ts_us"], encode_row(row)))


def _threshold(
    detection: ThresholdDetection, group: Group, rows_by_kind: RowsByKind
) -> Sequence[Row]:
    from_us, to_us = group.window
    window = [
        row
        for row in _members(detection, group, selected(detection.select, rows_by_kind))
        if from_us < row["ts_us"] <= to_us
    ]
    if detection.distinct is not None:
        first_of_value: dict[Value, Row] = {}
        for row in window:
            value = row.get(detection.distinct.column)
            if value is not None:
                first_of_value.setdefault(value, row)
        window = list(first_of_value.values())
    if detection.sum is not None:
        return _largest(window, detection.sum.column, detection.gt)
    return window[: detection.gt + 1]


def _largest(window: Iterable[Row], column: str, limit: int) -> list[Row]:
    """Return the largest summands, as many as it takes to be above the limit."""
    ordered = sorted(window, key=lambda row: -(row.get(column) or 0))
    totals = accumulate(row.get(column) or 0 for row in ordered)
    enough = next(count for count, total in enumerate(totals, start=1) if total > limit)
    return ordered[:enough]


def _sequence(
    detection: SequenceDetection, group: Group, rows_by_kind: RowsByKind
) -> Sequence[Row]:
    if not group.and_more:
        return group.evidence
    first_us, then_us = group.window
    firsts = {
        match_key(detection, row): row
        for row in _ordered(selected(detection.first, rows_by_kind))
        if row["ts_us"] == first_us
    }
    thens = _members(detection, group, selected(detection.then, rows_by_kind))
    return next(
        (firsts[key], row)
        for row in thens
        if row["ts_us"] == then_us and (key := match_key(detection, row)) in firsts
        if key is not None
    )


def _periodic(
    detection: PeriodicDetection, group: Group, rows_by_kind: RowsByKind
) -> Sequence[Row]:
    members = _members(detection, group, selected(detection.select, rows_by_kind))
    first_of_time: dict[int, Row] = {}
    for row in members:
        first_of_time.setdefault(row["ts_us"], row)
    rows = list(first_of_time.values())
    fewest = detection.at_least
    for start in range(len(rows) - fewest + 1):
        few = rows[start : start + fewest]
        if pace_of(detection, [row["ts_us"] for row in few]).fires(detection):
            return few
    return rows
