from typing import cast

import pytest

from analyzer.assessments import Assessments
from analyzer.aws.operations import ReportOperations
from analyzer.errors import StoreError
from analyzer.reports.desk import ReportDesk
from analyzer.store import MemoryStore, Store


class Desk:
    """Has reports of two runs."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    async def kept(self) -> list[str]:
        return ["0-aaaaaaaa", "0-bbbbbbbb"]

    async def forget(self, run_id: str) -> None:
        self.forgotten.append(run_id)


class Away(MemoryStore):
    async def run(self, run_id: str) -> None:
        raise StoreError(f"away at {run_id}")


def operations(desk: Desk, store: Store) -> ReportOperations:
    return ReportOperations(cast("Assessments", None), cast("ReportDesk", desk), store, str)


async def test_reports_of_deleted_runs_go() -> None:
    desk = Desk()
    await operations(desk, MemoryStore()).forget_deleted()
    assert desk.forgotten == ["0-aaaaaaaa", "0-bbbbbbbb"]


async def test_reports_that_stay_for_now_fail_no_deletion(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    await operations(desk, Away()).forget_deleted()
    assert (desk.forgotten, caplog.messages) == ([], ["aws.reports_left"])
