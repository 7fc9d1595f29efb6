"""Both databases page through the findings of many agents as if they were read one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from analyzer.model import FindingFilter, FindingRow, Range, RunState
from analyzer.store import Store
from tests.contract.test_store import NESTED_RUN, add_nested, finding
from tests.databases import SQL_STORES, open_new_store

# SQLAlchemy resolves the path of the database file whenever it connects.
pytestmark = pytest.mark.allow_blocking
AGENTS = [f"i-{number:02}" for number in range(60)]
ROWS = 900


@pytest.fixture(params=SQL_STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_new_store(request.param, tmp_path)
    await add_nested(opened)
    yield opened
    await opened.close()


def uneven(rng: Random) -> list[FindingRow]:
    """Return findings of few moments; some agents have most of the newest ones."""
    return [
        finding(
            n,
            agent_id=AGENTS[min(59, int(rng.expovariate(8 / (1 + n / 100))))],
            rule=rng.choice(["a", "b", "c"]),
            created_us=100 + n // 300,
        )
        for n in range(ROWS)
    ]


async def test_pages_hold_the_newest_of_all(store: Store) -> None:
    many = uneven(Random(7))
    await store.finish_run(NESTED_RUN.entered(RunState.COMPLETED, 1), b"", many)
    filters = [
        FindingFilter(agent_ids=tuple(AGENTS)),
        FindingFilter(agent_ids=tuple(AGENTS[:50]), rules=("a",)),
        FindingFilter(agent_ids=tuple(AGENTS[5:]), created_us=Range(101, 101)),
        FindingFilter(agent_ids=tuple(AGENTS[1:40]), rules=("a", "b"), run_arns=(NESTED_RUN.arn,)),
    ]
    for what in filters:
        expected = [row.arn for row in reversed(many) if _passes(what, row)]
        for limit in (1, 7, 100):
            assert await _all(store, what, limit) == expected, (what, limit)


def _passes(what: FindingFilter, row: FindingRow) -> bool:
    low, high = what.created_us.low or 0, what.created_us.high or ROWS
    return (
        row.agent_id in what.agent_ids
        and (not what.rules or row.rule in what.rules)
        and low <= row.created_us <= high
    )


async def _all(store: Store, what: FindingFilter, limit: int) -> list[str]:
    found: list[str] = []
    after = None
    async with store.reading() as rows:
        while True:
            page = await rows.findings.page(replace(what), after=after, limit=limit)
            found += [arn for _, arn in page]
            if len(page) < limit:
                return found
            after = page[-1][0]
