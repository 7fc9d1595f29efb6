import asyncio

from analyzer.server.pace import Pace

_AN_HOUR_S = 3_600.0


async def test_news_end_a_rest() -> None:
    pace = Pace(longest_s=_AN_HOUR_S, least_s=0)
    rest = asyncio.create_task(pace.rest(worked_s=0))
    await asyncio.sleep(0)
    pace.hurry()
    await rest


async def test_news_during_work_make_the_next_rest_short_and_only_that() -> None:
    pace = Pace(longest_s=_AN_HOUR_S, least_s=0)
    pace.hurry()
    await pace.rest(worked_s=0)
    rest = asyncio.create_task(pace.rest(worked_s=0))
    done, _ = await asyncio.wait([rest], timeout=0.01)
    assert not done
    rest.cancel()


async def test_work_that_took_long_is_followed_by_rest_whatever_comes() -> None:
    pace = Pace(longest_s=_AN_HOUR_S, least_s=0)
    pace.hurry()
    rest = asyncio.create_task(pace.rest(worked_s=_AN_HOUR_S))
    done, _ = await asyncio.wait([rest], timeout=0.01)
    assert not done
    rest.cancel()


async def test_rest_ends_without_news() -> None:
    await Pace(longest_s=0.001, least_s=0).rest(worked_s=0)
