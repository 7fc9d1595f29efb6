"""Stores of older releases are brought up to date, and new ones are what the schema says."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from analyzer.arns import Arns, parse
from analyzer.assessments import Assessments
from analyzer.errors import StoreError
from analyzer.model import RunState
from analyzer.store import SqlStore, open_store, schema
from rules.telemetry import ManualClock
from tests.databases import new_postgresql_database

pytestmark = pytest.mark.allow_blocking

_VERSION_1 = """
CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO schema_version VALUES (1);
CREATE TABLE agents (
    agent_id VARCHAR(128) NOT NULL PRIMARY KEY, boot_id VARCHAR(64) NOT NULL,
    hostname VARCHAR(256) NOT NULL, version VARCHAR(64) NOT NULL, tags TEXT NOT NULL,
    is_online INTEGER NOT NULL, is_collecting INTEGER NOT NULL, last_seen_us BIGINT NOT NULL,
    clock_offset_us BIGINT NOT NULL
);
CREATE TABLE runs (
    id VARCHAR(16) NOT NULL PRIMARY KEY, name VARCHAR(140) NOT NULL, duration_s INTEGER NOT NULL,
    packages TEXT NOT NULL, created_us BIGINT NOT NULL, state VARCHAR(40) NOT NULL,
    from_us BIGINT, to_us BIGINT, agents TEXT NOT NULL, changes TEXT NOT NULL,
    message TEXT NOT NULL, progress TEXT NOT NULL, stop VARCHAR(20) NOT NULL
);
CREATE INDEX ix_runs_created_us ON runs (created_us);
CREATE TABLE results (
    run_id VARCHAR(16) NOT NULL PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    body BLOB NOT NULL
);
CREATE TABLE findings (
    occurrence_id VARCHAR(64) NOT NULL PRIMARY KEY,
    run_id VARCHAR(16) NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    issue_id VARCHAR(64) NOT NULL, rule VARCHAR(64) NOT NULL, agent_id VARCHAR(128) NOT NULL,
    numeric_severity INTEGER NOT NULL, body TEXT NOT NULL
);
INSERT INTO agents VALUES ('i-1', 'b', 'web', '0.1.0', '{"env":"prod"}', 1, 0, 5, -3);
INSERT INTO runs VALUES
    ('0-AAAAAAAA', 'ended', 60, '[]', 10, 'COMPLETED', 12, 72, '["i-1"]',
     '[{"state":"CREATED","at_us":10},{"state":"COLLECTING_DATA","at_us":12},
       {"state":"COMPLETED","at_us":99}]', '', '{"events":7}', ''),
    ('0-BBBBBBBB', 'active', 60, '["secure-channels"]', 20, 'CREATED', NULL, NULL, '[]',
     '[{"state":"CREATED","at_us":20}]', '', '{}', 'SKIP_EVALUATION');
INSERT INTO results VALUES ('0-AAAAAAAA', X'7B7D');
INSERT INTO findings VALUES
    ('f1', '0-AAAAAAAA', 'issue', 'a-rule', 'i-1', 9,
     '{"package":"secure-channels","severity":"High","title":"A title"}');
"""


def version_1(path: Path, extra: str = "") -> Path:
    """Write a store as releases before Alembic did."""
    with sqlite3.connect(path) as connection:
        connection.executescript(_VERSION_1 + extra)
    connection.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
async def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    is_file = request.param == "sqlite"
    opened = await open_store(tmp_path / "db" if is_file else new_postgresql_database())
    yield opened
    await opened.close()


async def test_migrations_make_what_the_schema_says(fresh: SqlStore) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, schema.METADATA))

    async with fresh._engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_store_of_version_1_is_upgraded_with_everything_in_it(tmp_path: Path) -> None:
    store = await open_store(version_1(tmp_path / "db"))
    desk = Assessments(store, arns=Arns(), packages=(), clock=ManualClock(0))
    try:
        (agent,) = await store.agents()
        assert (agent.tags, agent.clock_offset_us) == ({"env": "prod"}, -3)
        active, ended = (await desk.list_runs()).items
        assert (active.stop, active.packages) == ("SKIP_EVALUATION", ("secure-channels",))
        assert (ended.state, ended.started_us, ended.completed_us) == (RunState.COMPLETED, 12, 99)
        assert ended.progress.events == 7
        assert await store.result(ended.id) == b"{}"
        assert await store.runs() == [active, ended]
        assert await store.active_runs() == [active]
        name = parse(ended.arn)
        assert name is not None
        assert name.id == ended.id
        (template,) = (await desk.describe_templates([ended.template_arn])).items
        assert (template.last_run_arn, template.run_count) == (ended.arn, 1)
        (target,) = (await desk.list_targets()).items
        assert (target.arn, target.name) == (ended.target_arn, "every host")
        (arn,) = (await desk.list_findings()).items
        (finding,) = (await desk.describe_findings([arn])).items
        assert (finding.run_arn, finding.title) == (ended.arn, "Instance i-1: A title")
        assert (finding.severity, finding.package) == ("High", "secure-channels")
        assert (await desk.finding_counts(ended.arn))["High"] == 1
        quick = await desk.quick_run(name="", duration_s=5)
        assert quick.target_arn == target.arn
    finally:
        await store.close()
    again = await open_store(tmp_path / "db")
    assert len(await again.runs()) == 3
    await again.close()


async def test_newer_stores_are_refused(tmp_path: Path) -> None:
    path = version_1(tmp_path / "db", "INSERT INTO schema_version VALUES (2);")
    with pytest.raises(StoreError, match="newer than this version"):
        await open_store(path)
    store = await open_store(tmp_path / "other")
    await store.close()
    with sqlite3.connect(tmp_path / "other") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="schema version 9999"):
        await open_store(tmp_path / "other")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nonsense", "is no database URL"),
        ("mysql://localhost/x", "use postgresql or sqlite"),
        ("postgresql://proctor@/x?host=/nowhere", "cannot open the store"),
    ],
)
async def test_places_that_are_none_are_named(place: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        await open_store(place)


async def test_two_processes_that_open_a_new_database_make_it_once(tmp_path: Path) -> None:
    for place in (tmp_path / "db", new_postgresql_database()):
        stores = await asyncio.gather(*(open_store(place) for _ in range(3)))
        for store in stores:
            await store.close()
