"""An access key: what a client signs with, what it may do, and until when.

In: randomness and a name. Out: frozen keys that look like those of AWS, which clients expect.
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from analyzer.errors import AccessError

_ID_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ID_LENGTH: Final = 16  # characters after the prefix
_SECRET_BYTES: Final = 30  # 40 characters in base64, as AWS's have
_TOKEN_BYTES: Final = 96
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+=-]{0,63}")


class Role(StrEnum):
    """What a key may do."""

    FULL = "full"
    READ_ONLY = "read-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """One key; a temporary one has a session token and an end.

    Attributes:
        name: The profile's name.
        key_id: What requests name it by.
        secret: What requests are signed with; never logged.
        role: What it may do.
        token: The session token that a temporary key is sent with.
        expires_us: When a temporary key ends.
    """

    name: str
    key_id: str
    secret: str = field(repr=False)
    role: Role = Role.FULL
    token: str | None = field(default=None, repr=False)
    expires_us: int | None = None

    def has_expired(self, now_us: int) -> bool:
        """Tell whether it has ended."""
        return self.expires_us is not None and now_us >= self.expires_us


def new_key(name: str, *, role: Role = Role.FULL, expires_us: int | None = None) -> AccessKey:
    """Return a fresh key; temporary if ``expires_us`` is given.

    Raises:
        AccessError: The name cannot be that of a profile.
    """
    if not _NAME.fullmatch(name):
        raise AccessError(
            f"{name!r} cannot name a key: up to 64 letters, digits and _.@+=-, beginning with a "
            "letter or a digit"
        )
    prefix, token = "AKIA", None
    if expires_us is not None:
        prefix, token = "ASIA", secrets.token_urlsafe(_TOKEN_BYTES)
    letters = (secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    return AccessKey(
        name=name,
        key_id=prefix + "".join(letters),
        secret=base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode(),
        role=role,
        token=token,
        expires_us=expires_us,
    )
