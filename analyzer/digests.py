"""Digests: hashes of what a result was made from, so that the same input has the same name.

In: canonical lines in any order, of any number. Out: the SHA-256 of the sorted lines. It equals
``LC_ALL=C sort FILE | sha256sum`` over the same lines.
"""

from __future__ import annotations

import hashlib
import heapq
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

SPILL_LINES: Final = 250_000  # sorted in memory, about 80 MB; more goes to temporary files


class LinesDigest:
    """Hashes lines as if they had come sorted; bounded memory, temporary files where it must."""

    def __init__(self, *, spill_lines: int = SPILL_LINES) -> None:
        """Start with no lines."""
        self._spill_lines = spill_lines
        self._lines: list[bytes] = []
        self._sorted_files: list[IO[bytes]] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Own the temporary files."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the temporary files."""
        self._open.close()

    def update(self, lines: Iterable[bytes]) -> None:
        """Add lines without their newline.

        Raises:
            OSError: The temporary folder is full or missing.
        """
        for line in lines:
            self._lines.append(line + b"\n")
            if len(self._lines) >= self._spill_lines:
                self._spill()

    def hexdigest(self) -> str:
        """Return the hash of all lines so far; more may be added afterwards."""
        self._lines.sort()
        for file in self._sorted_files:
            file.seek(0)
        digest = hashlib.sha256()
        for line in heapq.merge(self._lines, *self._sorted_files):
            digest.update(line)
        return digest.hexdigest()

    def _spill(self) -> None:
        self._lines.sort()
        file = tempfile.TemporaryFile(prefix="proctor-")  # noqa: SIM115 (the stack closes it)
        self._open.enter_context(file)
        file.writelines(self._lines)
        self._sorted_files.append(file)
        self._lines = []
