"""SQL: each rule as one statement that counts its firing groups.

In: a rule and the few words in which engines differ. Out: SQL that DuckDB, DataFusion, ClickHouse
and SQLite run over one table per kind.

A threshold first looks for groups with a pane of time that holds more than half of what is too
much, since a sliding window lies in two panes; only their rows are sorted and windowed exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rules.detection import (
    AbsenceDetection,
    EventDetection,
    SequenceDetection,
    ThresholdDetection,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rules.format import Rule
    from rules.selector import Condition, Conditions, Selector


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine spells what is not standard."""

    starts_with: str = "starts_with({column}, {part})"
    ends_with: str = "ends_with({column}, {part})"
    whole: str = "{left} // {right}"
    """Division of whole numbers."""


_COMPARISONS: Final = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class Compiler:
    """Writes SQL in one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        """Write for the engine that speaks ``dialect``."""
        self._dialect = dialect

    def statement(self, rule: Rule) -> str:
        """Return the statement that counts the groups of a rule.

        Raises:
            TypeError: The rule is periodic.
        """
        match rule.detection:
            case EventDetection() as detection:
                return _counted(self._event(detection))
            case ThresholdDetection() as detection:
                return _counted(self._threshold(detection))
            case AbsenceDetection() as detection:
                return _counted(self._absence(detection))
            case SequenceDetection() as detection:
                return _counted(self._sequence(detection))
        raise TypeError(rule.id)

    def where(self, selector: Selector) -> str:
        """Return a selector as a condition that is true, false or null."""
        parts = [self._all(selector.where)] if selector.where else []
        if selector.any_of:
            parts.append(_joined(" OR ", map(self._all, selector.any_of)))
        parts += [f"NOT COALESCE({self._all(group)}, FALSE)" for group in selector.none_of]
        return " AND ".join(parts) or "TRUE"

    def _all(self, conditions: Conditions) -> str:
        return _joined(" AND ", map(self._condition, conditions))

    def _condition(self, condition: Condition) -> str:
        column, value = _name(condition.column), condition.value
        match condition.operator:
            case "in":
                return f"{column} IN ({_literals(value)})"
            case "not_in":
                return f"{column} NOT IN ({_literals(value)})"
            case "is_null":
                return f"{column} IS {'' if value else 'NOT '}NULL"
            case "starts_with":
                return self._dialect.starts_with.format(column=column, part=_literal(value))
            case "ends_with":
                return self._dialect.ends_with.format(column=column, part=_literal(value))
        return f"{column} {_COMPARISONS[condition.operator]} {_literal(value)}"

    def _event(self, detection: EventDetection) -> str:
        keys, table = _keys(detection.group_by), detection.select.telemetry
        return f"SELECT DISTINCT {keys} FROM {table} WHERE {self.where(detection.select)}"

    def _threshold(self, detection: ThresholdDetection) -> str:
        names = ["agent_id", *detection.group_by]
        keys = _keys(detection.group_by)
        busy = ", ".join(f"{_name(name)} AS b{place}" for place, name in enumerate(names))
        same = " AND ".join(
            f"(e.{_name(name)} IS NOT DISTINCT FROM b.b{place})" for place, name in enumerate(names)
        )
        measured, limit, column = _measure(detection)
        pane = self._dialect.whole.format(left="ts_us", right=detection.within_us)
        source = f"{detection.select.telemetry} WHERE {self.where(detection.select)}"
        kept = keys if column is None else f"{keys}, {_name(column)} AS measured"
        rows = (
            f"SELECT e.* FROM (SELECT {kept}, ts_us FROM {source}) e JOIN "
            f"(SELECT DISTINCT {busy} FROM (SELECT {keys}, {pane} AS pane FROM {source} "
            f"GROUP BY {keys}, {pane} HAVING {measured} > {limit // 2}) p) b ON {same}"
        )
        if detection.sum is not None:
            rows = _entering_and_leaving(rows, keys, detection.within_us)
        return (
            f"SELECT DISTINCT {keys} FROM "
            f"(SELECT {keys}, {_crossing(detection)} AS crossing FROM ({rows}) w) x WHERE crossing"
        )

    def _absence(self, detection: AbsenceDetection) -> str:
        names = ["agent_id", *detection.match_on]
        keys = _keys(detection.group_by)
        kept = _keys((*detection.group_by, *detection.match_on))
        used = ", ".join(f"{_name(name)} AS u{place}" for place, name in enumerate(names))
        same = " AND ".join(f"s.{_name(name)} = u.u{place}" for place, name in enumerate(names))
        known = " AND ".join(f"{_name(name)} IS NOT NULL" for name in detection.match_on)
        return (
            f"SELECT DISTINCT {keys} FROM (SELECT {kept} FROM {detection.select.telemetry} "
            f"WHERE {self.where(detection.select)} AND {known}) s LEFT JOIN "
            f"(SELECT DISTINCT {used} FROM {detection.unless.telemetry} "
            f"WHERE {self.where(detection.unless)}) u ON {same} WHERE u.u0 IS NULL"
        )

    def _sequence(self, detection: SequenceDetection) -> str:
        names = ["agent_id", *detection.match_on]
        kept = _keys((*detection.group_by, *detection.match_on))
        firsts = ", ".join(f"{_name(name)} AS f{place}" for place, name in enumerate(names))
        same = " AND ".join(f"t.{_name(name)} = f.f{place}" for place, name in enumerate(names))
        return (
            f"SELECT DISTINCT {_keys(detection.group_by, of='t.')} FROM (SELECT {kept}, ts_us FROM "
            f"{detection.then.telemetry} WHERE {self.where(detection.then)}) t JOIN "
            f"(SELECT {firsts}, ts_us AS first_us FROM {detection.first.telemetry} WHERE "
            f"{self.where(detection.first)}) f ON {same} WHERE t.ts_us > f.first_us "
            f"AND t.ts_us <= f.first_us + {detection.within_us}"
        )


def _counted(groups: str) -> str:
    return f"SELECT count(*) FROM ({groups}) g"


def _measure(detection: ThresholdDetection) -> tuple[str, int, str | None]:
    """Return what a pane adds up to at least, the limit, and the measured column."""
    if detection.sum is not None:
        column = _name(detection.sum.column)
        return f"SUM(CASE WHEN {column} > 0 THEN {column} ELSE 0 END)", *_limit(detection)
    return "COUNT(*)", *_limit(detection)


def _limit(detection: ThresholdDetection) -> tuple[int, str | None]:
    if detection.count is not None:
        return detection.count.gt, None
    measure = detection.sum or detection.distinct
    if measure is None:
        raise TypeError(detection)
    return measure.gt, measure.column


def _crossing(detection: ThresholdDetection) -> str:
    """Return whether the window that ends with a row crosses."""
    by = f"PARTITION BY {_keys(detection.group_by)} ORDER BY ts_us"
    limit, _ = _limit(detection)
    if detection.count is not None:
        # The row `limit` places before is still inside. 0 is what ClickHouse has for none.
        before = f"LAG(ts_us, {limit}) OVER ({by})"
        return f"ts_us - {before} < {detection.within_us} AND {before} > 0"
    if detection.sum is not None:
        return f"enters AND SUM(measured) OVER ({by}) > {limit}"
    frame = f"RANGE BETWEEN {detection.within_us - 1} PRECEDING AND CURRENT ROW"
    return f"COUNT(DISTINCT measured) OVER ({by} {frame}) > {limit}"


def _entering_and_leaving(rows: str, keys: str, within_us: int) -> str:
    """Return rows twice, so that a running sum is the sum of the window.

    Each enters with its value and leaves with the opposite when the window has gone past it.
    """
    return (
        f"SELECT {keys}, ts_us, measured, TRUE AS enters FROM ({rows}) i UNION ALL "
        f"SELECT {keys}, ts_us + {within_us} AS ts_us, -measured AS measured, FALSE AS enters "
        f"FROM ({rows}) o"
    )


def _keys(group_by: Sequence[str], *, of: str = "") -> str:
    return ", ".join(f"{of}{_name(name)}" for name in dict.fromkeys(("agent_id", *group_by)))


def _joined(word: str, parts: Iterable[str]) -> str:
    return f"({word.join(parts)})"


def _name(column: str) -> str:
    return f'"{column}"'


def _literals(values: Any) -> str:  # noqa: ANN401 (a tuple of values)
    return ", ".join(map(_literal, values))


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)
