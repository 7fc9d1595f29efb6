"""Host files: the files of one host below a root folder, and which of them may not be read.

In: paths as the host names them. Out: text, folders, owners and modes; None for what is not there.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import pwd
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rules.telemetry.event import Process

MAX_FILE_BYTES: Final = 4 << 20  # of a file that is read as a whole; a larger one is not read
PIECE_BYTES: Final = 65_536
MAX_LINE_BYTES: Final = 65_536
_MAGIC: Final = re.compile(r"[*?\[]")


class Fact(NamedTuple):
    """One row to be: its kind, its own columns, and the process it is about."""

    kind: str
    values: Mapping[str, Any]
    process: Process | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Who owns a file or folder, and what others may do with it."""

    owner: str
    mode: str
    """Permission bits, octal, such as 0755."""
    writable_by_others: bool
    """Whether anybody but root may change it."""


class HostFiles:
    """The files of the host whose root folder is ``root``.

    Attributes:
        unreadable: Paths that are there but could not be read, until somebody clears it.
    """

    def __init__(self, root: str | Path = "/") -> None:
        """Name the folder; nothing is opened yet."""
        self.root = Path(root)
        self.unreadable: set[str] = set()

    @property
    def is_live(self) -> bool:
        """Tell whether this is the host that the process runs on."""
        return self.root == Path("/")

    def path(self, name: str) -> Path:
        """Return where a file of the host is."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """Return the text of a file; None if there is none or it cannot be read."""
        data = self.data(name)
        return None if data is None else data.decode("utf-8", "replace")

    def data(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none or it cannot be read."""
        try:
            with open_regular(self.path(name)) as file:
                return _whole(file)
        except (OSError, ValueError) as error:
            self._note(name, error)
            return None

    def lines(self, name: str) -> Iterator[str]:
        """Yield the lines of a file of any size; none if it is not there or cannot be read."""
        try:
            with open_regular(self.path(name)) as file:
                while line := file.readline(MAX_LINE_BYTES):
                    yield line.decode("utf-8", "replace").removesuffix("\n")
        except (OSError, ValueError) as error:
            self._note(name, error)

    def matching(self, pattern: str) -> list[str]:
        """Return the files that a shell pattern names, sorted, as the host names them.

        As glob(3): what begins with a dot must be named by a dot.
        """
        found = [""]
        for part in pattern.strip("/").split("/"):
            found = [path for folder in found for path in self._below(folder, part)]
        return sorted(found)

    def access(self, name: str) -> Access | None:
        """Return who may change a file or folder; None if there is none, or it is hidden."""
        try:
            return access_of(self.path(name).stat())
        except (OSError, ValueError) as error:
            self._note(name, error)
            return None

    def _below(self, folder: str, part: str) -> list[str]:
        """Return the paths in ``folder`` that one part of a pattern names."""
        if not _MAGIC.search(part):
            path = f"{folder}/{part}"
            return [path] if self.access(path) is not None else []
        shell = part.replace("[^", "[!")
        try:
            names = [path.name for path in self.path(folder).iterdir()]
        except (OSError, ValueError) as error:
            self._note(folder or "/", error)
            return []
        return [
            f"{folder}/{name}"
            for name in names
            if fnmatch.fnmatchcase(name, shell) and (name[0] != "." or part[0] == ".")
        ]

    def _note(self, name: str, error: Exception) -> None:
        """Note what could not be read, unless it is not there."""
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            self.unreadable.add(name)


@contextmanager
def open_regular(path: str | bytes | Path, *, flags: int = 0) -> Iterator[BinaryIO]:
    """Open a file for reading if it is a regular one; whatever else stands there is not touched.

    A pipe would keep the caller waiting for ever, a device might do anything.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    place = os.open(path, os.O_PATH | os.O_CLOEXEC | flags)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        # Through the place that was looked at: nothing else can have come there since.
        file = open(f"/proc/self/fd/{place}", "rb")  # noqa: PTH123, SIM115 (closed below)
    finally:
        os.close(place)
    with file:
        yield file


def _whole(file: BinaryIO) -> bytes:
    """Return a whole file, read in pieces: /proc/sys refuses a large buffer with ENOMEM."""
    data = b""
    while piece := file.read(PIECE_BYTES):
        data += piece
        if len(data) > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data


def access_of(status: os.stat_result) -> Access:
    """Return who may change what ``status`` was read of."""
    mode = stat.S_IMODE(status.st_mode)
    by_owner = status.st_uid != 0 and mode & stat.S_IWUSR
    by_group = status.st_gid != 0 and mode & stat.S_IWGRP
    return Access(
        owner=owner_name(status.st_uid),
        mode=f"{mode:04o}",
        writable_by_others=bool(by_owner or by_group or mode & stat.S_IWOTH),
    )


@lru_cache(maxsize=1_024)
def owner_name(uid: int) -> str:
    """Return the name of a user id, or the number as text where it has none."""
    try:
        return os.fsencode(pwd.getpwuid(uid).pw_name).decode("utf-8", "replace")
    except (KeyError, OverflowError):
        return str(uid)
