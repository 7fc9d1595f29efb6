"""Fragments: the pieces of text that lines of JSON are put together from.

In: a dictionary, and names of columns. Out: the fragments of its texts, closed values and processes
as numbers that tell where they stand, and the bytes of all of them for compiled code.
"""

from __future__ import annotations

from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from analyzer.canonical.writing import PADDING_BYTES, SIZE_BITS
from rules.telemetry.event import PROCESS_ROW_KEYS
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from analyzer.telemetry.dictionary import Dictionary

EMPTY: Final = 0  # the fragment without bytes
_UNKNOWN: Final = -1
_FIRST_BYTES: Final = 1 << 16
_NUMBER_BYTES: Final = 32  # more than a number has
_NEWLINE: Final = ord("\n")
_ENCODER: Final = msgspec.json.Encoder()


class Fragments:
    """Pieces of text; whatever belongs to a name begins with a comma."""

    def __init__(self, dictionary: Dictionary) -> None:
        """Start with none."""
        self._dictionary = dictionary
        self._data = np.zeros(_FIRST_BYTES, np.uint8)
        self._used = 0
        self._longest = 0
        self._names: dict[str, int] = {}
        self._closed: dict[tuple[str, tuple[str | bool, ...]], npt.NDArray[np.int64]] = {}
        self._texts = np.zeros(1, np.int64)
        self._processes: dict[tuple[str, ...], npt.NDArray[np.int64]] = {}

    def of_name(self, name: str) -> int:
        """Return the fragment that stands before the values of a column."""
        if name not in self._names:
            self._names[name] = self._add_one(b"," + canonical(name) + b":")
        return self._names[name]

    def of_closed(self, name: str, closed: tuple[str | bool, ...]) -> npt.NDArray[np.int64]:
        """Return the fragment of each code of a column, its name included."""
        if (name, closed) not in self._closed:
            added = [self._add_one(_field(name, value)) for value in closed]
            self._closed[name, closed] = np.array([EMPTY, *added], np.int64)
        return self._closed[name, closed]

    @property
    def texts(self) -> npt.NDArray[np.int64]:
        """Return the fragment of each text of the dictionary."""
        new = self._dictionary.texts[len(self._texts) :]
        if new:
            self._texts = np.concatenate((self._texts, self._add(new)))
        return self._texts

    def of_processes(
        self, names: tuple[str, ...], ids: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.int64]:
        """Return the fragment of some columns of each process in ``ids``, names included."""
        processes = self._dictionary.processes
        known = self._processes.get(names, np.zeros(0, np.int64))
        if len(known) < len(processes):
            unknown = np.full(len(processes) - len(known), _UNKNOWN, np.int64)
            known = self._processes[names] = np.concatenate((known, unknown))
        found = known.take(ids)
        if (found == _UNKNOWN).any():
            new = np.unique(ids[found == _UNKNOWN])
            make = _maker(names)
            known[new] = self._add_fields(make(processes[number]) for number in new.tolist())
            found = known.take(ids)
        return found

    @property
    def longest_pair(self) -> int:
        """Return an upper bound of the bytes of a name with its value."""
        return 2 * self._longest + _NUMBER_BYTES

    @property
    def words(self) -> npt.NDArray[np.uint64]:
        """Return the bytes of all fragments, as words from each byte on."""
        return words_of(self._data)

    def _add_one(self, data: bytes) -> int:
        starts = np.zeros(1, np.int64)
        return int(self._enter(np.frombuffer(data, np.uint8), starts, starts + len(data))[0])

    def _add(self, values: Iterable[Any]) -> npt.NDArray[np.int64]:
        """Add the JSON of values."""
        return self._enter(*_lines(values))

    def _add_fields(self, objects: Iterable[Any]) -> npt.NDArray[np.int64]:
        """Add the fields of objects, a comma before the first one."""
        data, starts, ends = _lines(objects)
        data[starts] = ord(",")  # instead of the brace
        is_empty = ends - starts == len("{}")
        added = self._enter(data, starts, ends - 1)
        added[is_empty] = EMPTY
        return added

    def _enter(
        self,
        data: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Enter parts of ``data`` as fragments and return them."""
        sizes = ends - starts
        self._longest = max(self._longest, int(sizes.max()))
        added: npt.NDArray[np.int64] = (starts + self._used) << SIZE_BITS | sizes
        end = self._used + len(data)
        if end + PADDING_BYTES > len(self._data):
            before = self._data
            self._data = np.zeros(2 * (end + PADDING_BYTES), np.uint8)
            self._data[: self._used] = before[: self._used]
        self._data[self._used : end] = data
        self._used = end
        return added


def words_of(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return bytes as words of eight, one from each byte on."""
    return np.lib.stride_tricks.as_strided(
        data[:8].view(np.uint64), shape=(len(data) - 7,), strides=(1,)
    )


def _lines(
    values: Iterable[Any],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the JSON of values, one a line, and where each begins and ends, newline excluded.

    JSON without spaces has no newline inside.
    """
    data = np.frombuffer(bytearray(_ENCODER.encode_lines(values)), np.uint8)
    ends = np.flatnonzero(data == _NEWLINE).astype(np.int64)
    return data, np.concatenate(([0], ends[:-1] + 1)), ends


@lru_cache
def _maker(names: tuple[str, ...]) -> Callable[[tuple[Any, ...]], msgspec.Struct]:
    """Return what makes of a process an object of some of its columns that leaves nulls out."""
    fields = [(name, Any, None) for name in names]
    struct = msgspec.defstruct("Fields", fields, omit_defaults=True, gc=False)
    take = itemgetter(*map(PROCESS_ROW_KEYS.index, names))
    if len(names) == 1:
        return lambda process: struct(take(process))
    return lambda process: struct(*take(process))


def _field(name: str, value: str | bool) -> bytes:  # noqa: FBT001 (a closed value)
    return b"," + canonical({name: value})[1:-1]
