"""Indexes of findings that hold what other members of a filter ask for."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_PLACE = ("created_us", "seq")
_HOST = ("agent_id", "auto_scaling_group")
_INDEXES = {
    "findings_by_agent": ("agent_id", *_PLACE, "severity", "package"),
    "findings_by_rule": ("rule", *_PLACE, *_HOST, "severity", "package", "run_id"),
    "findings_by_group": ("auto_scaling_group", *_PLACE, "agent_id", "severity", "package"),
    "findings_by_severity": ("severity", *_PLACE, *_HOST, "run_id"),
    "findings_by_package": ("package", "severity", *_PLACE, *_HOST, "run_id"),
}


def upgrade() -> None:
    """Put wider indexes in the place of those of the same names."""
    for name, columns in _INDEXES.items():
        op.drop_index(name, table_name="findings")
        op.create_index(name, "findings", list(columns))
