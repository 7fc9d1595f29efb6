"""chDB: ClickHouse in the process, one thread, tables in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.peers.peer import ALL_KINDS, Counts, PeerData, needed_columns
from benchmarks.peers.sql import Compiler, Dialect
from rules.telemetry.kinds import KINDS, ColumnType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.format import Rule

_SETTINGS = "SETTINGS max_threads = 1, join_use_nulls = 1"
_DIALECT = Dialect(
    starts_with="startsWith({column}, {part})",
    ends_with="endsWith({column}, {part})",
    whole="intDiv({left}, {right})",
)
_NUMBERS = {
    ColumnType.BOOLEAN: "Nullable(Bool)",
    ColumnType.INTEGER: "Nullable(Int64)",
    ColumnType.PORT: "Nullable(Int32)",
}


class ChDb:
    """One statement per rule; texts are of low cardinality, as ClickHouse recommends."""

    name: ClassVar[str] = "chDB"
    package: ClassVar[str | None] = "chdb"
    kinds: ClassVar[frozenset[str]] = ALL_KINDS
    sample_events: ClassVar[int | None] = None

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Write the SQL."""
        compiler = Compiler(_DIALECT)
        self._columns = needed_columns(rules)
        self._statements = {rule.id: f"{compiler.statement(rule)} {_SETTINGS}" for rule in rules}

    def load(self, data: PeerData) -> None:
        """Read the columns that rules name into tables of the engine."""
        from chdb import session

        self._engine: Any = session.Session()
        folder = data.parquet
        for kind, columns in self._columns.items():
            types = ", ".join(f'"{column}" {_type(kind, column)}' for column in columns)
            self._engine.query(f"CREATE TABLE {kind} ({types}) ENGINE = Memory")
            names = ", ".join(f'"{column}"' for column in columns)
            source = f"file('{folder / f'{kind}.parquet'}', 'Parquet')"
            self._engine.query(
                f"INSERT INTO {kind} SELECT {names} FROM {source} SETTINGS max_threads = 1"
            )

    def run(self) -> Counts:
        """Run every statement."""
        return {
            rule_id: int(str(self._engine.query(statement, "CSV")))
            for rule_id, statement in self._statements.items()
        }


def _type(kind: str, column: str) -> str:
    if column == "ts_us":
        return "Int64"
    if column == "agent_id":
        return "LowCardinality(String)"
    return _NUMBERS.get(KINDS[kind].columns[column].type, "LowCardinality(Nullable(String))")
