"""Recordings: a file of events as text, plain, gzip or zstd, read as a whole.

In: a path. Out: rows with their derived columns, headers and coverage rows, or every problem with
its line number.
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import zstandard

from rules.errors import EventError, RecordingError
from rules.telemetry.batch import Coverage, Row
from rules.telemetry.derive import derive
from rules.telemetry.ndjson import Capture, decode_tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

MAX_PROBLEMS = 20  # reported with text; the rest is counted
MAX_LINE_BYTES = 4 * 1024 * 1024  # of one row; a longer line is a problem, not a reason to swap
BROKEN = (EOFError, OSError, zlib.error, zstandard.ZstdError)
"""What reading a broken file raises."""
_ZSTD_CHUNK_BYTES = 1024  # of compressed input: 4 bytes of it can hold 128 KiB of output
_BOM = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(slots=True)
class Recording:
    """What a recording holds; rows in the order of their lines."""

    rows: list[Row] = field(default_factory=list)
    headers: dict[str, Capture] = field(default_factory=dict)
    coverage: list[tuple[str, Coverage]] = field(default_factory=list)
    skipped: int = 0


def open_recording(path: Path) -> BinaryIO:
    """Open a recording for reading lines, whatever its compression.

    Raises:
        OSError: The file cannot be opened.
    """
    file = path.open("rb")
    magic = file.read(len(_ZSTD_MAGIC))
    file.seek(0)
    if magic == _ZSTD_MAGIC:
        return cast("BinaryIO", io.BufferedReader(_ZstdFile(file), 1 << 20))
    if magic.startswith(_GZIP_MAGIC):
        file.close()
        return cast("BinaryIO", gzip.GzipFile(path, "rb"))
    return file


def read_recording(path: Path, *, lenient: bool = False) -> Recording:
    """Read a whole recording.

    Args:
        path: Plain, gzip or zstd NDJSON.
        lenient: Skip and count bad lines instead of refusing the file.

    Raises:
        OSError: The file cannot be opened or read.
        RecordingError: Lines break the contract, or the compression is broken.
    """
    with open_recording(path) as file:
        return parse_recording(_bounded_lines(file), name=str(path), lenient=lenient)


def parse_recording(
    lines: Iterable[bytes], *, name: str = "events", lenient: bool = False
) -> Recording:
    """Read a recording from lines; ``name`` stands in error messages.

    Raises:
        RecordingError: Lines break the contract, or the compression is broken.
    """
    strict = StrictLines(name, lenient=lenient)
    rows: list[Row] = []
    unnamed: list[tuple[int, Row]] = []
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            row = strict.take(number, line)
            if row is not None:
                rows.append(row)
                if row["agent_id"] is None:
                    unnamed.append((number, row))
    except BROKEN as error:
        raise strict.broken(number + 1, error) from error
    only = strict.finish([number for number, _ in unnamed])
    for _, row in unnamed:
        row["agent_id"] = only
    kept = [derive(row) for row in rows if row["agent_id"] is not None]
    return Recording(kept, strict.headers, strict.coverage, strict.bad)


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines; of one that is too long only the start, which is still too long."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)


class _ZstdFile(io.RawIOBase):
    """Reads all frames of a zstd file; one that ends too early raises ``EOFError``.

    zstandard's own reader takes a truncated file for a short one.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._frame: Any = None
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def readinto(self, target: Any) -> int:  # noqa: ANN401 (a buffer)
        while not self._output:
            if not self._fill():
                return 0
        size = min(len(target), len(self._output))
        target[:size] = self._output[:size]
        self._output = self._output[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()

    def _fill(self) -> bool:
        left = b"" if self._frame is None else self._frame.unused_data
        if self._frame is not None and self._frame.eof:
            self._frame = None
        chunk = left or self._file.read(_ZSTD_CHUNK_BYTES)
        if not chunk:
            if self._frame is not None:
                raise EOFError("the last zstd frame is not complete")
            return False
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._output = memoryview(self._frame.decompress(chunk))
        return True


class StrictLines:
    """What the lines of a recording say, one after another; keeps all but the rows.

    Attributes:
        headers: By agent.
        coverage: Coverage rows with their agents.
        bad: How many lines were bad so far.
    """

    def __init__(self, name: str, *, lenient: bool) -> None:
        """Start with no line; ``name`` stands in error messages."""
        self.headers: dict[str, Capture] = {}
        self.coverage: list[tuple[str, Coverage]] = []
        self.bad = 0
        self._name = name
        self._lenient = lenient
        self._unnamed_coverage: list[tuple[int, Coverage]] = []
        self._problems: list[tuple[int, str]] = []

    def take(self, number: int, line: bytes) -> Row | None:
        """Return the row of a line, not yet derived; None where it is something else, or bad."""
        if not line.strip():
            return None
        if number == 1:
            line = line.removeprefix(_BOM)  # some editors write it; it means nothing
        if len(line) > MAX_LINE_BYTES:
            self._problem(number, f"longer than {MAX_LINE_BYTES} bytes")
            return None
        try:
            agent_id, item = decode_tagged(line)
        except EventError as error:
            self._problem(number, str(error))
            return None
        if isinstance(item, Capture):
            if item.agent_id in self.headers:
                self._problem(number, f"second header of agent {item.agent_id!r}")
            else:
                self.headers[item.agent_id] = item
        elif isinstance(item, Coverage):
            if agent_id is None:
                self._unnamed_coverage.append((number, item))
            else:
                self.coverage.append((agent_id, item))
        else:
            return item
        return None

    def finish(self, unnamed: Sequence[int], *, more: int = 0) -> str | None:
        """Return the agent of everything that names none; None where nothing can tell.

        Args:
            unnamed: Lines of rows without agent, the first ``MAX_PROBLEMS`` at least.
            more: How many more of them there are.

        Raises:
            RecordingError: Lines break the contract, and none may be skipped.
        """
        only = next(iter(self.headers)) if len(self.headers) == 1 else None
        if only is not None:
            self.coverage.extend((only, row) for _, row in self._unnamed_coverage)
        else:
            why = "agent_id is missing, and the file has not exactly one header to take it from"
            for number in sorted((*unnamed, *(number for number, _ in self._unnamed_coverage))):
                self._problem(number, why)
            self.bad += more
        if self.bad and not self._lenient:
            raise RecordingError(self._name, self._problems, self.bad)
        return only

    def broken(self, number: int, error: BaseException) -> RecordingError:
        """Return what to raise where line ``number`` cannot be read.

        A broken compressed file gives no more lines: nothing to skip to, lenient or not.
        """
        return RecordingError(self._name, [(number, f"cannot be read on: {error}")], 1)

    def _problem(self, number: int, text: str) -> None:
        self.bad += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append((number, text))
