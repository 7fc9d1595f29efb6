"""Spool: the agent's disk queue of batches, bounded in bytes and age, freed by the analyzer's ack.

In: encoded batches. Out: the same batches in order, until the analyzer has made them durable or
the bounds drop the oldest, which is counted. Survives kill -9 at any byte.

Only whole files are deleted, so each bound holds to within one file, which is at most 1/16 of it.
Everything here blocks: an event loop calls it through ``asyncio.to_thread``. Any thread may call.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.errors import SpoolError
from agent.losses import Drop, LossBook, Losses
from agent.spool_files import (
    UNREADABLE,
    Entry,
    Head,
    Segment,
    Sequences,
    State,
    Stream,
    create_segment,
    encode_record,
    load_state,
    lock_folder,
    recover_segments,
    save_state,
)
from rules.telemetry.clock import Clock
from rules.telemetry.ledger import Intervals
from rules.telemetry.records import MAGIC, Disk, Position, RecordFile

__all__ = ["Acked", "Entry", "Spool", "SpoolStats", "Spooled"]

SPOOL_FULL = "spool_full"  # causes of losses: the bound in bytes,
SPOOL_EXPIRED = "spool_expired"  # the bound in age,
SPOOL_IO = "spool_io"  # a disk that refuses,
REJECTED = "rejected"  # an analyzer that refuses the batch

PARTS = 16  # files that the bounds are divided into: the share that is dropped at once
MAX_FILE_BYTES = 32 << 20  # of one file, however large the spool
READ_BYTES = 4 << 20  # payload handed out at once, so that a backlog does not fill the memory


class Spooled(NamedTuple):
    """A batch that waits for its ack, and where reading goes on behind it."""

    position: Position
    entry: Entry


class Acked(NamedTuple):
    """What is durable at the analyzer: sequences 1 to ``high``, and inclusive ``ranges`` above."""

    boot_id: str
    stream: str
    high: int
    ranges: Collection[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStats:
    """How full the spool is, and what it dropped since it was opened, by cause."""

    bytes: int
    batches: int
    oldest_age_s: float
    dropped_batches: dict[str, int]
    dropped_events: dict[str, int]


class Spool:
    """The queue of one agent; open from construction until ``close`` or the end of the process."""

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        max_age_s: float,
        clock: Clock,
        sync: bool = True,
        disk: Disk | None = None,
    ) -> None:
        """Open the spool in ``folder``, which is made if it is missing.

        Args:
            folder: Its folder; one agent at a time.
            max_bytes: Bound of its batches' files together.
            max_age_s: Bound of the age of what it holds, by the time that batches cover.
            clock: What says how old that is.
            sync: Whether a batch must be durable against power loss when ``append`` returns;
                kill -9 loses nothing either way.
            disk: What writes.

        Raises:
            SpoolError: Another agent has it, or it cannot be read.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_age_us = round(max_age_s * 1e6)
        self._clock = clock
        self._sync = sync
        self._disk = disk or Disk()
        self._guard = threading.Lock()
        self._segments: list[Segment] = []
        self._file: RecordFile | None = None  # of the last segment, while it takes more
        self._last_number = 0
        self._acked: dict[Stream, Intervals] = {}  # within what the segments hold
        self._losses = LossBook()
        self._is_saved = True
        self._dropped_batches: Counter[str] = Counter()
        self._dropped_events: Counter[str] = Counter()
        try:
            self._lock = lock_folder(folder)
        except OSError as error:
            raise SpoolError(folder, f"cannot be used: {error.strerror}") from error
        try:
            self._recover()
        except UNREADABLE as error:
            self.close()
            raise SpoolError(folder, f"cannot be read: {error}") from error

    def close(self) -> None:
        """Let go of the folder. Nothing is written: what was appended is on disk already."""
        with self._guard:
            self._seal()
            os.close(self._lock)

    def append(self, entry: Entry, *, settles: Losses | None = None) -> None:
        """Store a batch; makes room by dropping the oldest ones.

        Args:
            entry: The batch.
            settles: Losses that the batch tells; they are forgotten once it is stored, and come
                back if it is dropped itself.

        Raises:
            SpoolError: The disk refuses, or the batch is larger than the spool. The batch is lost
                and counted, ``settles`` is not forgotten, and later calls may succeed.
        """
        head, record = encode_record(entry, settles or Losses())
        with self._guard:
            self._expire()
            if len(MAGIC) + len(record) > self._max_bytes:
                why = f"{len(record)} bytes of a batch exceed its bound of {self._max_bytes}"
                raise self._refused(SPOOL_FULL, head, why)
            try:
                self._make_room(len(MAGIC) + len(record))
                self._write(head, record)
            except OSError as error:
                why = f"cannot store a batch: {error.strerror}"
                raise self._refused(SPOOL_IO, head, why) from error
            self._losses.settle(head.mark)
            if not self._is_saved:
                self._save()

    def pending(self, *, after: Position | None = None, limit: int = 16) -> list[Spooled]:
        """Return the next batches that wait for their ack, oldest first.

        Args:
            after: The position of the last one that the caller has; None starts with the oldest.
            limit: How many at most. Fewer when they hold more than 4 MiB, but at least one.

        Raises:
            SpoolError: There is something, and none of it can be read.
        """
        found: list[Spooled] = []
        failures: list[Exception] = []
        room = READ_BYTES
        with self._guard:
            self._expire()
            for spooled in self._unacked(after or Position(0, 0), failures):
                found.append(spooled)
                room -= len(spooled.entry.payload)
                if len(found) == limit or room <= 0:
                    break
        if failures and not found:
            why = f"cannot read what is stored: {failures[0]}"
            raise SpoolError(self._folder, why) from failures[0]
        return found

    def free(self, acks: Iterable[Acked]) -> None:
        """Forget what the analyzer has made durable; acks for anything else change nothing."""
        with self._guard:
            before = dict(self._acked)
            for ack in acks:
                above = ((low, high + 1) for low, high in ack.ranges)
                told = Intervals([(1, ack.high + 1), *above])
                self._ack({(ack.boot_id, ack.stream): told})
            if self._acked != before:
                self._save()
                self._sweep()

    def reject(self, boot_id: str, stream: str, sequence: int) -> None:
        """Forget a batch that the analyzer refused, and count it as lost."""
        one = {(boot_id, stream): Intervals([(sequence, sequence + 1)])}
        with self._guard:
            for segment in tuple(self._segments):
                if sequence in segment.left(self._acked).get((boot_id, stream), ()):
                    self._lose(REJECTED, segment, one)
                    break

    def expire(self) -> None:
        """Drop what is older than the bound; ``append`` and ``pending`` do it too."""
        with self._guard:
            self._expire()

    def take_losses(self) -> Losses:
        """Return every loss that no stored batch tells, for the header of the next batch."""
        with self._guard:
            return self._losses.take()

    def stats(self) -> SpoolStats:
        """Return how full the spool is and what it dropped."""
        with self._guard:
            waiting = [segment for segment in self._segments if segment.left(self._acked)]
            oldest_us = min((segment.from_us for segment in waiting), default=None)
            age_us = 0 if oldest_us is None else self._clock.now_us() - oldest_us
            return SpoolStats(
                bytes=self._bytes(),
                batches=sum(_total(segment.left(self._acked)) for segment in waiting),
                oldest_age_s=age_us / 1e6,
                dropped_batches=dict(self._dropped_batches),
                dropped_events=dict(self._dropped_events),
            )

    def _recover(self) -> None:
        self._segments, self._file, mark = recover_segments(self._folder, disk=self._disk)
        if self._segments:
            self._last_number = self._segments[-1].number
        state = load_state(self._folder)
        self._losses = state.losses
        self._losses.recover(mark)
        for boot_id, stream, pairs in state.acked:
            self._ack({(boot_id, stream): Intervals(pairs)})
        self._sweep()

    def _write(self, head: Head, record: bytes) -> None:
        if self._file is None or self._is_full(self._segments[-1], head, len(record)):
            file = self._roll()
        else:
            file = self._file
        file.append([record], sync=self._sync)
        self._segments[-1].size = file.size
        self._segments[-1].add(head)

    def _is_full(self, segment: Segment, head: Head, size: int) -> bool:
        return bool(segment.held) and (
            segment.size + size > min(self._max_bytes // PARTS, MAX_FILE_BYTES)
            or head.to_us - segment.from_us > self._max_age_us // PARTS
        )

    def _roll(self) -> RecordFile:
        segment, file = create_segment(self._folder, self._last_number + 1, disk=self._disk)
        self._seal()
        self._sweep()
        self._last_number = segment.number
        self._segments.append(segment)
        self._file = file
        return file

    def _seal(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _unacked(self, after: Position, failures: list[Exception]) -> Iterator[Spooled]:
        for segment in self._segments:
            if segment.number < after.segment or not segment.left(self._acked):
                continue
            start = after.offset if segment.number == after.segment else len(MAGIC)
            try:
                for head, payload, end in segment.read(start):
                    if not head.is_in(self._acked):
                        yield Spooled(Position(segment.number, end), head.entry(payload))
            except UNREADABLE as error:  # what stands in other files must not wait for it
                failures.append(error)

    def _make_room(self, size: int) -> None:
        for segment in tuple(self._segments):
            if self._bytes() + size <= self._max_bytes:
                return
            self._drop(SPOOL_FULL, segment)
        if self._bytes() + size > self._max_bytes:
            raise OSError(errno.EIO, "old batches cannot be deleted")

    def _expire(self) -> None:
        oldest_us = self._clock.now_us() - self._max_age_us
        for segment in tuple(self._segments):
            if segment.held and segment.to_us < oldest_us:
                self._drop(SPOOL_EXPIRED, segment)

    def _drop(self, cause: str, segment: Segment) -> None:
        if segment not in self._segments:  # a drop before this one swept it
            return
        if segment is self._segments[-1]:
            self._seal()
        left = segment.left(self._acked)
        if left:
            self._lose(cause, segment, left)
        else:
            self._sweep()

    def _lose(self, cause: str, segment: Segment, lost: Sequences) -> None:
        heads: list[Head] = []
        with contextlib.suppress(*UNREADABLE):  # then their events stay unknown
            heads.extend(head for head, _, _ in segment.read() if head.is_in(lost))
        self._count(
            Drop(
                cause,
                batches=_total(lost),
                events=sum(head.events for head in heads),
                from_us=min((head.from_us for head in heads), default=segment.from_us),
                to_us=max((head.to_us for head in heads), default=segment.to_us),
            )
        )
        for head in heads:
            self._losses.add(head.told)
        self._ack(lost)
        self._save()
        self._sweep()

    def _refused(self, cause: str, head: Head, why: str) -> SpoolError:
        self._count(Drop(cause, 1, head.events, head.from_us, head.to_us))
        self._save()
        return SpoolError(self._folder, why)

    def _count(self, drop: Drop) -> None:
        self._losses.add([drop])
        self._dropped_batches[drop.cause] += drop.batches
        self._dropped_events[drop.cause] += drop.events

    def _ack(self, sequences: Sequences) -> None:
        # Only what is there: an ack for sequences to come must not swallow them.
        for stream, marks in sequences.items():
            if here := marks & self._held(stream):
                self._acked[stream] = self._acked.get(stream, Intervals()) | here

    def _held(self, stream: Stream) -> Intervals:
        held = (segment.held.get(stream, ()) for segment in self._segments)
        return Intervals(pair for marks in held for pair in marks)

    def _sweep(self) -> None:
        """Delete the files that hold nothing unacknowledged; the state is saved before."""
        active = self._segments[-1] if self._file else None
        for segment in tuple(self._segments):
            if segment is not active and not segment.left(self._acked):
                with contextlib.suppress(OSError):  # the next sweep tries again
                    self._disk.remove(segment.path)
                    self._segments.remove(segment)
        pruned = ((stream, marks & self._held(stream)) for stream, marks in self._acked.items())
        self._acked = {stream: marks for stream, marks in pruned if marks}

    def _save(self) -> None:
        acked = [(*stream, list(marks)) for stream, marks in self._acked.items()]
        state = State(losses=self._losses, acked=acked)
        try:
            save_state(self._folder, state, disk=self._disk, sync=self._sync)
            self._is_saved = True
        except OSError:  # tried again with the next batch; until then a crash forgets it
            self._is_saved = False

    def _bytes(self) -> int:
        return sum(segment.size for segment in self._segments)


def _total(sequences: Sequences) -> int:
    return sum(marks.total for marks in sequences.values())
