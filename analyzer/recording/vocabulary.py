"""Vocabulary: the telemetry kinds as arrays that compiled code can look things up in.

In: ``KINDS``. Out: every word that the text form of events is made of (names of columns and kinds,
closed values), and for each kind which column goes where.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analyzer.text_bytes import MULTIPLIER, SEED
from rules.telemetry.event import PROCESS_ROW_KEYS
from rules.telemetry.kinds import KINDS, PROCESS_COLUMNS, Column, ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

# Names that every event may have, first in ``Vocabulary.names``.
TELEMETRY, TIME, AGENT = range(3)
_BASE: Final = ("telemetry", "ts_us", "agent_id")
# What a kind's rows have beside its own columns, first among its slots.
TIME_SLOT, AGENT_SLOT, PROCESS_SLOT = range(3)
FIRST_OWN_SLOT: Final = 3
# How a value is read and kept.
TEXT, CODE, BOOLEAN, PORT, INTEGER, NUMBERS = range(6)
WORD_BYTES: Final = 32  # room for the longest word
_TABLE_SIZE: Final = 2048  # a power of two, much more than words
_MASK_64: Final = 2**64 - 1
_TYPES: Final = {
    ColumnType.TEXT: TEXT,
    ColumnType.ADDRESS: TEXT,
    ColumnType.CODE: CODE,
    ColumnType.BOOLEAN: BOOLEAN,
    ColumnType.PORT: PORT,
    ColumnType.INTEGER: INTEGER,
}


class Vocabulary(NamedTuple):
    """Numbers of words, names, kinds and slots. Slots number the columns of all kinds."""

    table: npt.NDArray[np.int16]
    """Open addressing by the hash of a word: its number, -1 = free."""
    words: npt.NDArray[np.uint64]
    """By word: its bytes, padded with zeros."""
    masks: npt.NDArray[np.uint64]
    """By word: all bits of its bytes."""
    sizes: npt.NDArray[np.int64]
    """By word: number of bytes."""
    name_of_word: npt.NDArray[np.int16]
    """-1 where the word names no column."""
    kind_of_word: npt.NDArray[np.int16]
    """-1 where the word names no kind."""
    first_slot: npt.NDArray[np.int64]
    """By kind, and one more: where its slots begin."""
    slot_of_name: npt.NDArray[np.int16]
    """By kind and name: the slot of its own column; -1 = none."""
    process_of_name: npt.NDArray[np.int16]
    """By name: the field of ``Process``; -1 = none."""
    process_is_text: npt.NDArray[np.uint8]
    """By field of ``Process``."""
    type_of_slot: npt.NDArray[np.uint8]
    code_of_word: npt.NDArray[np.uint8]
    """By slot and word: code of a closed value; 0 = not allowed."""
    numbers: npt.NDArray[np.int64]
    """By slot: a row of closed numbers, filled up with the first."""


def word_hash(data: bytes) -> int:
    """Return the hash of a text, as compiled code makes it; see ``text_bytes.text_hash``."""
    value = SEED
    for start in range(0, len(data), 8):
        part = int.from_bytes(data[start : start + 8], "little")
        value = ((value ^ part) * MULTIPLIER) & _MASK_64
        value ^= value >> 32
    value = ((value ^ len(data)) * MULTIPLIER) & _MASK_64
    return value ^ (value >> 29)


@lru_cache(1)
def vocabulary() -> Vocabulary:
    """Return the vocabulary of all kinds."""
    names = [*_BASE, *dict.fromkeys(name for kind in KINDS.values() for name in kind.columns)]
    owns = [column for kind in KINDS.values() for column in kind.own]
    words = list(dict.fromkeys((*names, *KINDS, *(text for own in owns for text in own.closed))))
    encoded = [word.encode() for word in words]
    padded = b"".join(word.ljust(WORD_BYTES, b"\0") for word in encoded)
    first_slot = np.cumsum([0, *(FIRST_OWN_SLOT + len(kind.own) for kind in KINDS.values())])
    slots = list(_slots())
    return Vocabulary(
        table=_hash_table(encoded),
        words=np.frombuffer(padded, np.uint64).reshape(len(words), WORD_BYTES // 8),
        masks=np.frombuffer(b"".join(map(_mask, encoded)), np.uint64).reshape(len(words), -1),
        sizes=np.array([len(word) for word in encoded], np.int64),
        name_of_word=_places(words, names),
        kind_of_word=_places(words, list(KINDS)),
        first_slot=first_slot.astype(np.int64),
        slot_of_name=_slots_of_names(names),
        process_of_name=_places(names, list(PROCESS_ROW_KEYS)),
        process_is_text=np.array(
            [own.type is ColumnType.TEXT for own in PROCESS_COLUMNS], np.uint8
        ),
        type_of_slot=np.array([_type_of(column) for column in slots], np.uint8),
        code_of_word=np.array([_codes(column, words) for column in slots], np.uint8),
        numbers=_numbers(slots),
    )


def _mask(word: bytes) -> bytes:
    return (b"\xff" * len(word)).ljust(WORD_BYTES, b"\0")


def _slots() -> Iterable[Column | None]:
    for kind in KINDS.values():
        yield from (None,) * FIRST_OWN_SLOT
        yield from kind.own


def _type_of(column: Column | None) -> int:
    if column is None:
        return INTEGER
    return NUMBERS if column.numbers else _TYPES[column.type]


def _codes(column: Column | None, words: Sequence[str]) -> list[int]:
    closed = () if column is None else column.closed
    return [closed.index(word) + 1 if word in closed else 0 for word in words]


def _numbers(slots: Sequence[Column | None]) -> npt.NDArray[np.int64]:
    lists = [() if column is None else column.numbers for column in slots]
    width = max(map(len, lists))
    rows = [(*row, *(row[:1] or (0,)) * (width - len(row))) for row in lists]
    return np.array(rows, np.int64)


def _slots_of_names(names: Sequence[str]) -> npt.NDArray[np.int16]:
    found = np.full((len(KINDS), len(names)), -1, np.int16)
    slot = 0
    for number, kind in enumerate(KINDS.values()):
        slot += FIRST_OWN_SLOT
        for column in kind.own:
            found[number, names.index(column.name)] = slot
            slot += 1
    return found


def _places(items: Sequence[str], wanted: Sequence[str]) -> npt.NDArray[np.int16]:
    places = {name: place for place, name in enumerate(wanted)}
    return np.array([places.get(item, -1) for item in items], np.int16)


def _hash_table(words: Sequence[bytes]) -> npt.NDArray[np.int16]:
    table = np.full(_TABLE_SIZE, -1, np.int16)
    for number, word in enumerate(words):
        at = word_hash(word) % _TABLE_SIZE
        while table[at] >= 0:
            at = (at + 1) % _TABLE_SIZE
        table[at] = number
    return table
