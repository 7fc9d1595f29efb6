"""The store in a database, through SQLAlchemy Core: SQLite in WAL mode.

In: values of ``analyzer.model``. Out: the same values, after any restart. Two processes may use one
file: the server writes runs, the command line adds them and asks for stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, event, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from analyzer.errors import StoreError
from analyzer.model import Agent, Progress, Run, RunState, StateChange
from analyzer.store import schema
from analyzer.store.protocol import StoredFinding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Executable, RowMapping

    from analyzer.model import StopAction

_BUSY_TIMEOUT_MS = 10_000  # another process may hold the write lock for a moment
_FINDINGS_CHUNK = 1_000  # rows of one insert
_NEWEST = (schema.runs.c.created_us.desc(), schema.runs.c.id.desc())
# The states are named, and not those that are excluded, so that the index on them serves.
_IS_ACTIVE = schema.runs.c.state.in_([state.value for state in RunState if not state.is_final])


class SqlStore:
    """Keeps everything in one SQLite file."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Wrap an engine whose tables exist; use ``open_store``."""
        self._engine = engine

    async def put_agent(self, agent: Agent) -> None:
        """Insert or replace an agent."""
        values = _agent_values(agent)
        statement = upsert(schema.agents).values(values)
        await self._write(statement.on_conflict_do_update(index_elements=["agent_id"], set_=values))

    async def agents(self) -> list[Agent]:
        """Return every known agent, by id."""
        rows = await self._read(select(schema.agents).order_by(schema.agents.c.agent_id))
        return [_agent(row) for row in rows]

    async def add_run(self, run: Run) -> None:
        """Insert a new run."""
        try:
            await self._write(
                insert(schema.runs).values(id=run.id, stop=run.stop, **_run_values(run))
            )
        except IntegrityError as error:
            raise StoreError(f"run {run.id} exists already") from error

    async def run(self, run_id: str) -> Run | None:
        """Return a run, or None."""
        rows = await self._read(select(schema.runs).where(schema.runs.c.id == run_id))
        return _run(rows[0]) if rows else None

    async def runs(self) -> list[Run]:
        """Return every run, newest first."""
        return [_run(row) for row in await self._read(select(schema.runs).order_by(*_NEWEST))]

    async def active_runs(self) -> list[Run]:
        """Return the runs that have not ended, newest first."""
        statement = select(schema.runs).where(_IS_ACTIVE).order_by(*_NEWEST)
        return [_run(row) for row in await self._read(statement)]

    async def save_run(self, run: Run) -> None:
        """Write everything but ``stop`` of a run that exists."""
        if not await self._write(_save(run)):
            raise StoreError(f"run {run.id} does not exist")

    async def request_stop(self, run_id: str, action: StopAction) -> bool:
        """Ask for a stop of an active run."""
        statement = update(schema.runs).where(schema.runs.c.id == run_id, _IS_ACTIVE)
        return bool(await self._write(statement.values(stop=action)))

    async def finish_run(self, run: Run, result: bytes, findings: Sequence[StoredFinding]) -> None:
        """Write the last state, result and findings in one transaction."""
        rows = [_finding_values(run.id, finding) for finding in findings]
        chunks = [rows[i : i + _FINDINGS_CHUNK] for i in range(0, len(rows), _FINDINGS_CHUNK)]
        body = {"run_id": run.id, "body": result}
        await self._write(
            _save(run),
            delete(schema.findings).where(schema.findings.c.run_id == run.id),
            *(insert(schema.findings).values(chunk) for chunk in chunks),
            upsert(schema.results)
            .values(body)
            .on_conflict_do_update(index_elements=["run_id"], set_=body),
        )

    async def result(self, run_id: str) -> bytes | None:
        """Return the result document of an ended run."""
        rows = await self._read(
            select(schema.results.c.body).where(schema.results.c.run_id == run_id)
        )
        return bytes(rows[0]["body"]) if rows else None

    async def findings(self, run_id: str) -> list[StoredFinding]:
        """Return a run's findings, highest severity first, then by occurrence id."""
        table = schema.findings
        statement = select(table).where(table.c.run_id == run_id)
        ordered = statement.order_by(table.c.numeric_severity.desc(), table.c.occurrence_id)
        return [_finding(row) for row in await self._read(ordered)]

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def _read(self, statement: Executable) -> list[RowMapping]:
        try:
            async with self._engine.connect() as connection:
                return list((await connection.execute(statement)).mappings())
        except DBAPIError as error:
            raise StoreError(f"cannot read the store: {error.orig}") from error

    async def _write(self, *statements: Executable) -> int:
        """Run statements in one transaction; return how many rows the first one touched."""
        try:
            async with self._engine.begin() as connection:
                results = [await connection.execute(statement) for statement in statements]
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise StoreError(f"cannot write the store: {error.orig}") from error
        return int(results[0].rowcount)


async def open_store(path: Path) -> SqlStore:
    """Open the SQLite file at ``path``, creating it and its tables where they are missing.

    Raises:
        StoreError: The file cannot be used, or was written by a newer version.
    """
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(schema.METADATA.create_all)
            versions = (await connection.execute(select(schema.versions.c.version))).scalars().all()
            if not versions:
                await connection.execute(
                    insert(schema.versions).values(version=schema.SCHEMA_VERSION)
                )
    except DBAPIError as error:
        await engine.dispose()
        raise StoreError(f"cannot open the store {path}: {error.orig}") from error
    if versions and max(versions) > schema.SCHEMA_VERSION:
        await engine.dispose()
        raise StoreError(
            f"the store {path} has schema version {max(versions)}, newer than this version's "
            f"{schema.SCHEMA_VERSION}; use the newer proctor that wrote it"
        )
    return SqlStore(engine)


def _set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 (a driver's connection)
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",  # a state that was announced must be there after a power cut
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _save(run: Run) -> Any:  # noqa: ANN401 (SQLAlchemy's statement type is generic)
    return update(schema.runs).where(schema.runs.c.id == run.id).values(**_run_values(run))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _run_values(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "duration_s": run.duration_s,
        "packages": _json(run.packages),
        "created_us": run.created_us,
        "state": run.state.value,
        "from_us": run.from_us,
        "to_us": run.to_us,
        "agents": _json(run.agents),
        "changes": _json(run.changes),
        "message": run.message,
        "progress": _json(run.progress),
    }


def _run(row: RowMapping) -> Run:
    return Run(
        id=row["id"],
        name=row["name"],
        duration_s=row["duration_s"],
        packages=msgspec.json.decode(row["packages"], type=tuple[str, ...]),
        created_us=row["created_us"],
        state=RunState(row["state"]),
        from_us=row["from_us"],
        to_us=row["to_us"],
        agents=msgspec.json.decode(row["agents"], type=tuple[str, ...]),
        changes=msgspec.json.decode(row["changes"], type=tuple[StateChange, ...]),
        stop=row["stop"],
        message=row["message"],
        progress=msgspec.json.decode(row["progress"], type=Progress),
    )


def _agent_values(agent: Agent) -> dict[str, Any]:
    return {
        "agent_id": agent.agent_id,
        "boot_id": agent.boot_id,
        "hostname": agent.hostname,
        "version": agent.version,
        "tags": _json(agent.tags),
        "is_online": int(agent.is_online),
        "is_collecting": int(agent.is_collecting),
        "last_seen_us": agent.last_seen_us,
        "clock_offset_us": agent.clock_offset_us,
    }


def _agent(row: RowMapping) -> Agent:
    return Agent(
        agent_id=row["agent_id"],
        boot_id=row["boot_id"],
        hostname=row["hostname"],
        version=row["version"],
        tags=msgspec.json.decode(row["tags"], type=dict[str, str]),
        is_online=bool(row["is_online"]),
        is_collecting=bool(row["is_collecting"]),
        last_seen_us=row["last_seen_us"],
        clock_offset_us=row["clock_offset_us"],
    )


def _finding_values(run_id: str, finding: StoredFinding) -> dict[str, Any]:
    return {
        "occurrence_id": finding.occurrence_id,
        "run_id": run_id,
        "issue_id": finding.issue_id,
        "rule": finding.rule,
        "agent_id": finding.agent_id,
        "numeric_severity": finding.numeric_severity,
        "body": finding.body,
    }


def _finding(row: RowMapping) -> StoredFinding:
    return StoredFinding(
        occurrence_id=row["occurrence_id"],
        issue_id=row["issue_id"],
        rule=row["rule"],
        agent_id=row["agent_id"],
        numeric_severity=row["numeric_severity"],
        body=row["body"],
    )
