"""The meaning of rules, row at a time: the definition that every faster evaluator must equal.

In: a rule, the rows of one host by kind in any order, and the run's coverage ledger. Out: one of
three outcomes, with the groups that fired. Where this file and another evaluator differ, this file
is right. A rule reads no clock, no network and no other rule.

Time is event time in whole microseconds. A row is a map without keys for null columns. Equal rows
are separate events.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from rules.detection import (
    AbsenceDetection,
    Detection,
    EventDetection,
    PeriodicDetection,
    SequenceDetection,
    ThresholdDetection,
)
from rules.format import Rule
from rules.matching import (
    RowsByKind,
    Values,
    by_group,
    group_values,
    key_of,
    match_key,
    matches,
    selected,
)
from rules.outcome import MAX_GROUPS, Group, Outcome, capped, make_group
from rules.pace import pace_of
from rules.selector import Selector
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Ledger
from rules.verdict import conclude
from rules.watched import watched
from rules.windows import windows

__all__ = ["Group", "Outcome", "group_rows", "judge", "matches"]


def judge(
    rule: Rule,
    agent_id: str,
    rows_by_kind: RowsByKind,
    ledger: Ledger,
    *,
    max_groups: int | None = MAX_GROUPS,
) -> Outcome:
    """Return what a rule comes to on one host.

    Args:
        rule: The rule.
        agent_id: The host.
        rows_by_kind: Rows of this host alone, with derived columns, by telemetry kind.
        ledger: What was watched during the run.
        max_groups: Cap of groups; None lifts it.
    """
    seen = watched(rule.detection, agent_id, ledger)
    return conclude(
        rule, agent_id, seen, lambda: capped(_fired(rule.detection, rows_by_kind), max_groups)
    )


def group_rows(rows: Iterable[Row]) -> dict[str, dict[str, list[Row]]]:
    """Return rows by agent and telemetry kind, as ``judge`` wants them."""
    grouped: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        grouped[row["agent_id"]][row["telemetry"]].append(row)
    return grouped


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
    rows = selected(detection.select, rows_by_kind)
    return [make_group(key, grouped) for key, grouped in by_group(detection, rows)]


def _threshold(detection: ThresholdDetection, rows_by_kind: RowsByKind) -> list[Group]:
    """Fire for each group with a crossing window; the rows inside such windows count.

    The first such window decides, and what it holds is measured.
    """
    rows = selected(detection.select, rows_by_kind)
    crossings = (
        (key, _crossing_windows(detection, grouped)) for key, grouped in by_group(detection, rows)
    )
    return [
        make_group(key, crossing.rows, window=crossing.window, measured=crossing.measured)
        for key, crossing in crossings
        if crossing is not None
    ]


class _Crossing(NamedTuple):
    """The rows inside at least one crossing window; the first such window and what it holds."""

    rows: list[Row]
    window: tuple[int, int]
    measured: int


def _crossing_windows(detection: ThresholdDetection, rows: list[Row]) -> _Crossing | None:
    """Return what is inside the windows that cross, or None."""
    ordered = sorted(rows, key=_time)
    crossing: _Crossing | None = None
    taken = 0  # rows before it are in ``crossing``
    for window in windows(detection, ordered):
        if window.measured > detection.gt:
            if crossing is None:
                crossing = _Crossing([], window.span, window.measured)
            crossing.rows.extend(ordered[max(window.start, taken) : window.stop])
            taken = window.stop
    return crossing


def _absence(detection: AbsenceDetection, rows_by_kind: RowsByKind) -> list[Group]:
    """Fire for each group with a selected row whose match key no ``unless`` row of the run has."""
    rows = unmatched(detection, rows_by_kind)
    return [make_group(key, grouped) for key, grouped in by_group(detection, rows)]


def unmatched(detection: AbsenceDetection, rows_by_kind: RowsByKind) -> list[Row]:
    """Return selected rows whose match key no ``unless`` row has."""
    used = {match_key(detection, row) for row in selected(detection.unless, rows_by_kind)}
    return [
        row
        for row in selected(detection.select, rows_by_kind)
        if (key := match_key(detection, row)) is not None and key not in used
    ]


def _sequence(detection: SequenceDetection, rows_by_kind: RowsByKind) -> list[Group]:
    """Fire for each group with a ``then`` row t and a ``first`` row f: f < t <= f + within.

    The ``then`` rows of such pairs count; both rows of each pair are evidence, each row once. The
    first of those ``then`` rows decides, with the ``first`` row closest before it.
    """
    firsts: dict[Values | None, list[_Place]] = defaultdict(list)
    for place, row in _placed(detection.first, rows_by_kind):
        firsts[match_key(detection, row)].append(place)
    firsts.pop(None, None)
    groups: dict[Values, _Pairs] = defaultdict(_Pairs)
    for place, row in _placed(detection.then, rows_by_kind):
        key = match_key(detection, row)
        before = firsts.get(key, [])
        start = bisect_left(before, place.ts_us - detection.within_us, key=_place_time)
        end = bisect_left(before, place.ts_us, key=_place_time)
        if start < end:
            pairs = groups[group_values(detection, row)]
            pairs.thens.append(row)
            # Times only grow, so firsts before the end of an earlier pair are in already.
            start = max(start, pairs.taken[key])
            pairs.rows.update(
                (first, rows_by_kind[first.kind][first.position]) for first in before[start:end]
            )
            pairs.rows[place] = row
            pairs.taken[key] = end
            pairs.met.append((place.ts_us, place.ts_us - before[end - 1].ts_us))
    return [
        make_group(
            key_of(detection, values),
            pairs.thens,
            shown=list(pairs.rows.values()),
            window=(pairs.first[0] - pairs.first[1], pairs.first[0]),
            measured=pairs.first[1],
        )
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
    taken: Counter[Values | None] = field(default_factory=Counter)
    met: list[tuple[int, int]] = field(default_factory=list)
    """When each ``then`` row came, and how soon after the closest ``first`` row."""

    @property
    def first(self) -> tuple[int, int]:
        """Return the first of those that were met; of several at one moment, the closest."""
        return min(self.met)


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
    paces = (
        (key, rows, pace_of(detection, [row["ts_us"] for row in rows]))
        for key, rows in by_group(detection, selected(detection.select, rows_by_kind))
    )
    return [
        make_group(key, rows, measured=pace.median_us)
        for key, rows, pace in paces
        if pace.fires(detection)
    ]


def _time(row: Row) -> int:
    return int(row["ts_us"])


def _place_time(place: _Place) -> int:
    return place.ts_us
