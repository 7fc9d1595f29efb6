"""Digests: hashes of what a result was made from, so that the same input has the same name.

In: telemetry in any order, of any size. Out: a SHA-256 over canonical lines, each with a newline:
events by time, those of one moment by their bytes; behind them headers and coverage rows by their
bytes. Events come first since they can be hashed as they come, and coverage is only known later.
Of telemetry in batches: a SHA-256 over what each is known by and the SHA-256 of its bytes.
"""

from __future__ import annotations

import hashlib
import heapq
import tempfile
from array import array
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Final, NamedTuple, Self

from analyzer.canonical.lines import ordered_lines
from analyzer.telemetry.many_hosts import WINDOW_ROWS, windows
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from analyzer.telemetry.many_hosts import HostRows

SPILL_LINES: Final = 250_000  # sorted in memory, about 80 MB; more goes to temporary files
_SHA256_BYTES: Final = 32


class EventsDigest:
    """Hashes the telemetry of a run or a recording; bounded memory."""

    def __init__(
        self,
        *,
        window_rows: int = WINDOW_ROWS,
        make_lines: Callable[[Sequence[HostRows]], bytes | memoryview] = ordered_lines,
    ) -> None:
        """Start with nothing.

        Args:
            window_rows: How many events are sorted at once.
            make_lines: Makes the lines of events in their order; what it returns holds until it is
                called again twice.
        """
        self._window_rows = window_rows
        self._make_lines = make_lines
        self._events = hashlib.sha256()
        self._open = ExitStack()
        self._others = self._open.enter_context(LinesDigest())

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

    def add_others(self, lines: Iterable[bytes]) -> None:
        """Add headers and coverage rows, as canonical lines without newline.

        Raises:
            OSError: The temporary folder is full or missing.
        """
        self._others.update(lines)

    def add_events(self, tables: Sequence[HostRows]) -> None:
        """Add events; none of them is of a moment at or before those that were added earlier.

        Raises:
            OSError: The temporary folder is full or missing.
        """
        if sum(map(len, tables)) <= self._window_rows:
            for window in windows(tables, rows=self._window_rows):
                self._events.update(self._make_lines(window))
            return
        with ThreadPoolExecutor(1) as beside:  # hashes lines while the next ones are made
            hashing = beside.submit(self._events.update, b"")
            for window in windows(tables, rows=self._window_rows):
                is_moment = sum(map(len, window)) > self._window_rows
                lines = b"" if is_moment else self._make_lines(window)
                hashing.result()
                if is_moment:
                    self._add_moment(window)
                else:
                    hashing = beside.submit(self._events.update, lines)
            hashing.result()

    def _add_moment(self, tables: Sequence[HostRows]) -> None:
        """Add all events of one moment: their lines are sorted, however many there are."""
        with LinesDigest() as lines:
            for table in tables:
                for start in range(0, len(table), self._window_rows):
                    part = table.take(slice(start, start + self._window_rows))
                    lines.update(bytes(self._make_lines([part])).split(b"\n")[:-1])
            for line in lines:
                self._events.update(line)

    def hexdigest(self) -> str:
        """Return the hash of everything so far; more may be added afterwards."""
        digest = self._events.copy()
        for line in self._others:
            digest.update(line)
        return digest.hexdigest()


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

    def __iter__(self) -> Iterator[bytes]:
        """Yield all lines so far, sorted, with their newline."""
        self._lines.sort()
        for file in self._sorted_files:
            file.seek(0)
        yield from heapq.merge(self._lines, *self._sorted_files)

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
        digest = hashlib.sha256()
        for line in self:
            digest.update(line)
        return digest.hexdigest()

    def _spill(self) -> None:
        self._lines.sort()
        file = tempfile.TemporaryFile(prefix="proctor-")  # noqa: SIM115 (the stack closes it)
        self._open.enter_context(file)
        file.writelines(self._lines)
        self._sorted_files.append(file)
        self._lines = []


class BatchId(NamedTuple):
    """What a batch is known by."""

    agent_id: str
    boot_id: str
    stream: str
    sequence: int


class SegmentsDigest:
    """Hashes which batches there are and what their bytes are; order does not matter.

    The SHA-256 over one line of canonical JSON per batch, ``[agent, boot, stream, sequence, SHA-256
    of the payload in hexadecimal]``, in the order of agent, boot, stream and sequence. Forty bytes
    of memory per batch.
    """

    def __init__(self) -> None:
        """Start with no batch."""
        self._streams: dict[tuple[str, str, str], tuple[array[int], bytearray]] = {}

    def add(self, batch: BatchId, sha256: bytes) -> None:
        """Enter a batch, once, with the SHA-256 of its payload."""
        numbers, hashes = self._streams.setdefault(batch[:3], (array("Q"), bytearray()))
        numbers.append(batch.sequence)
        hashes += sha256

    def hexdigest(self) -> str:
        """Return the hash of all batches so far; more may be added afterwards."""
        digest = hashlib.sha256()
        for stream, (numbers, hashes) in sorted(self._streams.items(), key=lambda item: item[0]):
            for place in sorted(range(len(numbers)), key=numbers.__getitem__):
                start = place * _SHA256_BYTES
                sha256 = hashes[start : start + _SHA256_BYTES].hex()
                digest.update(canonical([*stream, numbers[place], sha256]) + b"\n")
        return digest.hexdigest()
