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
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_PROBLEMS = 20  # reported with text; the rest is counted
MAX_LINE_BYTES = 4 * 1024 * 1024  # of one row; a longer line is a problem, not a reason to swap
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
    return _Reader(name, lenient=lenient).read(lines)


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


class _Reader:
    def __init__(self, name: str, *, lenient: bool) -> None:
        self._name = name
        self._lenient = lenient
        self._recording = Recording()
        self._unnamed_rows: list[tuple[int, Row]] = []
        self._unnamed_coverage: list[tuple[int, Coverage]] = []
        self._problems: list[tuple[int, str]] = []
        self._bad = 0

    def read(self, lines: Iterable[bytes]) -> Recording:
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    self._line(number, line)
        except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
            # A broken compressed file gives no more lines: nothing to skip to, lenient or not.
            message = f"cannot be read on: {error}"
            raise RecordingError(self._name, [(number + 1, message)], 1) from error
        self._name_agents()
        if self._bad and not self._lenient:
            raise RecordingError(self._name, self._problems, self._bad)
        for row in self._recording.rows:
            derive(row)
        self._recording.skipped = self._bad
        return self._recording

    def _line(self, number: int, line: bytes) -> None:
        if number == 1:
            line = line.removeprefix(_BOM)  # some editors write it; it means nothing
        if len(line) > MAX_LINE_BYTES:
            self._problem(number, f"longer than {MAX_LINE_BYTES} bytes")
            return
        try:
            agent_id, item = decode_tagged(line)
        except EventError as error:
            self._problem(number, str(error))
            return
        if isinstance(item, Capture):
            if item.agent_id in self._recording.headers:
                self._problem(number, f"second header of agent {item.agent_id!r}")
                return
            self._recording.headers[item.agent_id] = item
        elif isinstance(item, Coverage):
            if agent_id is None:
                self._unnamed_coverage.append((number, item))
            else:
                self._recording.coverage.append((agent_id, item))
        else:
            if agent_id is None:
                self._unnamed_rows.append((number, item))
            self._recording.rows.append(item)

    def _name_agents(self) -> None:
        headers = list(self._recording.headers)
        only = headers[0] if len(headers) == 1 else None
        if only is None:
            why = "agent_id is missing, and the file has not exactly one header to take it from"
            for number, _ in sorted(
                (*self._unnamed_rows, *self._unnamed_coverage), key=lambda item: item[0]
            ):
                self._problem(number, why)
            self._recording.rows = [
                row for row in self._recording.rows if row["agent_id"] is not None
            ]
            return
        for _, row in self._unnamed_rows:
            row["agent_id"] = only
        self._recording.coverage.extend((only, row) for _, row in self._unnamed_coverage)

    def _problem(self, number: int, text: str) -> None:
        self._bad += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append((number, text))
