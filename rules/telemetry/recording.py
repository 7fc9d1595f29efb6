"""Recordings: a file of events as text, plain, gzip or zstd, read as a whole.

In: a path. Out: rows with their derived columns, headers and coverage rows, or every problem with
its line number.
"""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

import zstandard

from rules.errors import EventError, RecordingError
from rules.telemetry.batch import Coverage, Row
from rules.telemetry.derive import derive
from rules.telemetry.ndjson import Capture, decode_tagged

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_PROBLEMS = 20  # reported with text; the rest is counted
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
        reader = zstandard.ZstdDecompressor().stream_reader(
            file, read_across_frames=True, closefd=True
        )
        return cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", reader), 1 << 20))
    if magic.startswith(_GZIP_MAGIC):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
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
    with open_recording(path) as lines:
        return parse_recording(lines, name=str(path), lenient=lenient)


def parse_recording(
    lines: Iterable[bytes], *, name: str = "events", lenient: bool = False
) -> Recording:
    """Read a recording from lines; ``name`` stands in error messages.

    Raises:
        RecordingError: Lines break the contract, or the compression is broken.
    """
    return _Reader(name, lenient=lenient).read(lines)


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
            for number, line in enumerate(lines, start=1):  # noqa: B007 (used after the loop)
                if line.strip():
                    self._line(number, line)
        except (EOFError, OSError, zstandard.ZstdError) as error:
            # A broken compressed file gives no more lines: nothing to skip to, lenient or not.
            message = f"cannot be decompressed: {error}"
            raise RecordingError(self._name, [(number + 1, message)], 1) from error
        self._name_agents()
        if self._bad and not self._lenient:
            raise RecordingError(self._name, self._problems, self._bad)
        for row in self._recording.rows:
            derive(row)
        self._recording.skipped = self._bad
        return self._recording

    def _line(self, number: int, line: bytes) -> None:
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
