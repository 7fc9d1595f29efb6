"""PostgreSQL plans pages of findings once for all values, and nothing else so."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from analyzer.model import FindingFilter
from analyzer.store import open_store
from tests.databases import new_postgresql_database

pytestmark = pytest.mark.allow_blocking
_MODE = text("SHOW plan_cache_mode")


async def test_pages_are_planned_without_a_look_at_values() -> None:
    store = await open_store(new_postgresql_database())
    try:
        async with store.reading() as rows:
            await rows.findings.page(FindingFilter(rules=("a",)), after=None, limit=5)
            assert await rows.findings._session.value(_MODE) == "force_generic_plan"
        async with store.reading() as rows:
            assert await rows.findings._session.value(_MODE) == "auto"
    finally:
        await store.close()
