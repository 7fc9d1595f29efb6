"""Segments: the durable log of one run's telemetry, exactly as it was received.

In: batches as bytes, with who sent them and when they came. Out: numbered record files
(``rules/telemetry/records.py``) that read back in the same order, and their digests.

One ``SegmentLog`` writes a folder; any number of readers may read it meanwhile. All of it blocks:
an event loop calls it through ``asyncio.to_thread``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from analyzer.errors import SegmentReadError, SegmentWriteError
from rules.telemetry.records import (
    MAGIC,
    Disk,
    ForeignFileError,
    MissingRecordError,
    Position,
    RecordFile,
    RecordReader,
    frame,
    records_at,
    segment_numbers,
    segment_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rules.telemetry.records import Record

ROLL_BYTES = 64 << 20  # a file that would grow beyond this is closed and the next one begun
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRecord:
    """One batch as it came: its identity, when it came, and its bytes unchanged."""

    agent_id: str
    boot_id: str
    stream: str
    sequence: int
    received_us: int
    payload: bytes
    from_us: int = 0
    """Start of the interval it covers; 0 in logs that do not say."""


class StoredRecord(NamedTuple):
    """A record in the log, and where it stands."""

    position: Position
    record: SegmentRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSummary:
    """One file of the log: what is sound in it, its digest, and how many records are damaged."""

    number: int
    records: int
    damaged: int
    size_bytes: int
    sha256: str


class _Head(msgspec.Struct, frozen=True, array_like=True):
    agent_id: str
    boot_id: str
    stream: str
    sequence: int
    received_us: int
    from_us: int = 0


_decoder = msgspec.msgpack.Decoder(_Head)


class SegmentLog:
    """The writing end of a run's log. Nothing is opened before the first batch comes."""

    def __init__(
        self, folder: Path, *, roll_bytes: int = ROLL_BYTES, disk: Disk | None = None
    ) -> None:
        """Name the folder; it is made with the first batch.

        Args:
            folder: Where the files are.
            roll_bytes: Size at which a file is closed; only a larger group of batches exceeds it.
            disk: What writes.
        """
        self._folder = folder
        self._roll_bytes = roll_bytes
        self._disk = disk or Disk()
        self._number = 0
        self._file: RecordFile | None = None

    def append_many(self, records: Sequence[SegmentRecord]) -> int:
        """Append batches with one sync; all of them are durable when this returns.

        Returns:
            The number of the file that holds them all.

        Raises:
            SegmentWriteError: None of them is in the log. Later calls may succeed.
        """
        if not records:
            return self._number
        frames = [_frame(record) for record in records]
        try:
            file = self._file_for(sum(map(len, frames)))
            file.append(frames, sync=True)
        except OSError as error:
            raise SegmentWriteError(self._folder, error.strerror or str(error)) from error
        except ForeignFileError as error:
            raise SegmentWriteError(self._folder, str(error)) from error
        return self._number

    def close(self) -> None:
        """Close the file; a later append opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _file_for(self, size: int) -> RecordFile:
        file = self._file or self._open()
        if file.size > len(MAGIC) and file.size + size > self._roll_bytes:
            path = segment_path(self._folder, self._number + 1)
            following = RecordFile(path, end=0, disk=self._disk)
            file.close()
            self._number += 1
            file = following
        self._file = file
        return file

    def _open(self) -> RecordFile:
        """Go on in the last file behind its last sound record; a torn tail is cut."""
        self._make_folder()
        numbers = segment_numbers(self._folder)
        self._number = numbers[-1] if numbers else 1
        path = segment_path(self._folder, self._number)
        return RecordFile(path, end=_last_end(path) if numbers else 0, disk=self._disk)

    def _make_folder(self) -> None:
        new = [path for path in (self._folder, *self._folder.parents) if not path.exists()]
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in new:
            self._disk.sync_folder(path.parent)


def segments_of(runs: Path, run_id: str) -> Path:
    """Return the folder of a run's log, in the folder of all runs."""
    return runs / run_id / "segments"


def read_segments(folder: Path, *, after: Position | None = None) -> Iterator[StoredRecord]:
    """Yield the records of a log in the order they were appended.

    Args:
        folder: Where the files are; a missing one is an empty log.
        after: The position of the last record that the caller has; None starts with the first.

    Raises:
        SegmentReadError: A file cannot be read, or was written by another version.
    """
    first = after or Position(0, 0)
    for number in segment_numbers(folder):
        if number >= first.segment:
            start = first.offset if number == first.segment else len(MAGIC)
            for stored in _read_file(folder, number, start):
                if stored.position > first:
                    yield stored


def read_positions(folder: Path, positions: Iterable[Position]) -> Iterator[SegmentRecord]:
    """Yield the records of a log that stand at given positions; no other is read.

    Args:
        folder: Where the files are.
        positions: Of records that ``read_segments`` has yielded.

    Raises:
        SegmentReadError: A file cannot be read, or has no such record any more.
    """
    for number, own in groupby(positions, key=lambda position: position.segment):
        path = segment_path(folder, number)
        try:
            for raw in records_at(path, (position.offset for position in own)):
                yield _record(raw)
        except (OSError, MissingRecordError, msgspec.DecodeError) as error:
            raise SegmentReadError(path, str(error)) from error


def summarize_segments(folder: Path) -> list[SegmentSummary]:
    """Return what stands in each file of a log; a torn tail counts nowhere, digest included.

    Raises:
        SegmentReadError: A file cannot be read, or was written by another version.
    """
    return [_summarize(segment_path(folder, number), number) for number in segment_numbers(folder)]


def _frame(record: SegmentRecord) -> bytes:
    head = _Head(
        agent_id=record.agent_id,
        boot_id=record.boot_id,
        stream=record.stream,
        sequence=record.sequence,
        received_us=record.received_us,
        from_us=record.from_us,
    )
    return frame(msgspec.msgpack.encode(head), record.payload)


def _read_file(folder: Path, number: int, start: int) -> Iterator[StoredRecord]:
    path = segment_path(folder, number)
    try:
        for raw in RecordReader(path, start=start):
            yield StoredRecord(Position(number, raw.offset), _record(raw))
    except (OSError, ForeignFileError, msgspec.DecodeError) as error:
        raise SegmentReadError(path, str(error)) from error


def _record(raw: Record) -> SegmentRecord:
    head = _decoder.decode(raw.header)
    return SegmentRecord(
        agent_id=head.agent_id,
        boot_id=head.boot_id,
        stream=head.stream,
        sequence=head.sequence,
        received_us=head.received_us,
        from_us=head.from_us,
        payload=raw.payload,
    )


def _last_end(path: Path) -> int:
    reader = RecordReader(path)
    for _ in reader:
        pass
    return reader.end


def _summarize(path: Path, number: int) -> SegmentSummary:
    reader = RecordReader(path)
    try:
        records = sum(1 for _ in reader)
        sha256 = _digest(path, reader.end)
    except (OSError, ForeignFileError) as error:
        raise SegmentReadError(path, str(error)) from error
    return SegmentSummary(
        number=number,
        records=records,
        damaged=reader.damaged,
        size_bytes=reader.end,
        sha256=sha256,
    )


def _digest(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, _CHUNK_BYTES))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()
