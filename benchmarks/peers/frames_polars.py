"""Polars: data frames in memory, one thread, every rule one lazy query, collected together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final

from benchmarks.peers.peer import ALL_KINDS, Counts, PeerData, needed_columns
from rules.detection import (
    AbsenceDetection,
    EventDetection,
    SequenceDetection,
    ThresholdDetection,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.format import Rule
    from rules.selector import Condition, Conditions, Selector

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # read when polars is imported
_AGENT: Final = "agent_id"
_TIME: Final = "ts_us"


class Polars:
    """One lazy query per rule; the engine may share their common parts."""

    name: ClassVar[str] = "Polars"
    package: ClassVar[str | None] = "polars"
    kinds: ClassVar[frozenset[str]] = ALL_KINDS
    sample_events: ClassVar[int | None] = None

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Remember the rules: queries are built on frames."""
        self._rules = rules
        self._columns = needed_columns(rules)

    def load(self, data: PeerData) -> None:
        """Read the columns that rules name into frames."""
        import polars as pl

        folder = data.parquet
        self._frames: dict[str, Any] = {
            kind: pl.read_parquet(folder / f"{kind}.parquet", columns=columns)
            for kind, columns in self._columns.items()
        }

    def run(self) -> Counts:
        """Build and collect all queries."""
        import polars as pl

        lazy = {kind: frame.lazy() for kind, frame in self._frames.items()}
        queries = [_groups(rule, lazy).select(pl.len()) for rule in self._rules]
        collected = pl.collect_all(queries)
        return {
            rule.id: int(frame.item()) for rule, frame in zip(self._rules, collected, strict=True)
        }


def _groups(rule: Rule, frames: dict[str, Any]) -> Any:  # noqa: ANN401 (a lazy frame)
    """Return the query for the groups of a rule that fire."""
    detection = rule.detection
    keys = list(dict.fromkeys((_AGENT, *detection.group_by)))
    match detection:
        case EventDetection():
            return _selected(frames, detection.select).select(keys).unique()
        case ThresholdDetection():
            return _threshold(_selected(frames, detection.select), keys, detection)
        case AbsenceDetection():
            on = [_AGENT, *detection.match_on]
            used = _selected(frames, detection.unless).select(on)
            kept = _selected(frames, detection.select).drop_nulls(list(detection.match_on))
            return kept.join(used, on=on, how="anti").select(keys).unique()
        case SequenceDetection():
            return _sequence(frames, keys, detection)
    raise TypeError(rule.id)


def _threshold(rows: Any, keys: list[str], detection: ThresholdDetection) -> Any:  # noqa: ANN401
    """Keep groups with a busy pane, then slide the window over their rows."""
    import polars as pl

    within = detection.within_us
    if detection.count is not None:
        limit, amount = detection.count.gt, pl.len()
    elif detection.sum is not None:
        limit, amount = detection.sum.gt, pl.col(detection.sum.column).clip(0).sum()
    else:
        limit, amount = _distinct(detection)[1], pl.len()
    panes = rows.group_by([*keys, pl.col(_TIME) // within]).agg(amount.alias("amount"))
    busy = panes.filter(pl.col("amount") > limit // 2).select(keys).unique()
    kept = rows.join(busy, on=keys, how="semi", nulls_equal=True).sort([*keys, _TIME])
    if detection.count is not None:
        before = pl.col(_TIME).shift(limit).over(keys, mapping_strategy="group_to_rows")
        return kept.filter(pl.col(_TIME) - before < within).select(keys).unique()
    if detection.sum is not None:
        value = pl.col(detection.sum.column).sum()
    else:
        value = pl.col(_distinct(detection)[0]).drop_nulls().n_unique()
    sliding = kept.rolling(_TIME, period=f"{within}i", closed="right", group_by=keys)
    return sliding.agg(value.alias("value")).filter(pl.col("value") > limit).select(keys).unique()


def _distinct(detection: ThresholdDetection) -> tuple[str, int]:
    if detection.distinct is None:
        raise TypeError(detection)
    return detection.distinct.column, detection.distinct.gt


def _sequence(frames: dict[str, Any], keys: list[str], detection: SequenceDetection) -> Any:  # noqa: ANN401
    import polars as pl

    on = [_AGENT, *detection.match_on]
    first = _selected(frames, detection.first).select([*on, pl.col(_TIME).alias("first_us")])
    then = _selected(frames, detection.then)
    late = pl.col(_TIME) - pl.col("first_us")
    pairs = then.join(first, on=on, how="inner")
    return pairs.filter((late > 0) & (late <= detection.within_us)).select(keys).unique()


def _selected(frames: dict[str, Any], selector: Selector) -> Any:  # noqa: ANN401
    import polars as pl

    wanted = _all(selector.where)
    if selector.any_of:
        wanted = wanted & pl.any_horizontal([_all(group) for group in selector.any_of])
    for group in selector.none_of:
        wanted = wanted & ~_all(group).fill_null(value=False)
    return frames[selector.telemetry].filter(wanted)


def _all(conditions: Conditions) -> Any:  # noqa: ANN401 (an expression)
    import polars as pl

    parts = [_condition(condition) for condition in conditions]
    return pl.all_horizontal(parts) if parts else pl.lit(value=True)


def _condition(condition: Condition) -> Any:  # noqa: ANN401
    import polars as pl

    column, value = pl.col(condition.column), condition.value
    match condition.operator:
        case "in":
            return column.is_in(value)
        case "not_in":
            return ~column.is_in(value)
        case "is_null":
            return column.is_null() if value else column.is_not_null()
        case "starts_with":
            return column.str.starts_with(value)
        case "ends_with":
            return column.str.ends_with(value)
    return getattr(column, condition.operator)(value)
