"""What goes wrong between a store and its database is an error of the store, whatever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from analyzer.errors import StoreError
from analyzer.model import Route
from analyzer.store import Store, open_store
from analyzer.store.sql.store import SqlStore

# SQLAlchemy resolves the path of the database file whenever it connects.
pytestmark = pytest.mark.allow_blocking


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return a database with its tables."""
    place = tmp_path / "proctor.db"
    store: Store = await open_store(place)
    await store.close()
    return place


@pytest.fixture
async def narrow(path: Path) -> AsyncIterator[SqlStore]:
    """Return a store with one connection, which nobody waits for."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", pool_size=1, max_overflow=0, pool_timeout=0.001
    )
    store = SqlStore(engine)
    yield store
    await store.close()


async def test_connections_that_all_hang_are_an_error_of_the_store(narrow: SqlStore) -> None:
    async with narrow.reading() as rows:
        await rows.targets.count()
        with pytest.raises(StoreError, match="cannot read the store"):
            await narrow.agents()
        with pytest.raises(StoreError, match="cannot write the store"):
            await narrow.request_stop("0-AbCd1234", "START_EVALUATION")
    assert await narrow.agents() == []


async def test_a_text_that_no_database_takes_is_an_error_of_the_store(narrow: SqlStore) -> None:
    route = Route(name="soc", url="http://h/\udcff", options={}, created_us=1)
    with pytest.raises(StoreError, match="no text in UTF-8"):
        async with narrow.writing() as rows:
            await rows.events.put_route(route)
    async with narrow.reading() as rows:
        assert await rows.events.routes() == []
