"""A transaction's connection, and what SQLite and PostgreSQL say differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from sqlalchemy import and_, text, tuple_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Executable, RowMapping, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from analyzer.model import Range

T = TypeVar("T")
_PLAN_ONCE: Final = text("SET LOCAL plan_cache_mode = force_generic_plan")
_INT64: Final = (-(1 << 63), (1 << 63) - 1)
_CHUNK: Final = 1_000  # rows of one insert
_COPIED: Final = 100  # rows that PostgreSQL takes quicker as a copy; fewer do not pay for asking it


class Session:
    """Reads and writes over one connection, within its transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Use an open connection."""
        self._connection = connection
        self.is_postgresql = connection.dialect.name == "postgresql"

    async def plan_once(self) -> None:
        """Let the rest of the transaction use one plan for all values of a statement.

        PostgreSQL would look at the values of the first five times that a connection asks so. Where
        a statement is written along an index, it can only come to something worse.
        """
        if self.is_postgresql:
            await self._connection.execute(_PLAN_ONCE)

    async def rows(self, statement: Executable) -> Sequence[RowMapping]:
        """Return the rows of a query."""
        return (await self._connection.execute(statement)).mappings().all()

    async def row(self, statement: Executable) -> RowMapping | None:
        """Return the first row of a query, or None."""
        return (await self._connection.execute(statement)).mappings().first()

    async def value(self, statement: Executable) -> Any:  # noqa: ANN401 (whatever was selected)
        """Return the first column of the first row, or None."""
        return (await self._connection.execute(statement)).scalar()

    async def write(self, statement: Executable) -> int:
        """Run a statement; return how many rows it touched."""
        return int((await self._connection.execute(statement)).rowcount)

    async def insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert many rows of the same columns."""
        if self.is_postgresql and len(rows) >= _COPIED:
            await self._copy(table, rows)
            return
        for start in range(0, len(rows), _CHUNK):
            await self._connection.execute(table.insert(), rows[start : start + _CHUNK])

    async def insert_missing(
        self, table: Table, rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]
    ) -> None:
        """Insert many rows of the same columns; those whose key is there stay as they are."""
        make = postgresql_insert if self.is_postgresql else sqlite_insert
        statement = make(table).on_conflict_do_nothing(index_elements=key)
        for start in range(0, len(rows), _CHUNK):
            await self._connection.execute(statement, rows[start : start + _CHUNK])

    async def upsert(
        self, table: Table, row: Mapping[str, Any], *, key: Sequence[str], replaces: bool = True
    ) -> None:
        """Insert a row; where one with its key is there, replace or leave that."""
        make = postgresql_insert if self.is_postgresql else sqlite_insert
        statement = make(table).values(row)
        others = {name: value for name, value in row.items() if name not in key}
        if replaces and others:
            await self.write(statement.on_conflict_do_update(index_elements=key, set_=others))
        else:
            await self.write(statement.on_conflict_do_nothing(index_elements=key))

    async def upsert_all(
        self, table: Table, rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]
    ) -> None:
        """Insert many rows of the same columns, in the place of those with the same keys."""
        if not rows:
            return
        make = postgresql_insert if self.is_postgresql else sqlite_insert
        statement = make(table)
        others = {name: statement.excluded[name] for name in rows[0] if name not in key}
        statement = statement.on_conflict_do_update(index_elements=key, set_=others)
        for start in range(0, len(rows), _CHUNK):
            await self._connection.execute(statement, rows[start : start + _CHUNK])

    async def _copy(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows by PostgreSQL's COPY, which SQLAlchemy does not know.

        The driver's connection is in the transaction already: writers take their lock first.
        """
        from asyncpg import InterfaceError, PostgresError  # late: SQLite needs no such driver

        names = list(rows[0])
        raw = await self._connection.get_raw_connection()
        driver: Any = raw.driver_connection
        records = (tuple(row[name] for name in names) for row in rows)
        try:
            await driver.copy_records_to_table(table.name, columns=names, records=records)
        except (InterfaceError, PostgresError) as error:
            raise DBAPIError(f"COPY {table.name}", None, error) from error

    def matches(self, column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
        """Return the condition that a text matches a pattern in which ``*`` is anything."""
        if self.is_postgresql:
            escaped = "".join("%" if c == "*" else _like(c) for c in pattern)
            return column.like(escaped, escape="\\")
        escaped = "".join(f"[{c}]" if c in "?[" else c for c in pattern)
        return column.op("GLOB")(escaped)


def _like(character: str) -> str:
    return "\\" + character if character in "%_\\" else character


def within(column: ColumnElement[int] | Any, limits: Range) -> list[ColumnElement[bool]]:  # noqa: ANN401
    """Return the conditions that a number lies in a range; both ends are included."""
    conditions = []
    if limits.low is not None:
        conditions.append(column >= _clipped(limits.low))
    if limits.high is not None:
        conditions.append(column <= _clipped(limits.high))
    return conditions


def _clipped(number: int) -> int:
    return min(max(number, _INT64[0]), _INT64[1])


def older(columns: Sequence[ColumnElement[Any]], after: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that a row comes after a position, newest first."""
    if len(columns) == 1:
        return columns[0] < after[0]
    return and_(columns[0] <= after[0], tuple_(*columns) < tuple_(*after))


def to_json(value: object) -> str:
    """Return a value as JSON text."""
    return msgspec.json.encode(value).decode()


def from_json(text: str, kind: type[T]) -> T:
    """Return the value of a JSON text."""
    return msgspec.json.decode(text, type=kind)
