from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from analyzer.errors import DeliveryError
from analyzer.notify.signature import parse_secret, signed_headers

KEY = bytes(range(32))
TEXT = "whsec_" + base64.b64encode(KEY).decode()


def headers_of(body: bytes, *, key: bytes = KEY) -> dict[str, str]:
    return signed_headers(key, event_id="n-1", sent_us=time.time_ns() // 1000, body=body)


def test_signature_is_verified_by_the_standards_library() -> None:
    body = '{"title": "Zürich"}'.encode()
    assert Webhook(TEXT).verify(body, headers_of(body)) == {"title": "Zürich"}


def test_changed_body_is_noticed() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(TEXT).verify(b"{}", headers_of(b"{ }"))


def test_known_vector() -> None:
    headers = signed_headers(KEY, event_id="n-1", sent_us=1_700_000_000_999_999, body=b"{}")
    assert headers == {
        "webhook-id": "n-1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,dOOfSOzY1Dm0TXrbyPx9JslZr0LYGKiWfLzN4s7lcJ0=",
    }


@pytest.mark.parametrize("text", [TEXT, f"  {TEXT}\n"])
def test_secret_with_prefix_is_base64(text: str) -> None:
    assert parse_secret(text) == KEY


def test_secret_without_prefix_is_its_text() -> None:
    assert parse_secret("a" * 24 + "\n") == b"a" * 24


@pytest.mark.parametrize("text", ["", "short", "whsec_???", "whsec_AAAA"])
def test_weak_or_broken_secret_is_refused(text: str) -> None:
    with pytest.raises(DeliveryError, match="secret"):
        parse_secret(text)
