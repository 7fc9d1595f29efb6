"""DataFusion: columnar SQL in the process, one partition, tables in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow.parquet as pq

from benchmarks.peers.peer import ALL_KINDS, Counts, PeerData, needed_columns
from benchmarks.peers.sql import Compiler, Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.format import Rule


class DataFusion:
    """One statement per rule."""

    name: ClassVar[str] = "DataFusion"
    package: ClassVar[str | None] = "datafusion"
    kinds: ClassVar[frozenset[str]] = ALL_KINDS
    sample_events: ClassVar[int | None] = None

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Write the SQL."""
        compiler = Compiler(Dialect(whole="{left} / {right}"))
        self._columns = needed_columns(rules)
        self._statements = {rule.id: compiler.statement(rule) for rule in rules}

    def load(self, data: PeerData) -> None:
        """Read the columns that rules name into record batches of memory."""
        import datafusion

        config = datafusion.SessionConfig().with_target_partitions(1)
        self._engine: Any = datafusion.SessionContext(config)
        folder = data.parquet
        for kind, columns in self._columns.items():
            table = pq.read_table(folder / f"{kind}.parquet", columns=columns)
            self._engine.register_record_batches(kind, [table.to_batches()])

    def run(self) -> Counts:
        """Run every statement."""
        return {
            rule_id: self._engine.sql(statement).collect()[0].column(0)[0].as_py()
            for rule_id, statement in self._statements.items()
        }
