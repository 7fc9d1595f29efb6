"""Signatures: who sent a request, by signing it again with the secret that only they have.

In: a request as it came. Out: the key it was signed with, or the error that AWS gives.
Source: AWS General Reference, "Signature Version 4"; what is signed again is botocore's doing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from analyzer.aws.errors import AwsError
from analyzer.aws.shapes import SERVICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.access import AccessKey, KeyRing
    from rules.telemetry import Clock

SKEW_US: Final = 300_000_000  # how far a request's time may be from ours
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_TIME: Final = "%Y%m%dT%H%M%SZ"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_SCOPE_PARTS: Final = 5  # key id, date, region, service, "aws4_request"
_ALWAYS_SIGNED: Final = ("host", "x-amz-date")
_FIELD: Final = re.compile(r"\s*(Credential|SignedHeaders|Signature)=([^,\s]+)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it came: header names in lower case, in the order of the wire."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header with this name."""
        return next((value for held, value in self.headers if held == name), None)


@dataclass(frozen=True, slots=True)
class _Authorization:
    key_id: str
    date: str
    region: str
    service: str
    terminator: str
    signed: tuple[str, ...]
    signature: str


class _Again(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """Signs exactly the headers that the client signed."""

    def headers_to_sign(self, request: Any) -> Any:  # noqa: ANN401 (botocore has no types)
        return request.headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Checks signatures against a ring of keys, for one region."""

    keys: KeyRing
    clock: Clock
    region: str

    async def verify(self, request: SignedRequest) -> AccessKey:
        """Return the key that the request was signed with.

        Raises:
            AwsError: It was not signed, not rightly, not now, not for this server.
        """
        given = _parse(request.header("authorization"))
        self._check_scope(given)
        sent = self._check_time(given, request.header("x-amz-date"))
        _check_signed(given, request)
        key = await self.keys.find(given.key_id)
        if key is None:
            raise _unrecognized()
        signature = _sign(key, request, given, sent)
        if not hmac.compare_digest(signature.encode(), given.signature.encode()):
            raise AwsError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method.",
            )
        self._check_token(key, request.header("x-amz-security-token"))
        return key

    def _check_scope(self, given: _Authorization) -> None:
        if given.region != self.region:
            raise AwsError(
                "InvalidSignatureException",
                f"Credential should be scoped to a valid region: this server is {self.region!r}, "
                f"the request is for {given.region!r}. Set AWS_REGION={self.region}.",
            )
        if given.service != SERVICE:
            raise AwsError(
                "InvalidSignatureException",
                f"Credential should be scoped to correct service: {SERVICE!r}.",
            )
        if given.terminator != "aws4_request":
            raise AwsError(
                "InvalidSignatureException",
                "Credential should be scoped with a valid terminator: 'aws4_request'.",
            )

    def _check_time(self, given: _Authorization, text: str | None) -> str:
        if text is None:
            raise _incomplete("Authorization header requires existence of 'X-Amz-Date' header.")
        try:
            sent = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
        except ValueError as error:
            raise _incomplete("'X-Amz-Date' must be of the form 20260102T030405Z.") from error
        if given.date != text[:8]:
            raise AwsError(
                "InvalidSignatureException",
                f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{given.date}' != '{text[:8]}'.",
            )
        away_us = self.clock.now_us() - (sent - _EPOCH) // _US
        if abs(away_us) > SKEW_US:
            what = "expired" if away_us > 0 else "not yet current"
            raise AwsError(
                "InvalidSignatureException",
                f"Signature {what}: {text} is more than {SKEW_US // 60_000_000} min. from the "
                "server's time.",
            )
        return text

    def _check_token(self, key: AccessKey, token: str | None) -> None:
        """Refuse a wrong or missing session token, and a key that has ended."""
        if not hmac.compare_digest((token or "").encode(), (key.token or "").encode()):
            raise _unrecognized()
        if key.has_expired(self.clock.now_us()):
            raise AwsError(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            )


def _parse(header: str | None) -> _Authorization:
    if not header:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = header.partition(" ")
    if algorithm != _ALGORITHM:
        raise _incomplete(f"Authorization header must begin with {_ALGORITHM}.")
    matches = [_FIELD.fullmatch(part) for part in rest.split(",")]
    fields: dict[str, str] = {match[1]: match[2] for match in matches if match}
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if name not in fields]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        raise _incomplete(f"Authorization header requires parameter {names}.")
    scope = fields["Credential"].split("/")
    if len(scope) != _SCOPE_PARTS:
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements: keyid/date/region/service/"
            "term."
        )
    signed = tuple(fields["SignedHeaders"].lower().split(";"))
    key_id, date, region, service, terminator = scope
    return _Authorization(
        key_id, date, region, service, terminator, signed, fields["Signature"].lower()
    )


def _check_signed(given: _Authorization, request: SignedRequest) -> None:
    """Refuse requests whose meaning could be changed on the way."""
    amz = [name for name, _ in request.headers if name.startswith("x-amz-")]
    unsigned = sorted({*_ALWAYS_SIGNED, *amz} - set(given.signed))
    if unsigned:
        raise AwsError(
            "InvalidSignatureException",
            "'Host' and every 'X-Amz-…' header must be a signed header; unsigned: "
            f"{', '.join(unsigned)}.",
        )
    digest = request.header("x-amz-content-sha256")
    if digest is not None and digest != hashlib.sha256(request.body).hexdigest():
        raise AwsError(
            "InvalidSignatureException",
            "'X-Amz-Content-SHA256' is not the digest of the body.",
        )


def _sign(key: AccessKey, request: SignedRequest, given: _Authorization, sent: str) -> str:
    headers = HTTPHeaders()
    signed = set(given.signed)
    for name, value in request.headers:
        if name in signed:
            headers[name] = value
    query = f"?{request.query}" if request.query else ""
    url = f"http://host{request.path}{query}"
    again = AWSRequest(method=request.method, url=url, data=request.body)
    again.headers = headers
    again.context["timestamp"] = sent
    auth = _Again(Credentials(key.key_id, key.secret), given.service, given.region)
    canonical = auth.canonical_request(again)
    signature: str = auth.signature(auth.string_to_sign(again, canonical), again)
    return signature


def _incomplete(message: str) -> AwsError:
    return AwsError("IncompleteSignatureException", message)


def _unrecognized() -> AwsError:
    return AwsError(
        "UnrecognizedClientException", "The security token included in the request is invalid."
    )
