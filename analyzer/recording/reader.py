"""Reader: a recording of any size into columns.

In: a path. Out: tables over all hosts, headers, coverage rows; or every problem with its line, as
the strict reader of ``rules.telemetry.recording`` tells it.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from analyzer.recording.blocks import read_blocks
from analyzer.recording.builder import Builder
from analyzer.recording.lines import StrictBlocks
from analyzer.telemetry.dictionary import Dictionary
from rules.telemetry.recording import BROKEN, StrictLines, open_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from typing import BinaryIO

    from analyzer.recording.blocks import Block
    from analyzer.recording.lines import Lines, Part
    from analyzer.telemetry.many_hosts import HostRows
    from rules.telemetry.batch import Coverage, Row
    from rules.telemetry.ndjson import Capture

WORKERS: Final = 2  # more would wait for decompression and for the dictionary
_STRICT_ROWS: Final = 16_384  # kept as maps at once


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording holds.

    Attributes:
        tables: One per kind, over all hosts, in the order of lines.
        dictionary: What their ids mean.
        headers: By agent.
        coverage: Coverage rows with their agents.
        skipped: How many bad lines were skipped.
    """

    tables: list[HostRows]
    dictionary: Dictionary
    headers: dict[str, Capture]
    coverage: list[tuple[str, Coverage]]
    skipped: int


def read_recorded(
    path: Path,
    *,
    lenient: bool = False,
    on_block: Callable[[int, int], None] | None = None,
    dictionary: Dictionary | None = None,
) -> Recorded:
    """Read a recording.

    Args:
        path: Plain, gzip or zstd NDJSON.
        lenient: Skip and count bad lines instead of refusing the file.
        on_block: Told now and then how far it is: bytes of the file, and rows.
        dictionary: What ids shall mean, where other recordings share it; None = one of its own.

    Raises:
        OSError: The file cannot be opened.
        RecordingError: Lines break the contract, or the compression is broken.
    """
    with open_recording(path) as file:
        return parse_recorded(
            file, name=str(path), lenient=lenient, on_block=on_block, dictionary=dictionary
        )


def parse_recorded(
    file: BinaryIO,
    *,
    name: str = "events",
    lenient: bool = False,
    on_block: Callable[[int, int], None] | None = None,
    dictionary: Dictionary | None = None,
    fast: bool | None = None,
) -> Recorded:
    """Read a recording from an open file; ``name`` stands in error messages.

    Args:
        file: Lines, decompressed.
        name: Of the file.
        lenient: Skip and count bad lines.
        on_block: Told how far it is.
        dictionary: What ids shall mean.
        fast: Whether compiled code takes the lines apart. If left out: only if there is more than
            one block, since loading it takes longer than reading a small file.

    Raises:
        RecordingError: Lines break the contract, or the compression is broken.
    """
    reading = _Reading(name, dictionary or Dictionary(), lenient=lenient, fast=fast)
    return reading.read(file, on_block)


class _Reading:
    def __init__(
        self, name: str, dictionary: Dictionary, *, lenient: bool, fast: bool | None
    ) -> None:
        self._strict = StrictLines(name, lenient=lenient)
        self._builder = Builder(dictionary)
        self._fast = fast
        self._unnamed: list[int] = []
        self._rows: list[Row] = []

    def read(self, file: BinaryIO, on_block: Callable[[int, int], None] | None) -> Recorded:
        number = 1
        workers: Sequence[Lines] = ()
        taken: deque[tuple[Block, Future[list[Part]]]] = deque()
        with ThreadPoolExecutor(WORKERS) as pool, closing(read_blocks(file)) as blocks:
            try:
                for index, block in enumerate(blocks):
                    number = block.number + block.lines
                    if on_block is not None and not block.is_last:
                        on_block(os.lseek(file.fileno(), 0, os.SEEK_CUR), self._builder.rows)
                    workers = workers or self._workers(block)
                    if len(taken) == len(workers):
                        self._take(*taken.popleft())
                    worker = workers[index % len(workers)]  # done with the block before
                    taken.append((block, pool.submit(list, worker.take(block))))
            except BROKEN as error:
                raise self._strict.broken(number, error) from error
            while taken:
                self._take(*taken.popleft())
        self._flush()
        return self._end(workers)

    def _workers(self, first: Block) -> Sequence[Lines]:
        """Return what takes lines apart, each in a thread of its own."""
        is_fast = not first.is_last if self._fast is None else self._fast
        if not is_fast:
            return (StrictBlocks(),)
        from analyzer.recording.fast import FastLines  # loads the compiler

        lock = Lock()
        return [FastLines(self._builder.dictionary, lock) for _ in range(WORKERS)]

    def _take(self, block: Block, parts: Future[list[Part]]) -> None:
        data = memoryview(block.data)
        for tables, others in parts.result():
            for table in tables:
                self._builder.add(table)
            for number, start, end in others:
                is_cut = block.is_cut and end == block.size
                self._take_line(number, bytes(data[start : end - is_cut]))
        block.release()

    def _take_line(self, number: int, line: bytes) -> None:
        row = self._strict.take(number, line)
        if row is None:
            return
        if row["agent_id"] is None:
            self._unnamed.append(number)
        self._rows.append(row)
        if len(self._rows) >= _STRICT_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._builder.add_rows(self._rows)
        self._rows = []

    def _end(self, workers: Sequence[Lines]) -> Recorded:
        strict = self._strict
        unnamed = [*self._unnamed, *(number for own in workers for number in own.unnamed)]
        only = strict.finish(unnamed, more=sum(own.more_unnamed for own in workers))
        tables = self._builder.build(only)
        return Recorded(
            tables, self._builder.dictionary, strict.headers, strict.coverage, strict.bad
        )
