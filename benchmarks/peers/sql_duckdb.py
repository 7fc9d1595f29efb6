"""DuckDB: columnar SQL in the process, one thread, tables in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.peers.peer import ALL_KINDS, Counts, PeerData, needed_columns
from benchmarks.peers.sql import Compiler, Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.format import Rule


class DuckDb:
    """One statement per rule."""

    name: ClassVar[str] = "DuckDB"
    package: ClassVar[str | None] = "duckdb"
    kinds: ClassVar[frozenset[str]] = ALL_KINDS
    sample_events: ClassVar[int | None] = None

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Write the SQL."""
        compiler = Compiler(Dialect())
        self._columns = needed_columns(rules)
        self._statements = {rule.id: compiler.statement(rule) for rule in rules}

    def load(self, data: PeerData) -> None:
        """Read the columns that rules name into tables of the engine."""
        import duckdb

        self._engine: Any = duckdb.connect(":memory:", config={"threads": 1})
        folder = data.parquet
        for kind, columns in self._columns.items():
            names = ", ".join(f'"{column}"' for column in columns)
            file = folder / f"{kind}.parquet"
            self._engine.execute(f"CREATE TABLE {kind} AS SELECT {names} FROM '{file}'")

    def run(self) -> Counts:
        """Run every statement."""
        return {
            rule_id: self._engine.execute(statement).fetchone()[0]
            for rule_id, statement in self._statements.items()
        }
