"""Tokens: addresses of report files that work without credentials, for a while.

In: which file, and until when. Out: a token that only the holder of the key can make; back: the
file, as long as it has not expired.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from analyzer.errors import AnalyzerError

KEY_BYTES: Final = 32
_MAC_BYTES: Final = 32  # of SHA-256


class TokenError(AnalyzerError):
    """A token is of nobody here, or has expired."""


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What a token gives: one file of a run, until a moment."""

    run_id: str
    name: str
    until_us: int


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes tokens, and reads those that it made."""

    key: bytes

    def token(self, grant: Grant) -> str:
        """Return the token of a grant: letters, digits, ``-`` and ``_``."""
        body = msgspec.json.encode(grant)
        return base64.urlsafe_b64encode(self._mac(body) + body).rstrip(b"=").decode()

    def grant(self, token: str, *, now_us: int) -> Grant:
        """Return what a token gives.

        Raises:
            TokenError: It was not made with this key, or has expired.
        """
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise TokenError("this address is of no report") from error
        mac, body = data[:_MAC_BYTES], data[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            raise TokenError("this address is of no report")
        grant = msgspec.json.decode(body, type=Grant)
        if grant.until_us <= now_us:
            raise TokenError("this address has expired; ask for the report again")
        return grant

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self.key, body, hashlib.sha256)


def signer_of(path: Path) -> Signer:
    """Return the signer whose key a file holds; the first call makes the key.

    Raises:
        AnalyzerError: The key can neither be read nor made.
    """
    try:
        key = _read_or_make(path)
    except OSError as error:
        raise AnalyzerError(f"cannot use the key {path}: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise AnalyzerError(f"{path} is no key of {KEY_BYTES} bytes; delete it to make another")
    return Signer(key)


def _read_or_make(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # whoever is first has made it
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes()
