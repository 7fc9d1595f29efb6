"""Files of the spool: what stands in its folder, and how each is read and written.

In: batches, acks and losses. Out: numbered record files of batches; ``state.json``, replaced in one
step, which says what is acknowledged or lost; and ``lock``, held by the agent that uses the folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.losses import Drop, LossBook, Losses
from rules.telemetry.ledger import Intervals
from rules.telemetry.records import (
    MAGIC,
    Disk,
    ForeignFileError,
    RecordFile,
    RecordReader,
    frame,
    replace_file,
    segment_numbers,
    segment_path,
)

UNREADABLE = (OSError, ForeignFileError, msgspec.DecodeError)  # what reading a segment may raise

Stream = tuple[str, str]  # boot id and stream name: sequences count within it
Sequences = Mapping[Stream, Intervals]  # sequence n is the interval [n, n + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One encoded batch: its identity, how many events it has, and the interval it covers."""

    boot_id: str
    stream: str
    sequence: int
    events: int
    from_us: int
    to_us: int
    payload: bytes


class Head(msgspec.Struct, frozen=True, array_like=True):
    """Header of a batch's record; ``mark`` and ``told`` are the losses that the batch tells."""

    boot_id: str
    stream: str
    sequence: int
    events: int
    from_us: int
    to_us: int
    mark: int = 0
    told: tuple[Drop, ...] = ()

    def entry(self, payload: bytes) -> Entry:
        """Return the batch as it was appended."""
        return Entry(
            boot_id=self.boot_id,
            stream=self.stream,
            sequence=self.sequence,
            events=self.events,
            from_us=self.from_us,
            to_us=self.to_us,
            payload=payload,
        )

    def is_in(self, sequences: Sequences) -> bool:
        """Tell whether the batch is among ``sequences``."""
        return self.sequence in sequences.get((self.boot_id, self.stream), ())


_decoder = msgspec.msgpack.Decoder(Head)


def encode_record(entry: Entry, told: Losses) -> tuple[Head, bytes]:
    """Return the header of a batch and its whole record."""
    head = Head(
        boot_id=entry.boot_id,
        stream=entry.stream,
        sequence=entry.sequence,
        events=entry.events,
        from_us=entry.from_us,
        to_us=entry.to_us,
        mark=told.mark,
        told=told.drops,
    )
    return head, frame(msgspec.msgpack.encode(head), entry.payload)


@dataclass(slots=True)
class Segment:
    """One record file: its size, the hull of the time it covers, the sequences it holds."""

    number: int
    path: Path
    size: int = 0
    from_us: int = 0
    to_us: int = 0
    held: dict[Stream, Intervals] = field(default_factory=dict)

    def add(self, head: Head) -> None:
        """Enter a batch that stands in the file."""
        self.from_us = min(self.from_us, head.from_us) if self.held else head.from_us
        self.to_us = max(self.to_us, head.to_us)
        stream = head.boot_id, head.stream
        one = Intervals([(head.sequence, head.sequence + 1)])
        self.held[stream] = self.held.get(stream, Intervals()) | one

    def left(self, acked: Sequences) -> Sequences:
        """Return the sequences that are not acknowledged; empty if there are none."""
        left = {
            stream: marks - acked.get(stream, Intervals()) for stream, marks in self.held.items()
        }
        return {stream: marks for stream, marks in left.items() if marks}

    def read(self, start: int = len(MAGIC)) -> Iterator[tuple[Head, bytes, int]]:
        """Yield header, payload and end offset of every batch from ``start`` on.

        Raises:
            OSError: The file cannot be read.
        """
        for record in RecordReader(self.path, start=start):
            yield _decoder.decode(record.header), record.payload, record.end


def create_segment(folder: Path, number: int, *, disk: Disk) -> tuple[Segment, RecordFile]:
    """Make a new, empty segment.

    Raises:
        OSError: The disk refuses.
    """
    segment = Segment(number, segment_path(folder, number))
    return segment, RecordFile(segment.path, end=0, disk=disk)


def recover_segments(folder: Path, *, disk: Disk) -> tuple[list[Segment], RecordFile | None, int]:
    """Read what a former process left, and cut the torn tail of the file it wrote last.

    Returns:
        The segments in order, the last one's file open for more, and the highest hand-over mark of
        any batch.

    Raises:
        OSError: A file cannot be read.
        ForeignFileError: A file was not written by this version.
        msgspec.DecodeError: A header was not written by this version.
    """
    segments: list[Segment] = []
    file = None
    mark = 0
    for number in segment_numbers(folder):
        segment = Segment(number, segment_path(folder, number))
        reader = RecordReader(segment.path)
        for record in reader:
            head = _decoder.decode(record.header)
            segment.add(head)
            mark = max(mark, head.mark)
        segment.size = segment.path.stat().st_size
        segments.append(segment)
    if segments:
        file = RecordFile(segments[-1].path, end=reader.end, disk=disk)
        segments[-1].size = file.size
    return segments, file, mark


class State(msgspec.Struct):
    """What the spool knows beside its batches; without it they are sent again, none is lost."""

    losses: LossBook = msgspec.field(default_factory=LossBook)
    acked: list[tuple[str, str, list[tuple[int, int]]]] = []


def load_state(folder: Path) -> State:
    """Return the saved state, or a new one if there is none that is whole.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        return msgspec.json.decode(_state_path(folder).read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):  # torn by a power cut
        return State()


def save_state(folder: Path, state: State, *, disk: Disk, sync: bool) -> None:
    """Replace the saved state in one step.

    Raises:
        OSError: The disk refuses; the former state stands.
    """
    replace_file(_state_path(folder), msgspec.json.encode(state), disk=disk, sync=sync)


def _state_path(folder: Path) -> Path:
    return folder / "state.json"


def lock_folder(folder: Path) -> int:
    """Return an open file that holds the folder for this process until it is closed.

    Raises:
        OSError: Another process holds it, or it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise BlockingIOError(error.errno, "another agent is using it") from error
    except OSError:
        os.close(file)
        raise
    return file
