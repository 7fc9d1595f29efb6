"""The store in a database, through SQLAlchemy Core: SQLite in WAL mode, or PostgreSQL.

In: values of ``analyzer.model``. Out: the same values, after any restart. Two processes may use one
database: the server writes runs, the command line adds them and asks for stops.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from analyzer.errors import StoreError
from analyzer.store.calls import StoreCalls
from analyzer.store.sql.agents import SqlAgents, SqlSettings
from analyzer.store.sql.events import SqlEvents
from analyzer.store.sql.exclusions import SqlExclusions
from analyzer.store.sql.findings import SqlFindings
from analyzer.store.sql.runs import SqlRuns
from analyzer.store.sql.schedules import SqlSchedules
from analyzer.store.sql.session import Session
from analyzer.store.sql.suppressions import SqlSuppressions
from analyzer.store.sql.targets import SqlTargets, SqlTemplates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

WRITES = "proctor_writes"
"""Execution option of connections that begin in order to write."""
_FAULTS: Final = (DBAPIError, PoolTimeoutError, OSError, UnicodeEncodeError)
_WRITER_LOCK = 0x70726F63746F72  # what writers of one PostgreSQL database wait for: "proctor"


class SqlRows:
    """What can be read and written in one transaction."""

    def __init__(self, session: Session) -> None:
        """Use a transaction."""
        self.agents = SqlAgents(session)
        self.targets = SqlTargets(session)
        self.templates = SqlTemplates(session)
        self.runs = SqlRuns(session)
        self.findings = SqlFindings(session)
        self.exclusions = SqlExclusions(session)
        self.events = SqlEvents(session)
        self.schedules = SqlSchedules(session)
        self.settings = SqlSettings(session)
        self.suppressions = SqlSuppressions(session)


class SqlStore(StoreCalls):
    """Keeps everything in one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Wrap an engine whose tables exist; use ``open_store``."""
        self._engine = engine
        self._turn = asyncio.Lock()  # so that writers of this process do not poll for their turn

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[SqlRows]:
        """Open a transaction that only reads."""
        try:
            async with self._engine.connect() as connection:
                yield SqlRows(Session(connection))
        except _FAULTS as error:
            raise StoreError(f"cannot read the store: {_why(error)}") from error

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[SqlRows]:
        """Open a transaction that is written when its block ends, or not at all."""
        async with self._turn:
            try:
                async with self._engine.connect() as connection:
                    await connection.execution_options(**{WRITES: True})
                    async with connection.begin():
                        await _wait_for_writers(connection)
                        yield SqlRows(Session(connection))
            except _FAULTS as error:
                raise StoreError(f"cannot write the store: {_why(error)}") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def _wait_for_writers(connection: AsyncConnection) -> None:
    # SQLite waits at BEGIN IMMEDIATE.
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(_WRITER_LOCK)))


def _why(error: Exception) -> object:
    if isinstance(error, PoolTimeoutError):
        return "its database does not answer; every connection waits for it"
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object!r} is no text in UTF-8"
    return error.orig if isinstance(error, DBAPIError) else error
