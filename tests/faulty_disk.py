"""A disk for tests that stops at any byte, refuses to write, or loses what was never synced."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from rules.telemetry.records import Disk

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random


class Crash(BaseException):
    """The process ends here, as after kill -9: whatever catches this must not touch the disk."""


class FaultyDisk(Disk):
    """A disk with a plan for its failures.

    Attributes:
        crash_after: Steps until ``Crash``; each byte written and each other call is one step.
        free_bytes: Bytes until writes fail with ENOSPC; None means plenty.
        broken: Names of calls that fail with EIO.
        steps: Steps taken so far.
    """

    def __init__(self, *, crash_after: int | None = None, free_bytes: int | None = None) -> None:
        self.crash_after = crash_after
        self.free_bytes = free_bytes
        self.broken: set[str] = set()
        self.steps = 0
        self._written: dict[tuple[int, int], int] = {}  # inode -> durable bytes

    def open(self, path: Path) -> int:
        self._step("open")
        file = super().open(path)
        self._written.setdefault(_inode(file), os.fstat(file).st_size)
        return file

    def write(self, file: int, data: memoryview) -> int:
        if "write" in self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        size = len(data)
        if self.free_bytes is not None:
            size = min(size, self.free_bytes)
            if size == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.free_bytes -= size
        if self.crash_after is not None and self.steps + size > self.crash_after:
            super().write(file, data[: max(0, self.crash_after - self.steps)])
            self._die()
        self.steps += size
        return super().write(file, data[:size])

    def truncate(self, file: int, size: int) -> None:
        self._step("truncate")
        super().truncate(file, size)

    def sync(self, file: int) -> None:
        self._step("sync")
        self._written[_inode(file)] = os.fstat(file).st_size

    def sync_folder(self, folder: Path) -> None:  # noqa: ARG002
        self._step("sync_folder")

    def replace(self, source: Path, target: Path) -> None:
        self._step("replace")
        super().replace(source, target)

    def remove(self, path: Path) -> None:
        self._step("remove")
        super().remove(path)

    def cut_power(self, folder: Path, rng: Random) -> None:
        """Lose some of the bytes that were never synced; of the rest, some read as zeros."""
        for path in folder.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                durable = self._written.get(_key(path.stat()), len(content))
                kept = rng.randint(min(durable, len(content)), len(content))
                zeros = bytes(rng.randint(0, len(content) - kept))
                path.write_bytes(content[:kept] + zeros)

    def _step(self, name: str) -> None:
        if name in self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self.crash_after is not None and self.steps >= self.crash_after:
            self._die()
        self.steps += 1

    def _die(self) -> None:
        self.crash_after = 0  # whatever a `finally` still tries must not reach the disk
        self.steps = 1
        raise Crash


def _inode(file: int) -> tuple[int, int]:
    return _key(os.fstat(file))


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
