"""Opening a store: the database that a path or URL names, its tables brought up to date.

In: a path of a SQLite file, or ``postgresql://user@host/name``. Out: a store, or an error that says
what is wrong with the database.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, event, inspect, make_url, text
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from analyzer.errors import StoreError
from analyzer.store.sql.store import WRITES, SqlStore

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD: Final = "0006"
"""The newest migration; ``migrations/versions`` has it."""
_BEFORE_ALEMBIC: Final = "0001"  # what schema version 1 of older releases is
_BUSY_TIMEOUT_MS: Final = 10_000  # another process may hold the write lock for a moment
_CACHE_KIB: Final = 32_768  # pages that each connection keeps; SQLite's own 2 MiB hold no index
_MAPPED_BYTES: Final = 1 << 30  # of the file are read without a system call each
_MIGRATION_LOCK: Final = 0x6D696772  # two processes that open a new database wait for each other


class _Compiler(SQLiteCompiler):
    """Writes hints: SQLite alone does not know which index is meant."""

    def get_from_hint_text(self, table: object, text: str | None) -> str | None:  # noqa: ARG002
        """Return what stands behind the name of a table."""
        return text


async def open_store(place: Path | str) -> SqlStore:
    """Open a database, creating its tables or upgrading them where that is needed.

    Args:
        place: A SQLite file, or a ``postgresql://`` or ``sqlite://`` URL.

    Raises:
        StoreError: The database cannot be used, or was written by a newer version.
    """
    url = _url(place)
    engine = create_async_engine(url)
    if url.get_backend_name() == "sqlite":
        engine.sync_engine.dialect.statement_compiler = _Compiler
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        event.listen(engine.sync_engine, "begin", _begin)
    try:
        async with engine.connect() as connection:
            await connection.execution_options(**{WRITES: True})
            async with connection.begin():
                await connection.run_sync(_bring_up_to_date, url)
    except (DBAPIError, OSError) as error:
        await engine.dispose()
        why = error.orig if isinstance(error, DBAPIError) else error
        raise StoreError(f"cannot open the store {_shown(url)}: {why}") from error
    except StoreError:
        await engine.dispose()
        raise
    return SqlStore(engine)


def _url(place: Path | str) -> URL:
    if isinstance(place, Path):
        return URL.create("sqlite+aiosqlite", database=str(place))
    try:
        url = make_url(place)
    except ArgumentError as error:
        raise StoreError(
            f"{place!r} is no database URL; write postgresql://user@host/name"
        ) from error
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    name = url.get_backend_name()
    if name not in drivers:
        raise StoreError(f"{name} is no database that Proctor knows; use postgresql or sqlite")
    return url.set(drivername=drivers[name])


def _shown(url: URL) -> str:
    is_file = url.get_backend_name() == "sqlite"
    return str(url.database) if is_file else url.render_as_string(hide_password=True)


def _bring_up_to_date(connection: Connection, url: URL) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    tables = set(inspect(connection).get_table_names())
    version = None
    if "alembic_version" in tables:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    elif "schema_version" in tables:
        version = _BEFORE_ALEMBIC
        number = connection.execute(text("SELECT max(version) FROM schema_version")).scalar()
        if (number or 0) > 1:
            raise _too_new(url, str(number))
    if version == HEAD:
        return
    if version is not None and version > HEAD:
        raise _too_new(url, version)
    from analyzer.store.migrations import upgrade  # late: Alembic is needed this once

    upgrade(connection, from_version=version)


def _too_new(url: URL, version: str) -> StoreError:
    return StoreError(
        f"the store {_shown(url)} has schema version {version}, newer than this version's {HEAD}; "
        "use the newer proctor that wrote it"
    )


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 (a driver's connection)
    # The driver would begin late, and to read: transactions begin at ``_begin``.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",  # a state that was announced must be there after a power cut
        "foreign_keys = ON",
        f"cache_size = -{_CACHE_KIB}",
        f"mmap_size = {_MAPPED_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
