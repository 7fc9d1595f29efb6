import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from analyzer.errors import AnalyzerError
from analyzer.reports import desk as module
from analyzer.reports.desk import BusyError, ReportDesk, ReportStatus
from analyzer.reports.material import Form, Material, make_report
from analyzer.reports.occasion import Kind, Occasion
from analyzer.reports.tokens import KEY_BYTES, Signer, TokenError
from rules.telemetry import ManualClock
from tests.report_results import one_finding, packages_of

WORKING = ReportStatus("WORK_IN_PROGRESS")
MATERIAL = Material(one_finding(), tuple(packages_of()), Occasion())
PAGE = make_report("html", MATERIAL)


@dataclass
class Source:
    """Knows one ended run; holds reports back until told."""

    version_of: str = "v1"
    error: Exception | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[str, Kind]] = field(default_factory=list)

    async def exists(self, run_id: str) -> bool:
        return run_id != "0-deleted"

    async def version(self, run_id: str) -> str:
        if run_id == "0-active":
            raise AnalyzerError("run 0-active is active")
        return self.version_of

    async def material(self, run_id: str, kind: Kind) -> Material:
        self.asked.append((run_id, kind))
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return MATERIAL


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
async def desk(source: Source, clock: ManualClock, tmp_path: Path) -> AsyncIterator[ReportDesk]:
    signer = Signer(b"k" * KEY_BYTES)
    async with ReportDesk(
        source, tmp_path, signer=signer, clock=clock, lifetime_s=60, make=make_in_thread
    ) as made:
        yield made


async def make_in_thread(form: Form, material: Material) -> bytes:
    return await asyncio.to_thread(make_report, form, material)


async def ended(desk: ReportDesk) -> None:
    while desk._tasks:
        await asyncio.gather(*desk._tasks.values())


async def test_report_is_made_in_the_background_and_handed_out(
    desk: ReportDesk, source: Source, clock: ManualClock
) -> None:
    assert await desk.request("0-a", kind="full", form="html") == WORKING
    assert await desk.request("0-a", kind="full", form="html") == WORKING
    source.go.set()
    await ended(desk)
    assert source.asked == [("0-a", "full")]
    done = await desk.request("0-a", kind="full", form="html")
    assert (done.status, done.reason) == ("COMPLETED", "")
    file = await desk.open(done.token)
    assert file.path.read_bytes() == PAGE
    assert (file.name, file.media_type) == ("proctor-0-a-full.html", "text/html; charset=utf-8")
    clock.time_us += 60_000_000
    with pytest.raises(TokenError, match="expired"):
        await desk.open(done.token)
    later = await desk.request("0-a", kind="full", form="html")
    assert (await desk.open(later.token)).path == file.path


async def test_active_or_unknown_run_is_what_the_source_says(desk: ReportDesk) -> None:
    with pytest.raises(AnalyzerError, match="0-active is active"):
        await desk.request("0-active", kind="full", form="pdf")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AnalyzerError("its result is damaged"), "its result is damaged"),
        (ValueError("a bug"), "the report could not be made; the server's log says why"),
    ],
)
async def test_failure_is_told_once_then_tried_again(
    desk: ReportDesk, source: Source, error: Exception, reason: str
) -> None:
    source.error = error
    source.go.set()
    await desk.request("0-a", kind="findings", form="pdf")
    await ended(desk)
    failed = await desk.request("0-a", kind="findings", form="pdf")
    assert failed == ReportStatus("FAILED", reason=reason)
    source.error = None
    assert await desk.request("0-a", kind="findings", form="pdf") == WORKING
    await ended(desk)
    done = await desk.request("0-a", kind="findings", form="pdf")
    assert (await desk.open(done.token)).path.read_bytes().startswith(b"%PDF-")


async def test_report_is_made_anew_when_its_run_changed(
    desk: ReportDesk, source: Source, tmp_path: Path
) -> None:
    source.go.set()
    await desk.request("0-a", kind="full", form="html")
    await ended(desk)
    old = await desk.request("0-a", kind="full", form="html")
    source.version_of = "v2"
    assert await desk.request("0-a", kind="full", form="html") == WORKING
    await ended(desk)
    assert [path.name for path in (tmp_path / "0-a").iterdir()] == ["full-v2.html"]
    with pytest.raises(TokenError, match="no longer there"):
        await desk.open(old.token)


async def test_deleted_run_takes_its_reports_along(
    desk: ReportDesk, source: Source, tmp_path: Path
) -> None:
    await desk.request("0-a", kind="full", form="html")
    await asyncio.sleep(0)
    await desk.forget("0-a")
    source.go.set()
    await ended(desk)
    assert not (tmp_path / "0-a").exists()
    await desk.request("0-a", kind="full", form="html")
    await ended(desk)
    assert (tmp_path / "0-a").exists()
    await desk.forget("0-a")
    assert not (tmp_path / "0-a").exists()


async def test_run_that_was_deleted_elsewhere_takes_its_reports_along(
    desk: ReportDesk, source: Source, tmp_path: Path
) -> None:
    source.go.set()
    await desk.request("0-deleted", kind="full", form="html")
    await ended(desk)
    done = await desk.request("0-deleted", kind="full", form="html")
    with pytest.raises(TokenError, match="no longer there"):
        await desk.open(done.token)
    assert not await asyncio.to_thread((tmp_path / "0-deleted").exists)


async def test_failure_of_a_deleted_run_is_forgotten(desk: ReportDesk, source: Source) -> None:
    source.error = AnalyzerError("gone")
    await desk.request("0-a", kind="full", form="html")
    await desk.request("0-b", kind="full", form="html")
    await desk.forget("0-a")
    source.go.set()
    await ended(desk)
    await desk.forget("0-b")
    assert desk._failures == {}


async def test_too_many_are_refused(
    desk: ReportDesk, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    await desk.request("0-a", kind="full", form="html")
    await desk.request("0-b", kind="full", form="html")
    with pytest.raises(BusyError, match="2 reports are being made already"):
        await desk.request("0-c", kind="full", form="html")
    source.error = AnalyzerError("x")
    source.go.set()
    await ended(desk)
    await desk.request("0-c", kind="full", form="html")
    await ended(desk)
    assert {wanted.run_id for wanted in desk._failures} == {"0-b", "0-c"}


async def test_place_that_cannot_be_written_is_the_reason(
    desk: ReportDesk, source: Source, tmp_path: Path
) -> None:
    (tmp_path / "0-a").write_text("no folder")
    source.go.set()
    await desk.request("0-a", kind="full", form="html")
    await ended(desk)
    failed = await desk.request("0-a", kind="full", form="html")
    assert failed.status == "FAILED"
    assert "cannot write" in failed.reason


async def test_leaving_gives_up_what_is_not_complete(
    source: Source, clock: ManualClock, tmp_path: Path
) -> None:
    async with ReportDesk(source, tmp_path, signer=Signer(b"k"), clock=clock) as desk:
        await desk.request("0-a", kind="full", form="html")
    assert not await asyncio.to_thread((tmp_path / "0-a").exists)
