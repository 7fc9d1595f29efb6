"""Compile: a rule as one DuckDB statement over views or Parquet files, one per telemetry kind.

In: a rule. Out: a statement that returns a row for every host and group that fires: ``agent_id``,
the columns of ``group_by``, ``count``, ``first_seen_us``, ``last_seen_us``, ``window_from_us``,
``window_to_us`` and ``measured``, as ``rules.outcome.Group`` defines them. What was watched, and
how many groups are reported, is no question of rows and not asked here.

Where times are subtracted they are HUGEINT: a difference of 64-bit numbers may need 65 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analyzer.sql.conditions import where
from analyzer.sql.words import comment, indented, name, names, table
from rules.detection import (
    AbsenceDetection,
    EventDetection,
    SequenceDetection,
    ThresholdDetection,
)
from rules.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.detection import Detection, PeriodicDetection
    from rules.format import Rule
    from rules.selector import Selector

_PPM: Final = 1_000_000  # shares in a rule have at most six digits, so they are whole millionths


def compile_rule(rule: Rule, folder: str | None = None) -> str:
    """Return a rule as a statement, with a semicolon and without a line break at the end.

    Args:
        rule: The rule.
        folder: Where the Parquet files are; None = the statement names views instead.
    """
    detection = rule.detection
    compiled = _compiled(detection, folder)
    keys = ("agent_id", *detection.group_by)
    columns = [
        *map(name, keys),
        f"{compiled.count} AS count",
        "min(ts_us) AS first_seen_us",
        "max(ts_us) AS last_seen_us",
        f"{compiled.window_from} AS window_from_us",
        f"{compiled.window_to} AS window_to_us",
        f"{compiled.measured} AS measured",
    ]
    return "\n".join(
        [
            comment(f"{rule.id}: {rule.title}"),
            *_with(compiled.steps),
            "SELECT",
            *_listed(columns),
            f"FROM {compiled.steps[-1].name}",
            *([f"WHERE {compiled.counts}"] if compiled.counts else []),
            f"GROUP BY {names(keys)}",
            *compiled.having,
            f"ORDER BY agent_id, first_seen_us{''.join(f', {name(key)}' for key in keys[1:])};",
        ]
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """A named query that later ones read from."""

    name: str
    lines: Sequence[str]
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    """Steps to the rows of each group, and what the groups are made of."""

    steps: Sequence[_Step]
    counts: str = ""
    """Which rows of the last step count; empty = all."""
    having: Sequence[str] = ()
    count: str = "count(*)"
    window_from: str = "min(ts_us)"
    window_to: str = "max(ts_us)"
    measured: str = "NULL::BIGINT"


def _compiled(detection: Detection, folder: str | None) -> _Compiled:
    match detection:
        case EventDetection():
            return _Compiled(steps=[_selected(detection, folder)])
        case ThresholdDetection():
            return _threshold(detection, folder)
        case AbsenceDetection():
            return _absence(detection, folder)
        case SequenceDetection():
            return _sequence(detection, folder)
    return _periodic(detection, folder)


def _threshold(detection: ThresholdDetection, folder: str | None) -> _Compiled:
    """Rows count that are inside a crossing window (t - within, t], t the time of a row."""
    measure, column, limit = _measure(detection)
    by = f"PARTITION BY {_keys(detection)} ORDER BY ts_us::HUGEINT"
    within = format_duration(detection.within_us)
    reach_us = detection.within_us - 1  # half open, and times are whole microseconds
    held = _Step(
        "measured",
        [
            "SELECT *, " + measure + " OVER (",
            f"  {by}",
            f"  RANGE BETWEEN {reach_us} PRECEDING AND CURRENT ROW",
            ") AS held",
            "FROM selected",
        ],
        f"what the window of {within} holds that ends with this row, without its first moment",
    )
    inside = _Step(
        "marked",
        [
            f"SELECT *, held > {limit} AS crosses, bool_or(held > {limit}) OVER (",
            f"  {by}",
            f"  RANGE BETWEEN CURRENT ROW AND {reach_us} FOLLOWING",
            ") AS inside",
            "FROM measured",
        ],
        "a row is inside each window that ends with it or soon after it",
    )
    return _Compiled(
        steps=[_selected(detection, folder, *column), held, inside],
        counts="inside",
        window_from=f"min(ts_us::HUGEINT) FILTER (crosses) - {detection.within_us}",
        window_to="min(ts_us) FILTER (crosses)",
        measured="arg_min(held, ts_us) FILTER (crosses)",
    )


def _measure(detection: ThresholdDetection) -> tuple[str, tuple[str, ...], int]:
    """Return an aggregate, the columns that it reads, and the number that it may not exceed."""
    if detection.distinct is not None:
        column = detection.distinct.column
        return f"count(DISTINCT {name(column)})", (column,), detection.distinct.gt
    if detection.sum is not None:
        column = detection.sum.column
        return f"sum({name(column)})", (column,), detection.sum.gt
    return "count(*)", (), 0 if detection.count is None else detection.count.gt


def _absence(detection: AbsenceDetection, folder: str | None) -> _Compiled:
    """Rows count whose match key is whole and in no ``unless`` row of the same host."""
    used = _Step(
        "used",
        [
            f"SELECT DISTINCT agent_id, {names(detection.match_on)}",
            f"FROM {table(detection.unless.telemetry, folder)}",
            *where(detection.unless),
        ],
    )
    unmatched = _Step(
        "unmatched",
        [
            "SELECT *",
            "FROM selected",
            "WHERE NOT EXISTS (",
            "  FROM used",
            f"  WHERE {_same(detection.match_on, 'used', 'selected')}",
            ")",
        ],
    )
    selected = _Step(
        "selected",
        _rows(detection.select, detection, folder, match_on=detection.match_on),
    )
    return _Compiled(steps=[selected, used, unmatched])


def _sequence(detection: SequenceDetection, folder: str | None) -> _Compiled:
    """``then`` rows count for which the closest ``first`` row before them is close enough."""
    firsts = _Step(
        "firsts",
        [
            f"SELECT agent_id, {names(detection.match_on)}, ts_us",
            f"FROM {table(detection.first.telemetry, folder)}",
            *where(detection.first, not_null=detection.match_on),
        ],
    )
    thens = _Step("thens", _rows(detection.then, detection, folder, match_on=detection.match_on))
    pairs = _Step(
        "pairs",
        [
            "SELECT thens.*, thens.ts_us::HUGEINT - firsts.ts_us AS gap_us",
            "FROM thens ASOF JOIN firsts",
            f"  ON {_same(detection.match_on, 'firsts', 'thens')}",
            "  AND firsts.ts_us < thens.ts_us",
        ],
        "each then row with the closest first row before it",
    )
    return _Compiled(
        steps=[firsts, thens, pairs],
        counts=f"gap_us <= {detection.within_us}",
        window_from="min(ts_us) - arg_min(gap_us, row(ts_us, gap_us))",
        window_to="min(ts_us)",
        measured="arg_min(gap_us, row(ts_us, gap_us))",
    )


def _periodic(detection: PeriodicDetection, folder: str | None) -> _Compiled:
    """All rows count of a group whose distinct times are enough and steady."""
    keys = _keys(detection)
    times = _Step(
        "times", [f"SELECT {keys}, ts_us, count(*) AS rows", "FROM selected", "GROUP BY ALL"]
    )
    gaps = _Step(
        "gaps",
        [
            "SELECT *, ts_us::HUGEINT - lag(ts_us) OVER (",
            f"  PARTITION BY {keys} ORDER BY ts_us",
            ") AS gap_us",
            "FROM times",
        ],
        "time since the one before; the first of a group has none",
    )
    ranked = _Step(
        "ranked",
        [
            "SELECT",
            "  *,",
            f"  row_number() OVER (PARTITION BY {keys} ORDER BY gap_us NULLS LAST) AS place,",
            f"  count(gap_us) OVER (PARTITION BY {keys}) AS gaps",
            "FROM gaps",
        ],
    )
    paced = _Step(
        "paced",
        [
            f"SELECT *, max(gap_us) FILTER (place = (gaps + 1) // 2) OVER (PARTITION BY {keys})",
            "  AS median_us",
            "FROM ranked",
        ],
        "the median; of an even number of gaps the lower middle one",
    )
    allowed = round(detection.jitter * _PPM)
    every = detection.every
    return _Compiled(
        steps=[_selected(detection, folder), times, gaps, ranked, paced],
        count="sum(rows)",
        having=[
            f"HAVING count(*) >= {detection.at_least}",
            f"  AND any_value(median_us) BETWEEN {every.min_us} AND {every.max_us}",
            "  AND 10 * count(*) FILTER (",
            f"    abs(gap_us - median_us) * {_PPM} <= median_us * {allowed}",
            "  ) >= 9 * count(gap_us)",
        ],
        measured="any_value(median_us)",
    )


def _selected(detection: Detection, folder: str | None, *columns: str) -> _Step:
    return _Step("selected", _rows(detection.selectors[0], detection, folder, columns=columns))


def _rows(
    selector: Selector,
    detection: Detection,
    folder: str | None,
    *,
    match_on: Iterable[str] = (),
    columns: Iterable[str] = (),
) -> list[str]:
    """Return the query for the rows that a selector accepts and whose match key is whole."""
    wanted = dict.fromkeys(("agent_id", *match_on, *detection.group_by, *columns, "ts_us"))
    return [
        f"SELECT {names(wanted)}",
        f"FROM {table(selector.telemetry, folder)}",
        *where(selector, not_null=match_on),
    ]


def _keys(detection: Detection) -> str:
    return names(("agent_id", *detection.group_by))


def _same(columns: Iterable[str], left: str, right: str) -> str:
    """Return the condition that two tables agree in the host and in columns; null never does."""
    both = ("agent_id", *columns)
    return " AND ".join(f"{left}.{name(item)} = {right}.{name(item)}" for item in both)


def _with(steps: Sequence[_Step]) -> list[str]:
    lines: list[str] = []
    for index, step in enumerate(steps):
        lines.append(f"{'' if index else 'WITH '}{step.name} AS (")
        lines += indented([comment(step.says), *step.lines] if step.says else step.lines)
        lines.append("),")
    lines[-1] = ")"
    return lines


def _listed(columns: Sequence[str]) -> list[str]:
    return [f"  {column}{',' if column is not columns[-1] else ''}" for column in columns]
