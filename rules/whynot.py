"""Why not: what kept a rule from firing on a host.

In: a rule, the rows of one host, the ledger. Out: values: what each condition left, what came
closest and by how much it missed, and what was not watched. Words are made elsewhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rules.detection import (
    AbsenceDetection,
    Detection,
    EventDetection,
    PeriodicDetection,
    SequenceDetection,
    ThresholdDetection,
)
from rules.funnel import Funnel, funnel
from rules.matching import RowsByKind, Values, by_group, match_key, selected
from rules.outcome import Key
from rules.pace import Pace, pace_of
from rules.reference import unmatched
from rules.selector import Selector
from rules.telemetry.batch import Row
from rules.telemetry.ledger import Intervals, Ledger
from rules.telemetry.ndjson import canonical
from rules.watched import Sight
from rules.windows import windows


@dataclass(frozen=True, slots=True)
class ThresholdMiss:
    """The fullest window of all groups; of several the earliest.

    Attributes:
        groups: How many groups there are.
        window: From and to, (from, to].
        measured: What it holds.
    """

    groups: int
    key: Key
    window: tuple[int, int]
    measured: int


@dataclass(frozen=True, slots=True)
class SequenceMiss:
    """How close ``first`` and ``then`` rows come to a pair.

    Attributes:
        keyed: ``then`` rows whose match key some ``first`` row has, whenever that came.
        null_keys: Rows of both that have a null in ``match_on``, and so prove nothing.
        too_late_us: The shortest time from a ``first`` to a ``then`` that is too long, or None.
        too_early_us: The shortest time by which a ``first`` came after a ``then``, or None; 0 where
            they came at one moment.
    """

    firsts: int
    thens: int
    keyed: int
    null_keys: int
    too_late_us: int | None
    too_early_us: int | None


@dataclass(frozen=True, slots=True)
class AbsenceMiss:
    """What became of the rows that look for a match.

    Attributes:
        null_keys: Rows with a null in ``match_on``, which neither fire nor are matched.
        matched: Rows whose match key an ``unless`` row has.
        unmatched: Rows that would be findings, had enough been watched.
    """

    selected: int
    null_keys: int
    matched: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class PeriodicMiss:
    """The group with the most distinct times."""

    groups: int
    key: Key
    pace: Pace


Miss = ThresholdMiss | SequenceMiss | AbsenceMiss | PeriodicMiss


@dataclass(frozen=True, slots=True)
class Unwatched:
    """When one kind of telemetry was not watched as the rule needs it.

    Attributes:
        gaps: Of the run, in order.
        reasons: What sensors of that kind said that were not fully on.
    """

    telemetry: str
    gaps: tuple[tuple[int, int], ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhyNot:
    """What kept a rule from firing.

    Attributes:
        funnels: One for each selector, in the order in which the rule is read.
        nearest: What came closest; None of kinds that need one row, and where there is none.
        unwatched: By kind; one that was watched all the time has no gaps.
        lost: Events lost on the host, by cause.
    """

    funnels: tuple[Funnel, ...]
    nearest: Miss | None
    unwatched: tuple[Unwatched, ...]
    lost: dict[str, int]


def why_not(
    detection: Detection, agent_id: str, rows_by_kind: RowsByKind, ledger: Ledger
) -> WhyNot:
    """Return what kept ``detection`` from firing on a host.

    Args:
        detection: Of a rule without findings there.
        agent_id: The host.
        rows_by_kind: What was judged; rows of this host alone, in any order.
        ledger: What was watched.
    """
    return WhyNot(
        funnels=funnels(detection, rows_by_kind),
        nearest=_nearest(detection, rows_by_kind),
        unwatched=unwatched(detection, agent_id, ledger),
        lost=ledger.lost(agent_id),
    )


def funnels(detection: Detection, rows_by_kind: RowsByKind) -> tuple[Funnel, ...]:
    """Return what each condition of each selector leaves."""
    return tuple(funnel(role, part, rows_by_kind) for role, part in _roles(detection))


def unwatched(detection: Detection, agent_id: str, ledger: Ledger) -> tuple[Unwatched, ...]:
    """Return for each kind when it was not watched as the rule needs it."""
    whole = Intervals([(ledger.from_us, ledger.to_us)])
    gaps: dict[str, Intervals] = {}
    sight = Sight(detection, agent_id, ledger)
    for part, watched in zip(detection.selectors, sight.watched, strict=True):
        gaps[part.telemetry] = gaps.get(part.telemetry, Intervals()) | (whole - watched)
    return tuple(
        Unwatched(kind, tuple(missing), tuple(ledger.off_reasons(agent_id, kind)))
        for kind, missing in gaps.items()
    )


def _roles(detection: Detection) -> list[tuple[str, Selector]]:
    match detection:
        case AbsenceDetection():
            return [("select", detection.select), ("unless", detection.unless)]
        case SequenceDetection():
            return [("first", detection.first), ("then", detection.then)]
    return [("select", detection.select)]


def _nearest(detection: Detection, rows_by_kind: RowsByKind) -> Miss | None:
    match detection:
        case EventDetection():
            return None
        case ThresholdDetection():
            return _threshold(detection, selected(detection.select, rows_by_kind))
        case AbsenceDetection():
            return _absence(detection, rows_by_kind)
        case SequenceDetection():
            return _sequence(detection, rows_by_kind)
    return _periodic(detection, selected(detection.select, rows_by_kind))


def _threshold(detection: ThresholdDetection, rows: Sequence[Row]) -> ThresholdMiss | None:
    groups = by_group(detection, rows)
    held = (
        ThresholdMiss(len(groups), key, window.span, window.measured)
        for key, grouped in groups
        for window in windows(detection, sorted(grouped, key=_time))
    )
    return min(
        held, key=lambda miss: (-miss.measured, miss.window, canonical(miss.key)), default=None
    )


def _absence(detection: AbsenceDetection, rows_by_kind: RowsByKind) -> AbsenceMiss:
    rows = selected(detection.select, rows_by_kind)
    nulls = sum(match_key(detection, row) is None for row in rows)
    alone = len(unmatched(detection, rows_by_kind))
    return AbsenceMiss(len(rows), nulls, len(rows) - nulls - alone, alone)


def _sequence(detection: SequenceDetection, rows_by_kind: RowsByKind) -> SequenceMiss:
    firsts = selected(detection.first, rows_by_kind)
    thens = selected(detection.then, rows_by_kind)
    times: dict[Values, list[int]] = defaultdict(list)
    for row in sorted(firsts, key=_time):
        if (key := match_key(detection, row)) is not None:
            times[key].append(row["ts_us"])
    too_late: list[int] = []
    too_early: list[int] = []
    keyed = 0
    itself = {id(row) for row in firsts}
    for row in thens:
        before = times.get(match_key(detection, row) or ())
        if before is None:
            continue
        keyed += 1
        place = bisect_left(before, row["ts_us"])
        too_late += [row["ts_us"] - earlier for earlier in before[:place][-1:]]
        place += id(row) in itself  # a row that is both does not follow itself
        too_early += [later - row["ts_us"] for later in before[place : place + 1]]
    return SequenceMiss(
        firsts=len(firsts),
        thens=len(thens),
        keyed=keyed,
        null_keys=sum(match_key(detection, row) is None for row in (*firsts, *thens)),
        too_late_us=min(too_late, default=None),
        too_early_us=min(too_early, default=None),
    )


def _periodic(detection: PeriodicDetection, rows: Sequence[Row]) -> PeriodicMiss | None:
    groups = by_group(detection, rows)
    paces = (
        PeriodicMiss(len(groups), key, pace_of(detection, map(_time, grouped)))
        for key, grouped in groups
    )
    return min(paces, key=lambda miss: (-miss.pace.times, canonical(miss.key)), default=None)


def _time(row: Row) -> int:
    return int(row["ts_us"])
