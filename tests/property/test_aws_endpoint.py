"""Whatever comes in, a reply goes out that is no fault of ours.

``make fuzz`` tries 20,000 examples of some requests each.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp

from analyzer.access import AuditLog, CredentialsFile, KeyRing, new_key
from analyzer.arns import Arns
from analyzer.assessments import Assessments
from analyzer.aws.operations import ReportOperations, handlers
from analyzer.aws.protocol import AwsEndpoint
from analyzer.aws.refusals import refusal
from analyzer.aws.shapes import operations
from analyzer.aws.sigv4 import Verifier
from analyzer.reports.desk import ReportDesk, ReportStatus
from analyzer.server.routes import build_app
from analyzer.store import MemoryStore
from rules.loader import load_packages
from rules.telemetry.clock import ManualClock
from tests.aws_calls import NOW_US, Asking, Reply, send, sign
from tests.aws_inputs import valid

KEY = new_key("proctor")
ARN = "arn:aws:inspector:us-east-1:000000000000:target/0-AbCd12Ef"
NESTED = f"{ARN}/template/0-Gh34IjKl/run/0-Mn56OpQr"
ALLOWED = {200, 400, 404, 405, 413, 415}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        [ARN, NESTED, f"{NESTED}/finding/0-AAAAAAAA", "\0", "\ud800", "*", "A" * 301]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted(operations()))
LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60)


class NoReports:
    """Has no report, and makes none."""

    async def request(self, run_id: str, *, kind: str, form: str) -> ReportStatus:
        return ReportStatus("WORK_IN_PROGRESS", reason=f"{run_id} {kind} {form}")

    async def kept(self) -> list[str]:
        return []


@cache
def application() -> ASGIApp:
    folder = Path(tempfile.mkdtemp())
    file = CredentialsFile(folder / "credentials")
    file.add(KEY, now_us=0)
    clock = ManualClock(NOW_US)
    store = MemoryStore()
    desk = Assessments(store, arns=Arns(), packages=load_packages(), clock=clock)
    endpoint = AwsEndpoint(
        handlers=handlers(
            desk,
            reports=ReportOperations(desk, cast("ReportDesk", NoReports()), store, str),
            check_topic=lambda arn: asyncio.sleep(0, arn),
            clock=clock,
        ),
        translate=refusal,
        verifier=Verifier(keys=KeyRing(file), clock=clock, region="us-east-1"),
        audit=AuditLog(folder / "audit.ndjson"),
        clock=clock,
        account="000000000000",
    )
    return build_app(endpoint)


def answer(asking: Asking, headers: dict[str, str]) -> Reply:
    """Return the reply; it comes, and in time."""
    app = application()

    async def ask() -> Reply:
        async with asyncio.timeout(10):
            return await send(app, asking, headers)

    reply = asyncio.run(ask())
    assert reply.status in ALLOWED, reply
    if reply.status != 200:
        assert reply.json["message"] is not None
    return reply


@st.composite
def inputs(draw: st.DrawFn, name: str) -> object:
    """Return valid input with some of it replaced by anything."""
    value: object = valid(operations()[name].input)
    for _ in range(draw(st.integers(0, 3))):
        value = _changed(draw, value)
    return value


def _changed(draw: st.DrawFn, value: object) -> object:
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: _changed(draw, value[name])}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [_changed(draw, value[0])] * draw(st.sampled_from([1, 2, 11, 101]))
    return draw(JSON)


@given(st.data())
def test_signed_input_of_any_kind_is_answered(data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(NAMES)
        body = json.dumps(data.draw(inputs(name))).encode()
        asking = Asking(name, body)
        answer(asking, sign(asking, KEY))


@given(NAMES, st.binary(max_size=200))
def test_signed_bytes_are_answered(name: str, body: bytes) -> None:
    asking = Asking(name, body)
    assert answer(asking, sign(asking, KEY)).status in {200, 400}


@given(LATIN, st.integers(0, 200), st.integers(0, 200))
def test_signature_is_broken_anywhere(piece: str, start: int, length: int) -> None:
    headers = sign(Asking(), KEY)
    whole = headers["Authorization"]
    headers["Authorization"] = broken = whole[:start] + piece + whole[start + length :]
    reply = answer(Asking(), headers)
    assert (reply.status == 400) == (broken != whole) or reply.status == 200


@given(
    st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "BREW"]),
    st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"]), max_size=20),
    st.dictionaries(
        st.sampled_from(
            ["host", "x-amz-date", "x-amz-target", "content-type", "authorization", "x"]
        ),
        LATIN,
    ),
    st.binary(max_size=50),
)
def test_requests_of_any_kind_are_answered(
    method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    answer(Asking("ListFindings", body, method, f"/{path.partition('?')[0]}"), headers)
