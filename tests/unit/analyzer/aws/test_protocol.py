"""The way of a request: what goes in, what comes out, what is written down."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from analyzer.access import AccessKey, AuditLog, CredentialsFile, KeyRing, Role, new_key
from analyzer.aws import protocol
from analyzer.aws.errors import AwsError, invalid_input
from analyzer.aws.protocol import LARGEST_BODY, AwsEndpoint
from analyzer.aws.refusals import refusal
from analyzer.aws.shapes import Operation, operations
from analyzer.aws.sigv4 import Verifier
from analyzer.errors import StoreError
from analyzer.server.routes import build_app
from rules.telemetry.clock import ManualClock
from tests.aws_calls import NOW_US, Asking, Reply, audit_lines, send, sign

FULL = new_key("proctor")
READER = new_key("reader", role=Role.READ_ONLY)
ARN = "arn:aws:inspector:us-east-1:000000000000:target/0-AbCd12Ef"
CREATE = Asking("CreateAssessmentTarget", b'{"assessmentTargetName": "all"}')


class Answers:
    """Answers one operation of each kind."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def create(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.error:
            raise self.error
        return {"assessmentTargetArn": f"{ARN}/{request['assessmentTargetName']}"}

    async def list(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"rulesPackageArns": ["x"], "nextToken": request.get("nextToken")}

    async def delete(self, _: Mapping[str, Any]) -> None:
        return None


def translate(error: Exception, operation: Operation) -> AwsError | None:
    if isinstance(error, LookupError):
        return invalid_input("INVALID_TAG", f"{operation.name}: {error}")
    return None


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def endpoint(tmp_path: Path, answers: Answers) -> AwsEndpoint:
    file = CredentialsFile(tmp_path / "credentials")
    file.add(FULL, now_us=0)
    file.add(READER, now_us=0)
    clock = ManualClock(NOW_US)
    return AwsEndpoint(
        handlers=dict.fromkeys(operations(), answers.delete)
        | {
            "CreateAssessmentTarget": answers.create,
            "ListRulesPackages": answers.list,
            "DeleteAssessmentRun": answers.delete,
        },
        translate=translate,
        verifier=Verifier(keys=KeyRing(file), clock=clock, region="us-east-1"),
        audit=AuditLog(tmp_path / "audit.ndjson"),
        clock=clock,
        account="000000000000",
    )


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    return tmp_path / "audit.ndjson"


def put_in_the_way(path: Path) -> None:
    """Put a folder where a file should be."""
    path.unlink(missing_ok=True)
    path.mkdir()


async def call(endpoint: AwsEndpoint, asking: Asking, key: AccessKey = FULL) -> Reply:
    return await send(build_app(endpoint), asking, sign(asking, key))


async def test_answer_is_in_the_models_shape(endpoint: AwsEndpoint) -> None:
    reply = await call(endpoint, Asking(body=b'{"nextToken": "n"}'))

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/x-amz-json-1.1"
    assert len(reply.headers["x-amzn-requestid"]) == 36
    assert reply.json == {"rulesPackageArns": ["x"], "nextToken": "n"}


async def test_operation_without_output_has_an_empty_body(endpoint: AwsEndpoint) -> None:
    reply = await call(endpoint, Asking("DeleteAssessmentRun", b'{"assessmentRunArn": "a"}'))

    assert (reply.status, reply.body) == (200, b"")


async def test_change_is_written_down_with_its_answer(endpoint: AwsEndpoint, audit: Path) -> None:
    asking = Asking(CREATE.operation, CREATE.body, headers={"User-Agent": "aws-cli/2"})

    reply = await call(endpoint, asking)

    (line,) = audit_lines(audit)
    assert line == {
        "eventVersion": "1.08",
        "eventTime": "2026-01-02T03:04:05Z",
        "eventSource": "inspector.amazonaws.com",
        "eventName": "CreateAssessmentTarget",
        "eventType": "AwsApiCall",
        "apiVersion": "v20160216",
        "awsRegion": "us-east-1",
        "recipientAccountId": "000000000000",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2",
        "userIdentity": {
            "type": "IAMUser",
            "userName": "proctor",
            "accessKeyId": FULL.key_id,
            "accountId": "000000000000",
        },
        "requestID": reply.headers["x-amzn-requestid"],
        "readOnly": False,
        "requestParameters": {"assessmentTargetName": "all"},
        "responseElements": {"assessmentTargetArn": f"{ARN}/all"},
    }
    assert FULL.secret not in str(line)


async def test_call_that_cannot_be_written_down_is_refused_and_not_made(
    endpoint: AwsEndpoint, answers: Answers, audit: Path
) -> None:
    put_in_the_way(audit)
    answers.error = AssertionError("it was called")
    refused = await call(endpoint, CREATE)
    assert (refused.status, refused.json["__type"]) == (
        400,
        "ServiceTemporarilyUnavailableException",
    )
    assert refused.json["canRetry"] is True
    assert "audit log" in refused.json["message"]
    read = await call(endpoint, Asking("ListRulesPackages"))  # has no error of that name
    assert (read.status, read.json["__type"]) == (500, "InternalException")
    assert "audit log" in read.json["message"]


async def test_call_whose_line_fails_afterwards_is_not_answered(
    endpoint: AwsEndpoint, audit: Path
) -> None:
    create = endpoint.handlers["CreateAssessmentTarget"]

    async def then_break(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
        await asyncio.to_thread(put_in_the_way, audit)
        return await create(request)

    broken = replace(endpoint, handlers={**endpoint.handlers, "CreateAssessmentTarget": then_break})
    refused = await call(broken, CREATE)
    assert refused.json["__type"] == "ServiceTemporarilyUnavailableException"


async def test_read_is_written_down_without_its_answer(endpoint: AwsEndpoint, audit: Path) -> None:
    await call(endpoint, Asking())

    (line,) = audit_lines(audit)
    assert (line["readOnly"], line["responseElements"]) == (True, None)


async def test_reader_may_not_change(endpoint: AwsEndpoint, audit: Path) -> None:
    reply = await call(endpoint, CREATE, READER)

    assert reply.status == 400
    assert reply.headers["x-amzn-errortype"] == "AccessDeniedException"
    assert reply.json["errorCode"] == "ACCESS_DENIED_TO_ASSESSMENT_TARGET"
    assert audit_lines(audit)[0]["errorCode"] == "AccessDeniedException"
    assert (await call(endpoint, Asking(), READER)).status == 200


@pytest.mark.parametrize("name", [name for name, held in operations().items() if not held.is_read])
async def test_every_change_has_a_code_for_readers(endpoint: AwsEndpoint, name: str) -> None:
    reply = await call(endpoint, Asking(name), READER)

    assert reply.code == "AccessDeniedException"


async def test_store_that_refuses_is_one_line_of_the_log(
    endpoint: AwsEndpoint, answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    answers.error = StoreError("away")
    reply = await call(replace(endpoint, translate=refusal), CREATE)

    assert reply.json["__type"] == "ServiceTemporarilyUnavailableException"
    (line,) = caplog.records
    assert (line.message, vars(line)["reason"], line.exc_info) == (
        "aws.store_refused",
        "away",
        None,
    )


async def test_error_of_the_domain_is_translated(endpoint: AwsEndpoint, answers: Answers) -> None:
    answers.error = KeyError("gone")

    reply = await call(endpoint, CREATE)

    assert reply.status == 400
    assert reply.json == {
        "__type": "InvalidInputException",
        "message": "CreateAssessmentTarget: 'gone'",
        "errorCode": "INVALID_TAG",
        "canRetry": False,
    }


async def test_error_of_aws_is_answered_as_it_is(endpoint: AwsEndpoint, answers: Answers) -> None:
    answers.error = AwsError("LimitExceededException", "no more")

    assert (await call(endpoint, CREATE)).code == "LimitExceededException"


async def test_fault_of_ours_is_logged_and_says_nothing(
    endpoint: AwsEndpoint, answers: Answers, audit: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers.error = ValueError("a secret")

    with caplog.at_level(logging.ERROR):
        reply = await call(endpoint, CREATE)

    assert (reply.status, reply.code) == (500, "InternalException")
    assert b"a secret" not in reply.body
    assert "a secret" in caplog.text
    assert audit_lines(audit)[0]["errorCode"] == "InternalException"


async def test_invalid_input_is_refused_before_anybody_is_called(
    endpoint: AwsEndpoint, audit: Path
) -> None:
    reply = await call(endpoint, Asking("CreateAssessmentTarget", b'{"assessmentTargetName": ""}'))

    assert reply.json["errorCode"] == "INVALID_ASSESSMENT_TARGET_NAME"
    assert audit_lines(audit)[0]["requestParameters"] is None


@pytest.mark.parametrize(
    "target", ["InspectorService.NoSuch", "Other.ListFindings", "ListFindings", ""]
)
async def test_unknown_operation_is_named_so(endpoint: AwsEndpoint, target: str) -> None:
    reply = await call(endpoint, Asking(headers={"X-Amz-Target": target}))

    assert (reply.status, reply.code) == (400, "UnknownOperationException")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_refused(endpoint: AwsEndpoint, method: str) -> None:
    reply = await call(endpoint, Asking(method=method))

    assert (reply.status, reply.headers["allow"]) == (405, "POST")


async def test_other_content_is_refused(endpoint: AwsEndpoint) -> None:
    asking = Asking(headers={"Content-Type": "application/json"})

    assert (await call(endpoint, asking)).status == 415


async def test_charset_is_no_other_content(endpoint: AwsEndpoint) -> None:
    asking = Asking(headers={"Content-Type": "Application/X-AMZ-JSON-1.1; charset=utf-8"})

    assert (await call(endpoint, asking)).status == 200


async def test_large_body_is_refused(endpoint: AwsEndpoint) -> None:
    reply = await call(endpoint, Asking(body=b" " * (LARGEST_BODY + 1)))

    assert (reply.status, reply.code) == (413, "RequestEntityTooLargeException")


async def test_body_that_does_not_come_is_given_up(
    endpoint: AwsEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "BODY_WITHIN_S", 0.0)
    asking = Asking()
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"", "more_body": True}

    async def take(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    await endpoint(scope | {"client": None}, receive, take)

    assert sent[0]["status"] == 408
    assert asking.operation.encode() not in sent[1]["body"]


async def test_client_that_goes_away_gets_nothing(endpoint: AwsEndpoint) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def take(_: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    await endpoint(scope, receive, take)


async def test_unsigned_request_is_refused_and_not_written_down(
    endpoint: AwsEndpoint, audit: Path
) -> None:
    asking = Asking()

    reply = await send(build_app(endpoint), asking, asking.head())

    assert reply.code == "MissingAuthenticationTokenException"
    assert audit_lines(audit) == []


async def test_health_needs_no_key(endpoint: AwsEndpoint) -> None:
    reply = await send(build_app(endpoint), Asking(method="GET", path="/healthz"), {})

    assert (reply.status, reply.json) == (200, {"status": "ok"})


async def test_other_paths_are_not_there(endpoint: AwsEndpoint) -> None:
    reply = await call(endpoint, Asking(path="/nowhere"))

    assert (reply.status, reply.json) == (404, {"message": "Not Found"})
