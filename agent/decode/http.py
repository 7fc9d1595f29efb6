"""HTTP requests in clear text: the host they call, and what they ask the metadata service for.

In: bytes of a client. Out: requests without their bodies.
Source: RFC 9112; Amazon EC2 User Guide, Use the Instance Metadata Service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from agent.errors import DecodeError

IMDS_ADDRESSES: Final = frozenset({"169.254.169.254", "fd00:ec2::254"})
IMDS_PORT: Final = 80
MAX_HEAD_BYTES: Final = 16_384

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) ([^\s]{1,8192}) HTTP/1\.[01]")
_HOST: Final = re.compile(
    rb"\nhost:[ \t]*([a-z0-9._-]{1,255})(?::\d{1,5})?[ \t]*\r?\n", re.IGNORECASE
)
_TOKEN_HEADER: Final = b"x-aws-ec2-metadata-token"
_PURPOSES: Final = (
    ("token", re.compile(rb"/[^/]+/api/token\b")),
    ("credentials", re.compile(rb".*/(iam|identity-credentials/ec2)/security-credentials\b")),
    ("identity", re.compile(rb".*/dynamic/instance-identity\b")),
)


class Request(NamedTuple):
    """The head of one request."""

    method: bytes
    target: bytes
    headers: Mapping[bytes, bytes]
    """Names in lower case; of equal ones the last."""


class RequestReader:
    """Reads the requests of one client, one after the other on one connection."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._body_bytes = 0

    def feed(self, data: bytes) -> list[Request]:
        """Take the next bytes and return the requests whose head they complete.

        Raises:
            DecodeError: This is no HTTP/1, or a body whose end cannot be told.
        """
        self._bytes += data
        requests: list[Request] = []
        while self._skip_body() and (head := self._take_head()) is not None:
            request = _read_head(head)
            requests.append(request)
            self._body_bytes = _body_bytes(request)
        return requests

    def _skip_body(self) -> bool:
        """Drop what belongs to a body; tell whether a head may begin now."""
        skipped = min(self._body_bytes, len(self._bytes))
        del self._bytes[:skipped]
        self._body_bytes -= skipped
        return self._body_bytes == 0

    def _take_head(self) -> bytes | None:
        end = _HEAD_END.search(self._bytes)
        if end is None or end.start() > MAX_HEAD_BYTES:
            if len(self._bytes) > MAX_HEAD_BYTES:
                raise DecodeError("HTTP request", "its head is too long")
            return None
        head = bytes(self._bytes[: end.start()])
        del self._bytes[: end.end()]
        return head


def read_host(head: bytes) -> str | None:
    """Return the host that the first request names; None where it does not, or not yet."""
    found = _HOST.search(head)
    return found[1].decode("ascii").lower().removesuffix(".") if found else None


def imds_columns(request: Request) -> dict[str, Any]:
    """Return the columns of ``imds_request`` that a request to the metadata service makes."""
    path = request.target.partition(b"?")[0]
    purpose = next((name for name, pattern in _PURPOSES if pattern.match(path)), "other")
    has_token = bool(request.headers.get(_TOKEN_HEADER))
    is_v2 = has_token or (request.method == b"PUT" and purpose == "token")
    return {"imds_version": 2 if is_v2 else 1, "purpose": purpose}


def _read_head(head: bytes) -> Request:
    first, *rest = head.lstrip(b"\r\n").split(b"\n")
    line = _REQUEST_LINE.match(first)
    if line is None:
        raise DecodeError("HTTP request", "its first line is none of HTTP/1")
    fields = (field.partition(b":") for field in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return Request(line[1], line[2], headers)


def _body_bytes(request: Request) -> int:
    length = request.headers.get(b"content-length", b"0")
    if b"transfer-encoding" in request.headers or not length.isdigit():
        raise DecodeError("HTTP request", "the length of its body is not stated")
    return int(length[:18])
