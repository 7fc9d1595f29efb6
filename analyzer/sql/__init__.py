"""Rules as DuckDB SQL: a second opinion that shares no code with the engine.

In: a rule. Out: a statement that anyone can read, and run on telemetry in Parquet.
"""

from analyzer.sql.compile import compile_rule
from analyzer.sql.words import file_name

__all__ = ["compile_rule", "file_name"]
