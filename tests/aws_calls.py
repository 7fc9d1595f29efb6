"""Calls the AWS API in this process. Comes in: an application, what to call. Goes out: a reply.

Requests are signed by botocore, as a client of its would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.types import ASGIApp, Message

from analyzer.access import AccessKey

HOST = "127.0.0.1:8420"
REGION = "us-east-1"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
Headers = dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 (JSON)
        """Return the body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Return the error's name."""
        return str(self.json["__type"])


@dataclass
class Asking:
    """A request that is about to be signed and sent."""

    operation: str = "ListRulesPackages"
    body: bytes = b"{}"
    method: str = "POST"
    path: str = "/"
    headers: Headers = field(default_factory=dict)

    def head(self) -> Headers:
        """Return the headers of an ordinary client."""
        return {
            "Host": HOST,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"InspectorService.{self.operation}",
            **self.headers,
        }


def sign(
    asking: Asking,
    key: AccessKey,
    *,
    region: str = REGION,
    service: str = "inspector",
    at: datetime = NOW,
) -> Headers:
    """Return the headers with which a client sends the request."""
    request = AWSRequest(
        method=asking.method,
        url=f"http://{HOST}{asking.path}",
        data=asking.body,
        headers=asking.head(),
    )
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    auth = SigV4Auth(Credentials(key.key_id, key.secret, key.token), service, region)
    auth._modify_request_before_signing(request)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(text, request))
    return dict(request.headers.items())


async def send(app: ASGIApp, asking: Asking, headers: Headers) -> Reply:
    """Return what the application replies."""
    path, _, query = asking.path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": asking.method,
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
        "client": ("192.0.2.7", 40_000),
        "server": ("127.0.0.1", 8420),
    }
    return await _reply(app, scope, asking.body)


async def _reply(app: ASGIApp, scope: dict[str, Any], body: bytes) -> Reply:
    incoming: Iterator[Message] = iter(
        [
            {"type": "http.request", "body": body[:10], "more_body": True},
            {"type": "http.request", "body": body[10:], "more_body": False},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Message:
        return next(incoming, {"type": "http.disconnect"})

    async def take(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, take)
    headers = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
    return Reply(sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:]))


def audit_lines(path: Path) -> list[dict[str, Any]]:
    """Return what an audit log holds."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]
