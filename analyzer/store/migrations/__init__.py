"""Migrations: how the tables of older releases become today's, by Alembic.

In: a connection within its transaction. Out: the tables of the newest migration, and the rows that
were there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection


def upgrade(connection: Connection, *, from_version: str | None) -> None:
    """Run every migration that is missing.

    Args:
        connection: In a transaction that writes; nothing is committed here.
        from_version: What the tables are; None = there are none.
    """
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent))

    def steps(current: Any, _context: MigrationContext) -> Any:  # noqa: ANN401 (Alembic's own)
        return scripts._upgrade_revs("head", current)  # noqa: SLF001 (what its command does)

    context = MigrationContext.configure(connection, opts={"fn": steps})
    if from_version is not None:
        context.stamp(scripts, from_version)
    with Operations.context(context):
        context.run_migrations()
