"""Which path leads where; reports are handed out to whoever has their address."""

from pathlib import Path

import pytest
from starlette.applications import Starlette

from analyzer.reports.desk import ReportDesk
from analyzer.reports.tokens import Grant, Signer
from analyzer.results.document import Result
from analyzer.server.routes import build_app, report_path, report_route
from rules.telemetry.clock import ManualClock
from tests.aws_calls import Asking, Reply, send

SIGNER = Signer(b"k" * 32)
pytestmark = pytest.mark.allow_blocking  # the files of the tests


class NoRuns:
    """Says nothing of runs: what is handed out is there already."""

    async def exists(self, run_id: str) -> bool:
        return bool(run_id)

    async def version(self, run_id: str) -> str:
        raise AssertionError(run_id)

    async def material(self, run_id: str, kind: str) -> Result:
        raise AssertionError(run_id, kind)


async def aws(*_: object) -> None:
    raise AssertionError


@pytest.fixture
def app(tmp_path: Path) -> Starlette:
    (tmp_path / "0-abc").mkdir()
    (tmp_path / "0-abc" / "full-1.html").write_text("<h1>Report</h1>")
    desk = ReportDesk(NoRuns(), tmp_path, signer=SIGNER, clock=ManualClock(10))  # type: ignore[arg-type]
    return build_app(aws, routes=[report_route(desk)])


async def get(app: Starlette, path: str) -> Reply:
    return await send(app, Asking(method="GET", path=path), {})


async def test_report_is_handed_out_by_its_address(app: Starlette) -> None:
    reply = await get(app, report_path(SIGNER.token(Grant("0-abc", "full-1.html", 11))))

    assert (reply.status, reply.body) == (200, b"<h1>Report</h1>")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-disposition"] == 'inline; filename="proctor-0-abc-full.html"'
    assert reply.headers["cache-control"] == "private, no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("abc", "this address is of no report"),
        (SIGNER.token(Grant("0-abc", "full-1.html", 10)), "this address has expired"),
        (SIGNER.token(Grant("0-abd", "full-1.html", 11)), "this report is no longer there"),
        (Signer(b"x" * 32).token(Grant("0-abc", "full-1.html", 11)), "is of no report"),
    ],
)
async def test_other_addresses_lead_nowhere(app: Starlette, token: str, why: str) -> None:
    reply = await get(app, report_path(token))

    assert reply.status == 404
    assert why in reply.json["message"]
