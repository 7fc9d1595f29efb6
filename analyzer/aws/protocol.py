"""The way of a request: body → signature → operation → input → role → answer → audit line.

In: HTTP at ``/``. Out: an answer in the model's shape, or an error that clients know. Whatever
comes in, a reply goes out: what we did not foresee is logged and answered with InternalException.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from analyzer.aws.calls import Call, call_record
from analyzer.aws.errors import AwsError, internal
from analyzer.aws.input import read_input
from analyzer.aws.output import write_output
from analyzer.aws.refusals import unrecorded
from analyzer.aws.roles import check_role
from analyzer.aws.shapes import operations
from analyzer.aws.sigv4 import SignedRequest, Verifier
from analyzer.errors import AuditError, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from analyzer.access import AuditLog
    from analyzer.aws.shapes import Operation
    from rules.telemetry import Clock

    Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]

_LOG = logging.getLogger(__name__)
CONTENT_TYPE: Final = "application/x-amz-json-1.1"
TARGET: Final = "InspectorService"
LARGEST_BODY: Final = 1_000_000  # bytes; the largest valid input is a tenth of that
BODY_WITHIN_S: Final = 30.0
_HTTP_METHOD: Final = 405
_HTTP_TIMEOUT: Final = 408
_HTTP_TOO_LARGE: Final = 413
_HTTP_MEDIA_TYPE: Final = 415


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsEndpoint:
    """The ASGI application that serves Inspector's operations.

    Attributes:
        handlers: What answers each operation, by its name.
        translate: Turns an error of the domain into one of AWS; None = it is none of those.
    """

    handlers: Mapping[str, Handler]
    translate: Callable[[Exception, Operation], AwsError | None]
    verifier: Verifier
    audit: AuditLog
    clock: Clock
    account: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = str(uuid4())
        try:
            response = await self._respond(Request(scope, receive), request_id)
        except ClientDisconnect:
            return
        except AwsError as error:
            response = _refusal(error)
        response.headers["x-amzn-RequestId"] = request_id
        await response(scope, receive, send)

    async def _respond(self, request: Request, request_id: str) -> Response:
        body = await _body(request)
        _check_form(request)
        signed = _signed(request, body)
        key = await self.verifier.verify(signed)
        call = Call(
            request_id=request_id,
            at_us=self.clock.now_us(),
            key=key,
            operation=self._operation(request),
            source=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", ""),
        )
        return await self._audited(call, body)

    def _operation(self, request: Request) -> Operation:
        prefix, _, name = request.headers.get("x-amz-target", "").partition(".")
        operation = operations().get(name)
        if prefix != TARGET or operation is None or name not in self.handlers:
            message = f"X-Amz-Target must be {TARGET}.<Operation>, with an operation of Inspector"
            raise AwsError("UnknownOperationException", message)
        return operation

    async def _audited(self, call: Call, body: bytes) -> Response:
        answer = error = None
        try:
            await self.audit.require()
        except AuditError as failed:
            raise unrecorded(call.operation) from failed
        try:
            check_role(call.key, call.operation)
            call = replace(call, parameters=read_input(call.operation, body))
            answer = await self._answer(call)
            response = Response(write_output(call.operation, answer), media_type=CONTENT_TYPE)
        except AwsError as refused:
            error, response = refused, _refusal(refused)
        except Exception:  # noqa: BLE001 (the edge of a task: logged, and answered)
            _LOG.exception("aws.failed", extra={"operation": call.operation.name})
            error = internal()
            response = _refusal(error)
        region = self.verifier.region
        record = call_record(call, account=self.account, region=region, answer=answer, error=error)
        try:
            await self.audit.write(record)
        except AuditError as failed:
            raise unrecorded(call.operation) from failed
        return response

    async def _answer(self, call: Call) -> Mapping[str, Any] | None:
        try:
            return await self.handlers[call.operation.name](call.parameters or {})
        except AwsError:
            raise
        except Exception as error:
            translated = self.translate(error, call.operation)
            if translated is None:
                raise
            if isinstance(error, StoreError):
                extra = {"operation": call.operation.name, "reason": str(error)}
                _LOG.warning("aws.store_refused", extra=extra)
            raise translated from error


async def _body(request: Request) -> bytes:
    """Return the body, read to its end and no further than the limit."""
    chunks, size = [], 0
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > LARGEST_BODY:
                    raise AwsError(
                        "RequestEntityTooLargeException",
                        f"the body is larger than {LARGEST_BODY:,} bytes",
                        http_status=_HTTP_TOO_LARGE,
                    )
                chunks.append(chunk)
    except TimeoutError as error:
        message = f"the body did not come within {BODY_WITHIN_S:.0f} seconds"
        raise AwsError("RequestTimeoutException", message, http_status=_HTTP_TIMEOUT) from error
    return b"".join(chunks)


def _check_form(request: Request) -> None:
    if request.method != "POST":
        raise AwsError(
            "UnknownOperationException",
            f"operations are called by POST, not by {request.method}",
            http_status=_HTTP_METHOD,
        )
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise AwsError(
            "SerializationException",
            f"Content-Type must be {CONTENT_TYPE}",
            http_status=_HTTP_MEDIA_TYPE,
        )


def _signed(request: Request, body: bytes) -> SignedRequest:
    return SignedRequest(
        method=request.method,
        path=request.scope["path"],
        query=request.scope["query_string"].decode("latin-1"),
        headers=[(name.lower(), value) for name, value in request.headers.items()],
        body=body,
    )


def _refusal(error: AwsError) -> Response:
    headers = {"x-amzn-ErrorType": error.code}
    if error.http_status == _HTTP_METHOD:
        headers["Allow"] = "POST"
    return Response(
        msgspec.json.encode(error.body()),
        status_code=error.http_status,
        media_type=CONTENT_TYPE,
        headers=headers,
    )
