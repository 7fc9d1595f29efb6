"""Lines of a block: what takes them apart, and the one that leaves them all to the strict reader.

In: blocks. Out: parts of tables, and where the lines stand that the strict reader has to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.recording.blocks import Block
    from analyzer.telemetry.many_hosts import HostRows

Places = list[tuple[int, int, int]]
"""Number, start and end of lines in a block; the end is behind the newline."""
Part = tuple[list["HostRows"], Places]
"""Rows by kind, and the places of all lines between them that the strict reader has to read."""


class Lines(Protocol):
    """Takes the lines of blocks apart, one block after another."""

    @property
    def unnamed(self) -> list[int]:
        """Return the lines of rows without agent, the first ``MAX_PROBLEMS`` of them."""
        ...

    @property
    def more_unnamed(self) -> int:
        """Return how many more rows without agent there are."""
        ...

    def take(self, block: Block) -> Iterator[Part]:
        """Yield the rows of a block by kind, and the places of all other lines."""
        ...


class StrictBlocks:
    """Leaves every line to the strict reader."""

    def __init__(self) -> None:
        """Start with no block."""
        self.unnamed: list[int] = []
        self.more_unnamed = 0

    def take(self, block: Block) -> Iterator[Part]:
        """Yield the places of all lines."""
        places = []
        start = 0
        for number in range(block.number, block.number + block.lines):
            end = block.data.index(b"\n", start) + 1
            places.append((number, start, end))
            start = end
        yield [], places
