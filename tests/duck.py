"""DuckDB over rows of tests: what a rule's SQL makes of them, and what the reference does."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from analyzer.sql import compile_rule
from analyzer.telemetry.arrow import arrow_table, schema_of
from analyzer.telemetry.columns import row_columns
from analyzer.telemetry.dictionary import Dictionary
from rules.format import Rule
from rules.outcome import Group, Outcome
from rules.reference import group_rows, judge
from rules.telemetry.batch import Row
from rules.telemetry.kinds import KINDS
from rules.telemetry.ledger import Ledger

Found = dict[str, list[tuple[Any, ...]]]
"""Host → its groups: key, count, first and last time, window from and to, measured; sorted."""


_EMPTY = {kind: schema_of(kind).empty_table() for kind in KINDS}
_content: dict[str, pa.Table] = {}


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """Return the one connection of the test session."""
    return duckdb.connect(config={"threads": 1})


def load(rows: Sequence[Row]) -> None:
    """Make rows the content of the views, one per telemetry kind."""
    for kind, table in tables_of(rows).items():
        if _content.get(kind) is not table:  # most are empty, and stay so
            connection().register(kind, table)
            _content[kind] = table


def tables_of(rows: Sequence[Row]) -> dict[str, pa.Table]:
    """Return rows of any host as tables, one per telemetry kind; of most kinds an empty one."""
    parts: dict[str, list[pa.Table]] = defaultdict(list)
    dictionary = Dictionary()
    for agent_id, by_kind in group_rows(rows).items():
        own = [row for rows_of_kind in by_kind.values() for row in rows_of_kind]
        for kind, columns in row_columns(own, dictionary).items():
            parts[kind].append(arrow_table(columns, agent_id))
    return _EMPTY | {kind: pa.concat_tables(tables) for kind, tables in parts.items()}


def by_sql(rule: Rule, *, folder: str | None = None) -> Found:
    """Return what the statement of a rule finds."""
    found: Found = {}
    statement = compile_rule(rule, folder)
    for agent_id, *values in connection().execute(statement).fetchall():
        found.setdefault(agent_id, []).append(tuple(values))
    return _sorted(found)


def by_reference(rule: Rule, rows: Iterable[Row]) -> Found:
    """Return what the reference finds, where everything was watched."""
    ledger = Ledger(-(2**63), 2**63)
    hosts = group_rows(rows)
    for agent_id in hosts:
        ledger.add_host(agent_id)
    outcomes = (
        judge(rule, agent_id, by_kind, ledger, max_groups=None)
        for agent_id, by_kind in hosts.items()
    )
    return found_of(rule, outcomes)


def found_of(rule: Rule, outcomes: Iterable[Outcome]) -> Found:
    """Return what SQL should find where a rule comes to these outcomes."""
    found = {
        outcome.agent_id: [_values(rule, group) for group in outcome.groups]
        for outcome in outcomes
        if outcome.groups
    }
    return _sorted(found)


def _values(rule: Rule, group: Group) -> tuple[Any, ...]:
    key = (group.key[name] for name in rule.group_by)
    times = (group.first_seen_us, group.last_seen_us, *group.window)
    return (*key, group.count, *times, group.measured)


def _sorted(found: Found) -> Found:
    return {agent_id: sorted(groups, key=repr) for agent_id, groups in found.items()}
