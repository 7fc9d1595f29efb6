"""What agents say of their hosts: operating system, kernel, network interfaces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for column in (
        sa.Column("os_name", sa.String(256), nullable=False, server_default=""),
        sa.Column("kernel_release", sa.String(256), nullable=False, server_default=""),
        sa.Column("interfaces", sa.Text, nullable=False, server_default="[]"),
    ):
        op.add_column("agents", column)
