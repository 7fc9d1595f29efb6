"""From a run that the run clock judged to its report, made by a child process."""

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from analyzer.data_folder import DataFolder
from analyzer.reports.desk import ReportDesk, ReportFile
from analyzer.reports.stored import StoredReports
from analyzer.reports.tokens import TokenError, signer_of
from analyzer.runs.desk import RunDesk
from analyzer.store import open_store
from rules.telemetry import SystemClock
from tests.pdf_pages import pdf_text
from tests.recorded_runs import make_run
from tests.report_pages import read_page

pytestmark = pytest.mark.allow_blocking  # SQLAlchemy resolves the path of the database file
WAIT_S = 40.0


@pytest.mark.parametrize("form", ["html", "pdf"])
def test_report_of_a_judged_run_is_made_and_forgotten(
    tmp_path: Path, form: Literal["html", "pdf"]
) -> None:
    folder = DataFolder(tmp_path)
    run = make_run(folder)

    async def work() -> str:
        store, clock = await open_store(folder.store), SystemClock()
        source = StoredReports(RunDesk(store, folder, clock=clock), store, clock=clock)
        signer = signer_of(folder.report_key)
        async with ReportDesk(source, folder.reports, signer=signer, clock=clock) as desk:
            token = await completed(desk, run.id, form)
            text = told(await desk.open(token), form)
            await desk.forget(run.id)
            with pytest.raises(TokenError, match="no longer there"):
                await desk.open(token)
        await store.close()
        return text

    text = asyncio.run(work())
    for part in (
        "web-1",
        "db-1",
        "telnet",
        "10.0.0.9",
        "Rules that were checked",
    ):
        assert part in text


async def completed(desk: ReportDesk, run_id: str, form: Literal["html", "pdf"]) -> str:
    """Return the token of a report as soon as it is made."""
    async with asyncio.timeout(WAIT_S):
        while True:
            status = await desk.request(run_id, kind="full", form=form)
            if status.status != "WORK_IN_PROGRESS":
                assert status.status == "COMPLETED", status.reason
                return status.token
            await asyncio.sleep(0.1)


def told(file: ReportFile, form: str) -> str:
    data = file.path.read_bytes()
    return pdf_text(data) if form == "pdf" else read_page(data).text
