"""The credentials file: every access key, in the format that AWS's own tools read.

In: a path. Out: keys. The file is the only place where keys are kept, so a client may be pointed at
it as it stands; role and end stand beside what the tools read, and they ignore both.
"""

from __future__ import annotations

import fcntl
import os
from configparser import Error as ConfigError
from configparser import RawConfigParser, SectionProxy
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Final

from analyzer.access.keys import AccessKey, Role
from analyzer.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MODE: Final = 0o600
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_NO_SECTION: Final = "\n"  # a profile may be called DEFAULT: no section gives defaults to others


@dataclass(frozen=True, slots=True)
class CredentialsFile:
    """Keys in AWS's shared-credentials format, readable by their owner only."""

    path: Path

    def read(self) -> tuple[AccessKey, ...]:
        """Return every key, in the order of the file; none where the file is missing.

        Raises:
            AccessError: It cannot be read, or says something else than keys.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeError) as error:
            raise AccessError(f"cannot read {self.path}: {error}") from error
        return _parse(text, self.path)

    def add(self, key: AccessKey, *, now_us: int) -> None:
        """Write one key more; temporary ones that have ended go.

        Raises:
            AccessError: A key has that name, or the file cannot be written.
        """
        with self._locked():
            kept = [held for held in self.read() if not held.has_expired(now_us)]
            if any(held.name == key.name for held in kept):
                raise AccessError(
                    f"a key is called {key.name!r} already; revoke it first, or take another name"
                )
            self._write([*kept, key])

    def begin(self, key: AccessKey) -> bool:
        """Make the file with one key where there is none yet; return whether it did.

        Raises:
            AccessError: The file cannot be written.
        """
        with self._locked():
            if self.path.exists():
                return False
            self._write([key])
        return True

    def remove(self, name: str) -> AccessKey:
        """Take a key out, and return it.

        Raises:
            AccessError: There is no such key, or the file cannot be written.
        """
        with self._locked():
            keys = self.read()
            gone = next((key for key in keys if key.name == name), None)
            if gone is None:
                raise AccessError(f"no key is called {name!r}; `proctor keys list` shows them")
            self._write(key for key in keys if key is not gone)
        return gone

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            file = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        except OSError as error:
            raise AccessError(f"cannot write beside {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _write(self, keys: Iterable[AccessKey]) -> None:
        draft = self.path.with_name(f"{self.path.name}.new")
        try:
            draft.unlink(missing_ok=True)
            file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
            with os.fdopen(file, "w", encoding="utf-8") as stream:
                stream.write(_text(keys))
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise AccessError(f"cannot write {self.path}: {error.strerror}") from error


def _parser() -> RawConfigParser:
    return RawConfigParser(default_section=_NO_SECTION, strict=True)


def _text(keys: Iterable[AccessKey]) -> str:
    parser = _parser()
    for key in keys:
        fields = {
            "aws_access_key_id": key.key_id,
            "aws_secret_access_key": key.secret,
            "proctor_role": key.role.value,
        }
        if key.token is not None:
            fields["aws_session_token"] = key.token
        if key.expires_us is not None:
            fields["proctor_expires"] = (_EPOCH + key.expires_us * _US).isoformat()
        parser[key.name] = fields
    text = StringIO()
    parser.write(text)
    return text.getvalue()


def _parse(text: str, path: Path) -> tuple[AccessKey, ...]:
    parser = _parser()
    try:
        parser.read_string(text)
        return tuple(_key(parser[name]) for name in parser.sections())
    except (ConfigError, KeyError, ValueError, OverflowError) as error:
        raise AccessError(f"{path} is no credentials file: {error}") from error


def _key(section: SectionProxy) -> AccessKey:
    expires = section.get("proctor_expires")
    ends = None if expires is None else datetime.fromisoformat(expires).astimezone(UTC)
    return AccessKey(
        name=section.name,
        key_id=section["aws_access_key_id"],
        secret=section["aws_secret_access_key"],
        role=Role(section.get("proctor_role", Role.READ_ONLY)),
        token=section.get("aws_session_token"),
        expires_us=None if ends is None else (ends - _EPOCH) // _US,
    )
