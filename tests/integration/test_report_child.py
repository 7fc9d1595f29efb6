"""Reports made by a process of their own."""

import asyncio

import msgspec
import pytest

from analyzer.errors import AnalyzerError
from analyzer.reports import child
from analyzer.reports.child import make_in_child
from analyzer.reports.material import Material, make_report
from analyzer.reports.occasion import Occasion
from tests.report_results import one_finding, packages_of

MATERIAL = Material(one_finding(), tuple(packages_of()), Occasion(kind="findings"))


@pytest.mark.allow_blocking  # it makes the same in this process
@pytest.mark.parametrize("form", ["html", "pdf"])
async def test_child_makes_the_same_report(form: str) -> None:
    made = await make_in_child(form, MATERIAL)  # type: ignore[arg-type]
    assert made == make_report(form, MATERIAL)  # type: ignore[arg-type]


async def test_child_says_why_there_is_no_report() -> None:
    broken = msgspec.structs.replace(MATERIAL.result, hosts=None)
    with pytest.raises(AnalyzerError, match="TypeError: 'NoneType' object is not iterable"):
        await make_in_child("html", Material(broken, (), Occasion()))


async def test_child_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "TIMEOUT_S", 0.0)
    with pytest.raises(AnalyzerError, match="was not made in 0 seconds"):
        await make_in_child("html", MATERIAL)


async def test_child_ends_with_whoever_waits_for_it() -> None:
    task = asyncio.create_task(make_in_child("html", MATERIAL))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
