"""Runs, results, findings and agents: the tables of releases before Alembic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of schema version 1."""
    versions = op.create_table("schema_version", sa.Column("version", sa.Integer, primary_key=True))
    op.bulk_insert(versions, [{"version": 1}])
    op.create_table(
        "agents",
        sa.Column("agent_id", sa.String(128), primary_key=True),
        sa.Column("boot_id", sa.String(64), nullable=False),
        sa.Column("hostname", sa.String(256), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("is_online", sa.Integer, nullable=False),
        sa.Column("is_collecting", sa.Integer, nullable=False),
        sa.Column("last_seen_us", sa.BigInteger, nullable=False),
        sa.Column("clock_offset_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(140), nullable=False),
        sa.Column("duration_s", sa.Integer, nullable=False),
        sa.Column("packages", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False, index=True),
        sa.Column("state", sa.String(40), nullable=False, index=True),
        sa.Column("from_us", sa.BigInteger),
        sa.Column("to_us", sa.BigInteger),
        sa.Column("agents", sa.Text, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("stop", sa.String(20), nullable=False),
    )
    op.create_table(
        "results",
        sa.Column(
            "run_id",
            sa.String(16),
            sa.ForeignKey("runs.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "findings",
        sa.Column("occurrence_id", sa.String(64), primary_key=True),
        sa.Column(
            "run_id",
            sa.String(16),
            sa.ForeignKey("runs.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("issue_id", sa.String(64), nullable=False, index=True),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("agent_id", sa.String(128), nullable=False, index=True),
        sa.Column("numeric_severity", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Index("findings_by_run", "run_id", "numeric_severity", "occurrence_id"),
    )
