"""Signatures of webhooks: who sent this, when, and that nobody changed it.

In: a secret, an id, a time, a body. Out: the three headers of Standard Webhooks 1.0, which
libraries for most languages verify. A repetition has the same id, and its own time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from binascii import Error as Base64Error
from typing import Final

from analyzer.errors import DeliveryError

_PREFIX: Final = "whsec_"
_SHORTEST: Final = 24  # bytes; what the standard asks of a secret
_SECOND_US: Final = 1_000_000


def signed_headers(secret: bytes, *, event_id: str, sent_us: int, body: bytes) -> dict[str, str]:
    """Return the headers that vouch for a body: id, time in seconds, HMAC-SHA256 over all three."""
    timestamp = str(sent_us // _SECOND_US)
    signed = b".".join([event_id.encode(), timestamp.encode(), body])
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def parse_secret(text: str) -> bytes:
    """Return the key that a secret's text stands for: base64 after ``whsec_``, else itself.

    Raises:
        DeliveryError: It is shorter than 24 bytes, or no base64.
    """
    stripped = text.strip()
    if stripped.startswith(_PREFIX):
        try:
            key = base64.b64decode(stripped.removeprefix(_PREFIX), validate=True)
        except Base64Error as error:
            raise DeliveryError("the secret has no valid base64 after whsec_") from error
    else:
        key = stripped.encode()
    if len(key) < _SHORTEST:
        raise DeliveryError(f"the secret has {len(key)} bytes; at least {_SHORTEST} are needed")
    return key
