"""Ids, as Inspector's look."""

from __future__ import annotations

import secrets
import string
from typing import Final

_ALPHABET: Final = string.ascii_letters + string.digits
_LENGTH: Final = 8


def new_id() -> str:
    """Return a fresh id: ``0-`` and eight letters or digits."""
    return "0-" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
