"""The tables that migration 0002 makes, as they were when it was written; never changed since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def create_tables() -> None:
    """Make every table and index."""
    _create_agents()
    _create_outbox()
    _create_resource_groups()
    _create_routes()
    _create_settings()
    _create_targets()
    _create_templates()
    _create_exclusions_previews()
    _create_runs()
    _create_subscriptions()
    _create_exclusions()
    _create_finding_counts()
    _create_findings()
    _create_results()
    _create_run_agents()
    _create_finding_attributes()


def _create_agents() -> None:
    op.create_table(
        "agents",
        sa.Column("agent_id", _text(128), nullable=False),
        sa.Column("boot_id", sa.String(length=256), nullable=False),
        sa.Column("hostname", sa.String(length=256), nullable=False),
        sa.Column("version", sa.String(length=256), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("is_online", sa.Integer(), nullable=False),
        sa.Column("is_collecting", sa.Integer(), nullable=False),
        sa.Column("is_throttled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_seen_us", sa.BigInteger(), nullable=False),
        sa.Column("clock_offset_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id"),
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _text(64), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("template_arn", _text(300), nullable=False),
        sa.Column("target_arn", _text(300), nullable=False),
        sa.Column("run_arn", _text(300), nullable=False),
        sa.Column("finding_arn", _text(300), nullable=False),
        sa.Column("topic_arn", _text(300), nullable=False),
        sa.Column("route", _text(140), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_us", sa.BigInteger(), nullable=True),
        sa.Column("delivered_us", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_by_run", "outbox", ["run_arn", "seq"])
    op.create_index("outbox_due", "outbox", ["next_attempt_us"])


def _create_resource_groups() -> None:
    op.create_table(
        "resource_groups",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("arn", _text(300), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("arn"),
        sqlite_autoincrement=True,
    )


def _create_routes() -> None:
    op.create_table(
        "routes",
        sa.Column("name", _text(140), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("template_arn", _text(300), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_settings() -> None:
    op.create_table(
        "settings",
        sa.Column("name", _text(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_targets() -> None:
    op.create_table(
        "targets",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("arn", _text(300), nullable=False),
        sa.Column("name", _text(140), nullable=False),
        sa.Column("resource_group_arn", _text(300), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("arn"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )


def _create_templates() -> None:
    op.create_table(
        "templates",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("arn", _text(300), nullable=False),
        sa.Column("target_arn", _text(300), nullable=False),
        sa.Column("name", _text(140), nullable=False),
        sa.Column("duration_s", sa.Integer(), nullable=False),
        sa.Column("packages", sa.Text(), nullable=False),
        sa.Column("user_attributes", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["target_arn"], ["targets.arn"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("arn"),
        sa.UniqueConstraint("target_arn", "name", name="templates_by_name"),
        sqlite_autoincrement=True,
    )


def _create_exclusions_previews() -> None:
    op.create_table(
        "exclusions_previews",
        sa.Column("token", _text(36), nullable=False),
        sa.Column("template_arn", _text(300), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("exclusions", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["template_arn"], ["templates.arn"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token"),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", _text(16), nullable=False),
        sa.Column("arn", _text(300), nullable=True),
        sa.Column("template_arn", _text(300), nullable=True),
        sa.Column("target_arn", _text(300), nullable=True),
        sa.Column("name", _text(140), nullable=False),
        sa.Column("duration_s", sa.Integer(), nullable=False),
        sa.Column("packages", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=True),
        sa.Column("to_us", sa.BigInteger(), nullable=True),
        sa.Column("started_us", sa.BigInteger(), nullable=True),
        sa.Column("completed_us", sa.BigInteger(), nullable=True),
        sa.Column("state_changed_us", sa.BigInteger(), nullable=False),
        sa.Column("agents", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("user_attributes", sa.Text(), nullable=False),
        sa.Column("stop", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["template_arn"], ["templates.arn"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("arn"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_runs_created_us"), "runs", ["created_us"])
    op.create_index(op.f("ix_runs_state"), "runs", ["state"])
    op.create_index("runs_by_template", "runs", ["template_arn", "seq"])


def _create_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("template_arn", _text(300), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("topic_arn", _text(300), nullable=False),
        sa.Column("subscribed_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["template_arn"], ["templates.arn"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("template_arn", "event", "topic_arn", name="subscriptions_by_topic"),
        sqlite_autoincrement=True,
    )


def _create_exclusions() -> None:
    op.create_table(
        "exclusions",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("run_arn", _text(300), nullable=False),
        sa.Column("id", _text(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_arn"], ["runs.arn"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("run_arn", "id", name="exclusions_by_id"),
        sqlite_autoincrement=True,
    )


def _create_finding_counts() -> None:
    op.create_table(
        "finding_counts",
        sa.Column("run_id", _text(16), nullable=False),
        sa.Column("package", _text(64), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("run_id", "package", "severity", name="finding_counts_by_run"),
    )


def _create_findings() -> None:
    op.create_table(
        "findings",
        sa.Column("seq", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("run_id", _text(16), nullable=False),
        sa.Column("id", _text(16), nullable=False),
        sa.Column("package", _text(64), nullable=False),
        sa.Column("rule", _text(64), nullable=False),
        sa.Column("agent_id", _text(128), nullable=False),
        sa.Column("auto_scaling_group", _text(256), nullable=False),
        sa.Column("severity", _text(16), nullable=False),
        sa.Column("numeric_severity", sa.Integer(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("updated_us", sa.BigInteger(), nullable=False),
        sa.Column("occurrence_id", sa.String(length=64), nullable=False),
        sa.Column("issue_id", _text(64), nullable=False),
        sa.Column("user_attributes", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("run_id", "id", name="findings_by_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "findings_by_agent",
        "findings",
        ["agent_id", "created_us", "seq"],
        unique=False,
    )
    op.create_index(
        "findings_by_group",
        "findings",
        ["auto_scaling_group", "created_us", "seq"],
        unique=False,
    )
    op.create_index(
        "findings_by_package",
        "findings",
        ["package", "created_us", "seq"],
        unique=False,
    )
    op.create_index("findings_by_rule", "findings", ["rule", "created_us", "seq"])
    op.create_index("findings_by_run", "findings", ["run_id", "created_us", "seq"])
    op.create_index(
        "findings_by_severity",
        "findings",
        ["severity", "created_us", "seq"],
        unique=False,
    )
    op.create_index("findings_by_time", "findings", ["created_us", "seq"])
    op.create_index(op.f("ix_findings_issue_id"), "findings", ["issue_id"])


def _create_results() -> None:
    op.create_table(
        "results",
        sa.Column("run_id", _text(16), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id"),
    )


def _create_run_agents() -> None:
    op.create_table(
        "run_agents",
        sa.Column("run_arn", _text(300), nullable=False),
        sa.Column("agent_id", _text(128), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("is_assessed", sa.Integer(), nullable=False),
        sa.Column("hostname", sa.String(length=256), nullable=False),
        sa.Column("auto_scaling_group", _text(256), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("telemetry", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_arn"], ["runs.arn"], ondelete="CASCADE"),
        sa.UniqueConstraint("run_arn", "agent_id", name="run_agents_by_id"),
    )


def _create_finding_attributes() -> None:
    op.create_table(
        "finding_attributes",
        sa.Column("finding_seq", _NUMBER, nullable=False),
        sa.Column("is_user", sa.Integer(), nullable=False),
        sa.Column("key", _text(128), nullable=False),
        sa.Column("value", _text(256), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["finding_seq"], ["findings.seq"], ondelete="CASCADE"),
    )
    op.create_index(
        "finding_attributes_by_value",
        "finding_attributes",
        ["key", "value", "is_user", "created_us", "finding_seq"],
        unique=False,
    )
    op.create_index(
        op.f("ix_finding_attributes_finding_seq"),
        "finding_attributes",
        ["finding_seq"],
        unique=False,
    )
