"""Signatures are checked as AWS does: published vectors, scope, time, headers, tokens."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from analyzer.access import AccessKey, CredentialsFile, KeyRing, new_key
from analyzer.aws.errors import AwsError
from analyzer.aws.sigv4 import SignedRequest, Verifier, _Authorization, _sign
from rules.telemetry.clock import ManualClock
from tests.aws_calls import NOW, NOW_US, Asking, Headers, sign

KEY = new_key("proctor")
TEMPORARY = new_key("guest", expires_us=NOW_US + 1)
# Source: AWS Signature Version 4 test suite (aws-sig-v4-test-suite), 2015-08-30.
VECTOR_KEY = AccessKey(
    name="vectors",
    key_id="AKIDEXAMPLE",
    secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",  # noqa: S106 (published)
)
VECTOR_TIME = "20150830T123600Z"
VECTORS = {
    "get-vanilla": (
        ("GET", "", b"", {}),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "post-vanilla": (
        ("POST", "", b"", {}),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "get-vanilla-query-order-key-case": (
        ("GET", "Param2=value2&Param1=value1", b"", {}),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    "post-x-www-form-urlencoded": (
        ("POST", "", b"Param1=value1", {"content-type": "application/x-www-form-urlencoded"}),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_US)


@pytest.fixture
def verifier(tmp_path: Path, clock: ManualClock) -> Verifier:
    file = CredentialsFile(tmp_path / "credentials")
    file.add(KEY, now_us=0)
    file.add(TEMPORARY, now_us=0)
    return Verifier(keys=KeyRing(file), clock=clock, region="us-east-1")


def request(headers: Headers, asking: Asking | None = None) -> SignedRequest:
    asked = asking or Asking()
    path, _, query = asked.path.partition("?")
    return SignedRequest(
        method=asked.method,
        path=path,
        query=query,
        headers=[(name.lower(), value) for name, value in headers.items()],
        body=asked.body,
    )


async def refused(verifier: Verifier, headers: Headers, asking: Asking | None = None) -> AwsError:
    with pytest.raises(AwsError) as caught:
        await verifier.verify(request(headers, asking))
    return caught.value


@pytest.mark.parametrize("name", VECTORS)
def test_signature_is_that_of_the_published_vector(name: str) -> None:
    (method, query, body, more), signature = VECTORS[name]
    headers = {"host": "example.amazonaws.com", "x-amz-date": VECTOR_TIME, **more}
    asked = SignedRequest(
        method=method, path="/", query=query, headers=list(headers.items()), body=body
    )
    given = _Authorization(
        "AKIDEXAMPLE", "20150830", "us-east-1", "service", "aws4_request", tuple(headers), ""
    )

    assert _sign(VECTOR_KEY, asked, given, VECTOR_TIME) == signature


@pytest.mark.parametrize("path", ["/", "/?", "/?a=1&b=%20", "/?x"])
async def test_what_a_client_signed_is_its_key(verifier: Verifier, path: str) -> None:
    asking = Asking(path=path, body=b'{"maxResults": 3}')

    assert await verifier.verify(request(sign(asking, KEY), asking)) == KEY


async def test_temporary_key_comes_with_its_token(verifier: Verifier) -> None:
    headers = sign(Asking(), TEMPORARY)

    assert await verifier.verify(request(headers)) == TEMPORARY


async def test_temporary_key_with_another_token_is_refused(verifier: Verifier) -> None:
    headers = sign(Asking(), replace(TEMPORARY, token="another"))  # noqa: S106

    assert (await refused(verifier, headers)).code == "UnrecognizedClientException"


async def test_temporary_key_without_token_is_refused(verifier: Verifier) -> None:
    headers = sign(Asking(), replace(TEMPORARY, token=None))

    assert (await refused(verifier, headers)).code == "UnrecognizedClientException"


async def test_temporary_key_ends(verifier: Verifier, clock: ManualClock) -> None:
    clock.advance(1)

    assert (await refused(verifier, sign(Asking(), TEMPORARY))).code == "ExpiredTokenException"


@pytest.mark.parametrize("field", ["secret", "key_id"])
async def test_wrong_key_is_refused(verifier: Verifier, field: str) -> None:
    wrong = new_key("proctor")
    key = replace(KEY, **{field: getattr(wrong, field)})
    expected = {"secret": "InvalidSignatureException", "key_id": "UnrecognizedClientException"}

    assert (await refused(verifier, sign(Asking(), key))).code == expected[field]


async def test_another_region_is_told_ours(verifier: Verifier) -> None:
    error = await refused(verifier, sign(Asking(), KEY, region="eu-west-1"))

    assert error.code == "InvalidSignatureException"
    assert "AWS_REGION=us-east-1" in str(error)


async def test_another_service_is_refused(verifier: Verifier) -> None:
    error = await refused(verifier, sign(Asking(), KEY, service="sns"))

    assert "'inspector'" in str(error)


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_skewed_clock_is_refused(verifier: Verifier, seconds: int) -> None:
    headers = sign(Asking(), KEY, at=NOW + timedelta(seconds=seconds))

    assert (await refused(verifier, headers)).code == "InvalidSignatureException"


@pytest.mark.parametrize("seconds", [-300, 300])
async def test_five_minutes_are_no_skew(verifier: Verifier, seconds: int) -> None:
    headers = sign(Asking(), KEY, at=NOW + timedelta(seconds=seconds))

    assert await verifier.verify(request(headers)) == KEY


@pytest.mark.parametrize("what", ["body", "target", "path", "method"])
async def test_changed_request_is_refused(verifier: Verifier, what: str) -> None:
    headers = sign(Asking(), KEY)
    changed = Asking()
    if what == "body":
        changed.body = b'{"maxResults": 1}'
    elif what == "target":
        headers["X-Amz-Target"] = "InspectorService.DeleteAssessmentTarget"
    elif what == "path":
        changed.path = "/other"
    else:
        changed.method = "PUT"

    assert (await refused(verifier, headers, changed)).code == "InvalidSignatureException"


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-target"])
async def test_header_that_matters_must_be_signed(verifier: Verifier, name: str) -> None:
    headers = sign(Asking(), KEY)
    headers["Authorization"] = headers["Authorization"].replace(name, "content-type")

    assert f"unsigned: {name}" in str(await refused(verifier, headers))


async def test_digest_of_another_body_is_refused(verifier: Verifier) -> None:
    asking = Asking(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})

    assert "digest" in str(await refused(verifier, sign(asking, KEY), asking))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "MissingAuthenticationTokenException"),
        ("Basic abc", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256", "IncompleteSignatureException"),
        ("AWS4-HMAC-SHA256 Credential=a, Signature=b", "IncompleteSignatureException"),
        (
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=\xff",
            "IncompleteSignatureException",
        ),
        (
            (
                "AWS4-HMAC-SHA256 Credential=a/20260102/us-east-1/inspector/aws5_request, "
                "SignedHeaders=host, Signature=\xff"
            ),
            "InvalidSignatureException",
        ),
        (
            (
                "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/inspector/aws4_request, "
                "SignedHeaders=host, Signature=0"
            ),
            "InvalidSignatureException",
        ),
    ],
)
async def test_odd_authorization_is_named(verifier: Verifier, value: str, code: str) -> None:
    headers = sign(Asking(), KEY) | {"Authorization": value}

    assert (await refused(verifier, headers)).code == code


async def test_signature_may_hold_any_character(verifier: Verifier) -> None:
    headers = sign(Asking(), KEY)
    headers["Authorization"] = headers["Authorization"][:-1] + "\xff"

    assert (await refused(verifier, headers)).code == "InvalidSignatureException"


@pytest.mark.parametrize("value", ["", "yesterday", "20261302T030405Z"])
async def test_odd_date_is_named(verifier: Verifier, value: str) -> None:
    headers = sign(Asking(), KEY) | {"X-Amz-Date": value}

    assert (await refused(verifier, headers)).code == "IncompleteSignatureException"


async def test_date_must_be_there(verifier: Verifier) -> None:
    headers = sign(Asking(), KEY)
    del headers["X-Amz-Date"]

    assert "X-Amz-Date" in str(await refused(verifier, headers))
