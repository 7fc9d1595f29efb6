"""SQLite, one SELECT per rule over a table in memory: what Zircolite does with Sigma rules."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, ClassVar

from benchmarks.peers.peer import STATELESS, Counts, PeerData, needed_columns
from benchmarks.peers.sql import Compiler, Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.format import Rule

_DIALECT = Dialect(
    starts_with="substr({column}, 1, length({part})) = {part}",
    ends_with="substr({column}, -length({part})) = {part}",
)


class Sqlite:
    """One statement per rule, no index."""

    name: ClassVar[str] = "SQLite, one SELECT per rule (as Zircolite)"
    package: ClassVar[str | None] = None
    kinds: ClassVar[frozenset[str]] = STATELESS
    sample_events: ClassVar[int | None] = 1_000_000

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Write the SQL."""
        compiler = Compiler(_DIALECT)
        self._columns = needed_columns(rules)
        self._statements = {rule.id: compiler.statement(rule) for rule in rules}

    def load(self, data: PeerData) -> None:
        """Insert rows."""
        self._engine = sqlite3.connect(":memory:")
        for kind, columns in self._columns.items():
            names = ", ".join(f'"{column}"' for column in columns)
            self._engine.execute(f"CREATE TABLE {kind} ({names})")
        for row in data.rows():
            own = self._columns.get(row["telemetry"])
            if own is not None:
                marks = ", ".join("?" * len(own))
                self._engine.execute(
                    f"INSERT INTO {row['telemetry']} VALUES ({marks})", [*map(row.get, own)]
                )

    def run(self) -> Counts:
        """Run every statement."""
        return {
            rule_id: self._engine.execute(statement).fetchone()[0]
            for rule_id, statement in self._statements.items()
        }
