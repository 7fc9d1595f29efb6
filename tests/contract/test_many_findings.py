"""Both databases take many findings at once, whatever their texts hold, or none of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from analyzer.errors import StoreError
from analyzer.model import FindingFilter, RunState, Tag
from analyzer.store import Store
from tests.contract.test_store import NESTED_RUN, add_nested, finding
from tests.databases import SQL_STORES, open_new_store

# SQLAlchemy resolves the path of the database file whenever it connects.
pytestmark = pytest.mark.allow_blocking
DONE = NESTED_RUN.entered(RunState.COMPLETED, 99)
ODD = ("", "\t\n\r", "\\N", "\\.", "a\\tb", '"quoted", with comma', "ʘ\u2028𝄞", "NULL")


@pytest.fixture(params=SQL_STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_new_store(request.param, tmp_path)
    await add_nested(opened)
    yield opened
    await opened.close()


async def test_texts_come_back_as_they_were(store: Store) -> None:
    many = [
        finding(
            n,
            title=ODD[n % len(ODD)],
            auto_scaling_group=ODD[n % len(ODD)],
            attributes=(Tag("TEXT", ODD[n % len(ODD)]), Tag("NONE", None)),
        )
        for n in range(400)
    ]
    await store.finish_run(DONE, b"", many)
    assert await store.findings(DONE.id) == many
    for odd in ODD:
        what = FindingFilter(attributes=(Tag("TEXT", odd),))
        async with store.reading() as rows:
            found = await rows.findings.page(what, after=None, limit=500)
        assert len(found) == 50


async def test_findings_that_cannot_be_written_change_nothing(store: Store) -> None:
    before = [finding(n) for n in range(3)]
    await store.finish_run(DONE, b"first", before)
    twice = [finding(n % 300) for n in range(301)]
    with pytest.raises(StoreError, match="cannot write the store"):
        await store.finish_run(DONE, b"second", twice)
    assert await store.findings(DONE.id) == before
    assert await store.result(DONE.id) == b"first"
