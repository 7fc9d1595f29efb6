"""Every store picks runs out of many in the same way, and reads no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.model import Run, RunState, Target, Template
from analyzer.store import Store
from tests.databases import STORES, open_new_store

# SQLAlchemy resolves the path of the database file whenever it connects.
pytestmark = pytest.mark.allow_blocking
TARGET = Target("arn:t", "web", None, 5, 5)
TEMPLATES = [
    Template(
        arn=f"arn:t/template/{n}", target_arn="arn:t", name=str(n), duration_s=180, packages=()
    )
    for n in range(2)
]
DONE, FAILED, ACTIVE = RunState.COMPLETED, RunState.FAILED, RunState.COLLECTING_DATA


def run(id_: str, created_us: int, state: RunState = DONE, **changes: object) -> Run:
    made = Run(id_, id_, 60, ("a", "b"), created_us)
    return replace(made.entered(state, created_us + 5), **changes)  # type: ignore[arg-type]


def of_template(number: int, id_: str, created_us: int, state: RunState = DONE) -> Run:
    arn = TEMPLATES[number].arn
    return run(id_, created_us, state, arn=f"{arn}/run/{id_}", template_arn=arn)


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_new_store(request.param, tmp_path)
    async with opened.writing() as rows:
        await rows.targets.add(TARGET)
        for template in TEMPLATES:
            await rows.templates.add(template)
    yield opened
    await opened.close()


async def add(store: Store, *runs: Run) -> None:
    async with store.writing() as rows:
        for each in runs:
            await rows.runs.add(each)


async def test_runs_are_found_by_the_start_of_their_ids(store: Store) -> None:
    await add(store, run("0-aa1", 1), run("0-aa2", 3), run("0-Aa3", 2), run("0-b", 4))
    cases = {
        "": ["0-b", "0-aa2", "0-Aa3", "0-aa1"],
        "0-aa": ["0-aa2", "0-aa1"],
        "0-aa1": ["0-aa1"],
        "0-aa11": [],
        "0-A": ["0-Aa3"],
        "%": [],
        "*": [],
        "0_": [],
        "aa": [],
    }
    async with store.reading() as rows:
        for id_start, expected in cases.items():
            found = await rows.runs.newest(id_start=id_start, limit=10)
            assert [each.id for each in found] == expected, id_start
        assert [each.id for each in await rows.runs.newest(limit=2)] == ["0-b", "0-aa2"]


async def test_run_before_is_of_the_same_template_or_packages(store: Store) -> None:
    other = run("0-p", 7, packages=("b", "a"))
    quick = [run("0-q1", 1), run("0-q3", 3), run("0-q5", 5, FAILED), run("0-q6", 6)]
    kept = [of_template(0, "0-t2", 2), of_template(1, "0-u4", 4), of_template(0, "0-t8", 8)]
    await add(store, *quick, *kept, other, of_template(0, "0-t9", 9, ACTIVE))
    async with store.reading() as rows:
        for of, expected in (
            (quick[0], None),
            (quick[1], kept[0]),  # what was judged by the same packages, of a template or not
            (quick[3], kept[1]),
            (other, None),
            (kept[0], None),
            (kept[1], None),
            (kept[2], kept[0]),
        ):
            assert await rows.runs.judged_before(of) == expected, of.id


async def test_runs_of_the_same_moment_are_told_apart_by_id(store: Store) -> None:
    first, second = run("0-a", 1), run("0-b", 1)
    await add(store, second, first)
    async with store.reading() as rows:
        assert await rows.runs.judged_before(second) == first
        assert await rows.runs.judged_before(first) is None


async def test_newest_judged_run_of_each_kind(store: Store) -> None:
    newest = [of_template(1, "0-u", 3), run("0-q", 4), of_template(0, "0-t", 5)]
    older = [run("0-r", 1), of_template(0, "0-s", 2)]
    not_judged = [run("0-v", 8, FAILED), of_template(1, "0-w", 9, ACTIVE)]
    await add(store, *newest, *older, *not_judged)
    async with store.reading() as rows:
        assert await rows.runs.newest_judged() == newest


async def test_ended_runs_since_a_moment(store: Store) -> None:
    await add(
        store,
        run("0-a", 10, to_us=100),
        run("0-b", 20, FAILED),
        run("0-c", 30, ACTIVE, to_us=200),
        run("0-d", 40, to_us=99),
        run("0-e", 100, FAILED),
    )
    async with store.reading() as rows:
        for since_us, expected in ((0, ["0-e", "0-d", "0-b", "0-a"]), (100, ["0-e", "0-a"])):
            assert await rows.runs.ended_since(since_us) == expected
        assert await rows.runs.ended_since(101) == []
