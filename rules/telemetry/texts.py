"""Texts: the strings of a batch as they came, made Python's only where somebody asks for them.

In: a MessagePack array that somebody else wrote. Out: where each text of it lies, once it is proved
that it is an array of plain ASCII texts and nothing else; or no answer, and then they are read one
by one. Only the decode path imports this module: it needs numpy.

Most texts of a batch have come before, and their bytes are enough to know them by: an object for
each took longer than all else that is done with a message.

The proof: no byte of ASCII is above 127, and every mark of MessagePack in front of a text is. So
marks are found at once, each says where the next one must be, and nothing else may be above 127
but bytes of sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, overload

import msgspec
import numpy as np

from rules.telemetry.event import MAX_TEXT_BYTES

if TYPE_CHECKING:
    import numpy.typing as npt

_ASCII_END: Final = 0x80
# Marks of MessagePack: a text with its size in the mark, in one byte behind it, or in two.
_TINY, _TINY_END = 0xA0, 0xC0
_SHORT, _LONG = 0xD9, 0xDA
_TINY_SIZE: Final = 0x1F
_LIST = msgspec.msgpack.Decoder(list[str])


class Texts(Sequence[str]):
    """Texts of ASCII alone, in the memory of their message.

    Attributes:
        data: Bytes that they lie in.
        starts: Where each of them begins.
        sizes: How many bytes each of them has.
    """

    def __init__(
        self,
        data: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.intp],
        sizes: npt.NDArray[np.intp],
        packed: memoryview | None = None,
    ) -> None:
        """Take where they are, and the MessagePack array if it is of them alone."""
        self.data = data
        self.starts = starts
        self.sizes = sizes
        self._packed = packed

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """Return one text or several."""
        return self._list[index]

    def __iter__(self) -> Iterator[str]:
        """Yield each text."""
        return iter(self._list)

    def take(self, places: npt.NDArray[np.intp]) -> Texts:
        """Return the texts at some places."""
        return Texts(self.data, self.starts.take(places), self.sizes.take(places))

    @cached_property
    def _list(self) -> list[str]:
        if self._packed is not None:
            return _LIST.decode(self._packed)
        whole = str(self.data.data, "latin-1")  # a byte is a character, texts or not
        ends = (self.starts + self.sizes).tolist()
        return [whole[start:end] for start, end in zip(self.starts.tolist(), ends, strict=True)]


def plain_texts(packed: memoryview, *, max_count: int) -> Texts | None:
    """Return the texts of a MessagePack array.

    None where it is not sure that there are 1 to ``max_count`` texts of ASCII that are as short as
    they must be, and nothing else.
    """
    count, head = _head(packed)
    if not 0 < count <= max_count:
        return None
    data = np.frombuffer(packed, np.uint8, offset=head)
    high = (data >= _ASCII_END).nonzero()[0]
    at = high if len(high) == count else _marks(data, high)
    if len(at) != count:
        return None
    marks = data.take(at)
    starts = at + 1
    sizes = (marks & _TINY_SIZE).astype(np.intp)
    more = _add_stated(data, marks, starts, sizes) if marks.max() >= _TINY_END else 0
    ends = starts + sizes
    is_whole = at[0] == 0 and ends[-1] == len(data) and (ends[:-1] == at[1:]).all()
    if not is_whole or marks.min() < _TINY or len(high) != count + more:
        return None
    return Texts(data, starts, sizes, packed)


def _head(packed: memoryview) -> tuple[int, int]:
    """Return the length of a MessagePack array, and where its items begin; (0, 0) of others."""
    first = packed[0]
    if first & 0xF0 == 0x90:  # noqa: PLR2004 (the marks of arrays)
        return first & 0x0F, 1
    if first == 0xDC:  # noqa: PLR2004
        return int.from_bytes(packed[1:3]), 3
    if first == 0xDD:  # noqa: PLR2004
        return int.from_bytes(packed[1:5]), 5
    return 0, 0


def _marks(data: npt.NDArray[np.uint8], high: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return ``high`` without what looks like a size: what is right behind a mark that has one.

    What is taken for a size here need not be one; whoever asks has to count.
    """
    marks = data.take(high)
    is_size = np.zeros(len(high), np.bool_)
    gaps = np.diff(high)
    is_size[1:] = (gaps == 1) & ((marks[:-1] == _SHORT) | (marks[:-1] == _LONG))
    is_size[1:] |= (gaps == 2) & (marks[:-1] == _LONG)  # noqa: PLR2004 (bytes of a size)
    is_size[2:] |= (high[2:] - high[:-2] == 2) & (marks[:-2] == _LONG)  # noqa: PLR2004
    return high[~is_size]


def _add_stated(
    data: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.intp],
    sizes: npt.NDArray[np.intp],
) -> int:
    """Correct start and size of each text whose size stands behind its mark.

    Returns:
        How many bytes of these sizes are no ASCII; -1 where a mark is that of something else, or
        a text is longer than texts may be.
    """
    wide = (marks >= _TINY_END).nonzero()[0]
    at, marks = starts.take(wide), marks.take(wide)
    first = data.take(at, mode="clip")  # outside, sizes do not add up
    more = int(np.count_nonzero(first >= _ASCII_END))
    sizes[wide] = first
    starts[wide] += 1
    if (marks == _SHORT).all():
        return more
    is_long = marks == _LONG
    at, wide, first = at[is_long], wide[is_long], first[is_long].astype(np.intp)
    second = data.take(at + 1, mode="clip")
    sizes[wide] = first << 8 | second
    starts[wide] += 1
    is_known = (is_long | (marks == _SHORT)).all() and sizes.max() <= MAX_TEXT_BYTES
    return more + int(np.count_nonzero(second >= _ASCII_END)) if is_known else -1
