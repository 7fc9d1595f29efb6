"""Blocks: a recording as large pieces of whole lines, read ahead in a thread of its own.

In: a file of lines, decompressed. Out: blocks in order, and at the end what broke the reading off.
Decompression leaves the other core to whoever takes the lines apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final

import numpy as np

from rules.telemetry.recording import BROKEN, MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import BinaryIO

BLOCK_BYTES: Final = 2 * MAX_LINE_BYTES  # so that there is always room for one more line
PADDING_BYTES: Final = 64  # zeros behind a block, so that reading may run over its end
_NEWLINE: Final = ord("\n")
_BUFFERS: Final = 4  # one is filled, one waits, two are taken apart


@dataclass(slots=True)
class Block:
    """Whole lines: ``data[:size]``, each with its newline."""

    data: bytearray
    home: SimpleQueue[Block | None]
    size: int = 0
    number: int = 1
    """Of its first line."""
    lines: int = 0
    is_last: bool = False
    is_cut: bool = False
    """Whether the newline of the last line was added: the file ends without one."""

    def release(self) -> None:
        """Let it be filled again."""
        self.home.put(self)


def read_blocks(file: BinaryIO) -> Generator[Block]:
    """Yield the blocks of a file; each is used until it is released.

    Of a line that is too long only the start comes, which is still too long.

    Raises:
        EOFError, OSError, zlib.error, zstandard.ZstdError: The file cannot be read on; the whole
            lines before that have been yielded.
    """
    filled: SimpleQueue[Block | BaseException | None] = SimpleQueue()
    free: SimpleQueue[Block | None] = SimpleQueue()
    for _ in range(_BUFFERS):
        free.put(Block(bytearray(BLOCK_BYTES + 2 * PADDING_BYTES), free))
    thread = Thread(target=_fill, args=(file, free, filled), name="read-ahead", daemon=True)
    thread.start()
    try:
        while isinstance(block := filled.get(), Block):
            yield block
        if block is not None:
            raise block
    finally:
        free.put(None)
        thread.join()


def _fill(
    file: BinaryIO,
    free: SimpleQueue[Block | None],
    filled: SimpleQueue[Block | BaseException | None],
) -> None:
    lines = _Lines(file)
    try:
        while not lines.is_over and (block := free.get()) is not None:
            lines.fill(block)
            filled.put(block)
        filled.put(lines.error)
    except BaseException as error:  # noqa: BLE001 (raised where the blocks are used)
        filled.put(error)


class _Lines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tail = b""  # the start of a line
        self._number = 1
        self.error: BaseException | None = None
        self.is_over = False

    def fill(self, block: Block) -> None:
        """Put the next whole lines into a block."""
        view = memoryview(block.data)
        size = len(self._tail)
        view[:size] = self._tail
        while size < BLOCK_BYTES:
            count = self._read(view[size:BLOCK_BYTES])
            if not count:
                break
            size += count
        end = block.data.rfind(b"\n", 0, size) + 1
        self._tail = bytes(view[end:size])
        block.size, block.is_cut = end, False
        if self.is_over:
            self._end(block)
        elif len(self._tail) > MAX_LINE_BYTES:
            self._cut_line(block)
        block.is_last = self.is_over
        block.lines = _count_lines(block)
        block.number, self._number = self._number, self._number + block.lines
        view[block.size : block.size + PADDING_BYTES] = bytes(PADDING_BYTES)

    def _end(self, block: Block) -> None:
        if self._tail and self.error is None:
            block.size += len(self._tail) + 1
            block.data[block.size - 1] = ord("\n")
            block.is_cut = True

    def _cut_line(self, block: Block) -> None:
        """End a line that is too long, and skip the rest of it."""
        block.size += MAX_LINE_BYTES + 2
        block.data[block.size - 1] = ord("\n")
        rest = bytearray(MAX_LINE_BYTES)
        self._tail = b""
        while count := self._read(memoryview(rest)):
            end = rest.find(b"\n", 0, count) + 1
            if end:
                self._tail = bytes(rest[end:count])
                break

    def _read(self, target: memoryview) -> int:
        """Return how many bytes came; 0 = it is over."""
        try:
            count = self._file.readinto1(target)  # type: ignore[attr-defined]
        except BROKEN as error:
            self.error = error
            count = 0
        self.is_over = not count
        return int(count)


def _count_lines(block: Block) -> int:
    """Return how many newlines there are; ``bytes.count`` would take a call for each."""
    data = np.frombuffer(block.data, np.uint8, count=block.size)
    return int(np.count_nonzero(data == _NEWLINE))
