"""The tables of the store, and how their rows become values.

Times are integer microseconds, maps and lists are JSON text. Rows of findings repeat what the
result document of a run says, so that they can be listed and filtered without reading it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()
SCHEMA_VERSION = 1

versions = Table("schema_version", METADATA, Column("version", Integer, primary_key=True))

agents = Table(
    "agents",
    METADATA,
    Column("agent_id", String(128), primary_key=True),
    Column("boot_id", String(64), nullable=False),
    Column("hostname", String(256), nullable=False),
    Column("version", String(64), nullable=False),
    Column("tags", Text, nullable=False),
    Column("is_online", Integer, nullable=False),
    Column("is_collecting", Integer, nullable=False),
    Column("last_seen_us", BigInteger, nullable=False),
    Column("clock_offset_us", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(140), nullable=False),
    Column("duration_s", Integer, nullable=False),
    Column("packages", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False, index=True),
    Column("state", String(40), nullable=False, index=True),
    Column("from_us", BigInteger),
    Column("to_us", BigInteger),
    Column("agents", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("progress", Text, nullable=False),
    # Asked for by whoever stops a run; the run clock never writes it, so no request is lost.
    Column("stop", String(20), nullable=False),
)

results = Table(
    "results",
    METADATA,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

findings = Table(
    "findings",
    METADATA,
    Column("occurrence_id", String(64), primary_key=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("issue_id", String(64), nullable=False, index=True),
    Column("rule", String(64), nullable=False),
    Column("agent_id", String(128), nullable=False, index=True),
    Column("numeric_severity", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index("findings_by_run", "run_id", "numeric_severity", "occurrence_id"),
)
