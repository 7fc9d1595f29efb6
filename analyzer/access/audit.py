"""The audit log: one JSON line for every call that somebody with a key has made.

In: records of calls. Out: lines in the form of CloudTrail's records, appended to one file. The file
is opened for each line, so that it may be moved away at any time. No call is answered without its
line: room for the lines of calls that are under way is kept in a file beside the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from analyzer.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LOG = logging.getLogger(__name__)
_MODE: Final = 0o600
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
RESERVE_BYTES: Final = 4 << 20  # several of the longest lines


@dataclass(slots=True)
class AuditLog:
    """Appends records to ``path``."""

    path: Path
    reserve_bytes: int = RESERVE_BYTES
    is_failing: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def reserve(self) -> Path:
        """Return the file that keeps room for lines."""
        return self.path.with_name(f"{self.path.name}.reserve")

    async def require(self) -> None:
        """Make sure that a line can be written; to be called before anything is done.

        Raises:
            AuditError: It cannot.
        """
        await self._do(self._make_sure)

    async def write(self, record: Mapping[str, Any]) -> None:
        """Append a record; returns when it is in the file.

        Raises:
            AuditError: It cannot be written, and nothing of it is in the file.
        """
        await self._do(self._append, msgspec.json.encode(record) + b"\n")

    async def _do(self, what: Callable[..., None], *arguments: bytes) -> None:
        try:
            await asyncio.to_thread(what, *arguments)
        except OSError as error:
            why = error.strerror or str(error)
            if not self.is_failing:
                _LOG.error("audit.failed", extra={"path": str(self.path), "reason": why})
            self.is_failing = True
            raise AuditError(self.path, why) from error
        self.is_failing = False

    def _make_sure(self) -> None:
        with self._lock:
            os.close(os.open(self.path, _FLAGS | os.O_APPEND, _MODE))
            if not self.reserve.exists():
                self._keep_room()

    def _keep_room(self) -> None:
        file = os.open(self.reserve, _FLAGS, _MODE)
        try:
            os.posix_fallocate(file, 0, self.reserve_bytes)
        except OSError:
            self.reserve.unlink()
            raise
        finally:
            os.close(file)

    def _append(self, line: bytes) -> None:
        with self._lock:
            try:
                self._append_once(line)
            except OSError:  # the disk is full: that is what the room was kept for
                self.reserve.unlink(missing_ok=True)
                self._append_once(line)

    def _append_once(self, line: bytes) -> None:
        """Append a line whole or not at all."""
        file = os.open(self.path, _FLAGS | os.O_APPEND, _MODE)
        try:
            before = os.fstat(file).st_size
            try:
                written = 0
                while written < len(line):
                    written += os.write(file, line[written:])
            except OSError:
                os.ftruncate(file, before)
                raise
        finally:
            os.close(file)
