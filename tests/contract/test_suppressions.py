"""Every store keeps what people say about findings; the desk makes statuses of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from analyzer.model import Matcher, Resolution
from analyzer.results.document import Result
from analyzer.store import Store
from analyzer.suppression import SuppressionError, suppress
from analyzer.suppression.desk import SuppressionDesk
from rules.telemetry import ManualClock
from tests.databases import STORES, open_new_store
from tests.report_results import one_finding

# SQLAlchemy resolves the path of the database file whenever it connects.
pytestmark = pytest.mark.allow_blocking

NOW = 400_000_000
LATER = NOW + 1_000_000
RESULT: Result = one_finding(group={"process_name": "数据"})
FINDING = RESULT.findings[0]


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_new_store(request.param, tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def desk(store: Store, clock: ManualClock) -> SuppressionDesk:
    return SuppressionDesk(store, clock=clock)


async def test_rows_come_back_as_they_were_put(store: Store) -> None:
    made = [
        suppress(
            Matcher(rule="a*", agent_id="i-1", group={"name": "'数据\"*"}),
            reason=f"{number} '数据\"",
            owner="Kim",
            now_us=NOW,
            expires_us=LATER,
        )
        for number in range(3)
    ]
    async with store.writing() as rows:
        for each in made:
            await rows.suppressions.add(each)
        await rows.suppressions.put_resolution(
            Resolution(issue_id="i", owner="a", note="b", at_us=1)
        )
        again = Resolution(issue_id="i", owner="Kim", note="", at_us=2)
        await rows.suppressions.put_resolution(again)
        assert await rows.suppressions.end(made[1].id, at_us=7)
        assert not await rows.suppressions.end(made[1].id, at_us=8)
        assert not await rows.suppressions.end("s-none", at_us=8)
    async with store.reading() as rows:
        kept = await rows.suppressions.all()
        assert [each.id for each in kept] == [each.id for each in made]
        assert (kept[0], kept[1].ended_us) == (made[0], 7)
        assert await rows.suppressions.resolutions() == [again]
    async with store.writing() as rows:
        assert await rows.suppressions.delete_resolution("i")
        assert not await rows.suppressions.delete_resolution("i")


async def test_what_is_accepted_is_open_again_when_it_ends(
    desk: SuppressionDesk, clock: ManualClock
) -> None:
    matcher = Matcher(rule="insecure-*", group={"process_name": "数*"})
    made = await desk.accept(matcher, reason="r", owner="o", expires_us=LATER)
    assert (await desk.statuses()).of(FINDING).suppression == made
    clock.time_us = LATER
    assert (await desk.statuses()).of(FINDING).state == "open"
    assert (await desk.review()).expired == (made,)
    assert await desk.take_back(made.id)
    assert not await desk.take_back(made.id)
    assert (await desk.review()).expired == ()
    with pytest.raises(SuppressionError, match="the end lies in the past"):
        await desk.accept(matcher, reason="r", owner="o", expires_us=LATER)


async def test_reopening_takes_back_what_is_said_of_the_issue_alone(
    desk: SuppressionDesk,
) -> None:
    narrow = await desk.accept(
        Matcher(issue_id=FINDING.issue_id), reason="r", owner="o", expires_us=LATER
    )
    await desk.resolve(FINDING.issue_id, owner="o", note="closed")
    assert (await desk.statuses()).of(FINDING).state == "accepted"
    assert await desk.reopen(FINDING) == []
    assert (await desk.statuses()).of(FINDING).state == "open"
    assert [each.id for each in await desk.suppressions()] == [narrow.id]
    await desk.resolve(FINDING.issue_id, owner="o")
    assert (await desk.statuses()).of(FINDING).state == "resolved"
    wide = await desk.accept(Matcher(rule="ins*"), reason="r", owner="o", expires_us=LATER)
    assert await desk.reopen(FINDING) == [wide]
    for owner, note, problem in (
        ("", "a\0", "the owner is missing; the note holds control characters"),
        ("o" * 141, "", "the owner has more than 140 letters"),
        ("o", "x" * 1_001, "the note has more than 1,000 letters"),
    ):
        with pytest.raises(SuppressionError, match=problem):
            await desk.resolve(FINDING.issue_id, owner=owner, note=note)
