"""Interning: the texts and processes that compiled code has numbered, as ids of a dictionary.

In: what was entered since the last time. Out: for each number the id of its text, as it is, in
lower case, or as a plain address; for each process the id of its instance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analyzer.recording.distinct import PROCESS_FIELDS, ProcessTable, TextTable, fill_table
from rules.telemetry.event import Process
from rules.telemetry.kinds import PROCESS_COLUMNS, ColumnType
from rules.telemetry.scope import plain_address

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from analyzer.telemetry.dictionary import Dictionary

_FIRST_ROOM: Final = 1 << 13  # texts and processes; doubled when it is used up
_SPARE: Final = 64  # one line enters fewer texts
_IS_TEXT: Final = tuple(column.type is ColumnType.TEXT for column in PROCESS_COLUMNS)


class Texts:
    """Distinct texts of a file.

    Attributes:
        table: What compiled code enters them into.
        plain: By number: the dictionary's id of the text as it is.
        lower: By number: that of the text in lower case.
        address: By number: that of the text as a plain address.
    """

    def __init__(self, dictionary: Dictionary, *, block_bytes: int) -> None:
        """Start with none; ``block_bytes`` is the most that is entered between two ``settle``."""
        self._dictionary = dictionary
        self._block_words = block_bytes // 8 + _FIRST_ROOM
        self.table = TextTable(
            table=np.zeros(2 * _FIRST_ROOM, np.int32),
            hashes=np.zeros(_FIRST_ROOM, np.uint64),
            starts=np.zeros(_FIRST_ROOM, np.int64),
            sizes=np.zeros(_FIRST_ROOM, np.int64),
            arena=np.zeros(self._block_words, np.uint64),
            used=np.array([1, 0], np.int64),
        )
        self.plain = np.zeros(1, np.uint32)
        self.lower = np.zeros(1, np.uint32)
        self.address = np.zeros(1, np.uint32)

    def settle(self) -> None:
        """Give ids to what was entered, and make room for more."""
        texts = self._new_texts()
        ids = self._dictionary.text_ids
        self.plain = np.concatenate((self.plain, ids(texts)[1:]))
        self.lower = np.concatenate((self.lower, ids([text.lower() for text in texts])[1:]))
        addresses = [plain_address(text) for text in texts]
        self.address = np.concatenate((self.address, ids(addresses)[1:]))
        self._make_room()

    def _new_texts(self) -> list[str]:
        table = self.table
        known, count = len(self.plain), int(table.used[0])
        if known == count:
            return []
        data = table.arena.data.cast("B")
        starts = (table.starts[known:count] * 8).tolist()
        sizes = table.sizes[known:count].tolist()
        return [
            str(data[start : start + size], "utf-8")
            for start, size in zip(starts, sizes, strict=True)
        ]

    def _make_room(self) -> None:
        table = self.table
        count, words = table.used.tolist()
        if words + self._block_words > len(table.arena):
            arena = np.zeros(max(2 * len(table.arena), words + self._block_words), np.uint64)
            arena[:words] = table.arena[:words]
            table = table._replace(arena=arena)
        if count + _SPARE > len(table.hashes):
            room = 2 * len(table.hashes)
            table = table._replace(
                table=_hash_table(table.hashes[:count], 2 * room),
                hashes=_longer(table.hashes, room),
                starts=_longer(table.starts, room),
                sizes=_longer(table.sizes, room),
            )
        self.table = table


class Processes:
    """Distinct process instances of a file.

    Attributes:
        table: What compiled code enters them into.
        ids: By number: the dictionary's id.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        """Start with none."""
        self._dictionary = dictionary
        self.table = ProcessTable(
            table=np.zeros(2 * _FIRST_ROOM, np.int32),
            hashes=np.zeros(_FIRST_ROOM, np.uint64),
            fields=np.zeros((_FIRST_ROOM, PROCESS_FIELDS + 1), np.int64),
            used=np.array([1, 0], np.int64),
        )
        self.ids = np.zeros(1, np.uint32)

    def settle(self, texts: Texts) -> None:
        """Give ids to what was entered, and make room for more; ``texts`` are settled."""
        table = self.table
        known, count = len(self.ids), int(table.used[0])
        names = self._dictionary.texts
        plain = texts.plain
        processes = [
            _process(fields, names, plain) for fields in table.fields[known:count].tolist()
        ]
        self.ids = np.concatenate((self.ids, self._dictionary.process_ids(processes)[1:]))
        if count + _SPARE > len(table.hashes):
            room = 2 * len(table.hashes)
            self.table = table._replace(
                table=_hash_table(table.hashes[:count], 2 * room),
                hashes=_longer(table.hashes, room),
                fields=_longer(table.fields, room),
            )


def _process(fields: list[int], names: list[str | None], plain: npt.NDArray[np.uint32]) -> Process:
    there = fields[PROCESS_FIELDS]
    values: list[Any] = [
        None if not there >> place & 1 else names[plain[value]] if is_text else value
        for place, (value, is_text) in enumerate(zip(fields, _IS_TEXT, strict=False))
    ]
    return Process(*values)


def _longer(values: npt.NDArray[Any], room: int) -> npt.NDArray[Any]:
    longer = np.zeros((room, *values.shape[1:]), values.dtype)
    longer[: len(values)] = values
    return longer


def _hash_table(hashes: npt.NDArray[np.uint64], size: int) -> npt.NDArray[np.int32]:
    table = np.zeros(size, np.int32)
    fill_table(table, hashes)
    return table
