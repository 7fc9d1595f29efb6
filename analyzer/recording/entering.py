"""Entering: lines that were taken apart go into columns, by compiled code.

In: a block of whole lines. Out: numbers in columns, texts and processes entered once each, and
where the lines stand that the strict reader has to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analyzer.compiled import compiled, inlined
from analyzer.recording.distinct import (
    PROCESS_FIELDS,
    ProcessTable,
    TextTable,
    process_id,
    text_id,
)
from analyzer.recording.strings import NOT_SURE, line_end
from analyzer.recording.tokens import (
    FALSE,
    LAST_TEXT,
    LAST_WORD,
    NOT_LOOKED_UP,
    NULL,
    NUMBER,
    STRING,
    TRUE,
    Fields,
    find_word,
    read_line,
)
from analyzer.recording.vocabulary import (
    AGENT,
    AGENT_SLOT,
    BOOLEAN,
    CODE,
    INTEGER,
    NUMBERS,
    PORT,
    PROCESS_SLOT,
    TELEMETRY,
    TEXT,
    TIME,
    TIME_SLOT,
    Vocabulary,
)
from rules.telemetry.kinds import PORT_MAX
from rules.telemetry.recording import MAX_PROBLEMS

if TYPE_CHECKING:
    import numpy.typing as npt

FULL: Final = -2

_FALSE_CODE, _TRUE_CODE = 1, 2


class Rows(NamedTuple):
    """Rows of all kinds: one line of ``values`` per slot; 0 behind the last row of a kind."""

    values: npt.NDArray[np.int64]
    valid: npt.NDArray[np.uint8]
    """Of number columns: 1 where a value is there."""
    counts: npt.NDArray[np.int64]
    """By kind."""
    touched: npt.NDArray[np.uint8]
    """By slot: whether any value is there."""
    process: npt.NDArray[np.int64]
    """The process of the row that is being entered, as in ``ProcessTable.fields``."""
    unnamed: npt.NDArray[np.int64]
    """How many rows have no agent, and the lines of the first ones."""


class Others(NamedTuple):
    """Lines for the strict reader: number, start and end of each."""

    lines: npt.NDArray[np.int64]
    used: npt.NDArray[np.int64]


@compiled
def enter_lines(
    block: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    start: int,
    end: int,
    number: int,
    vocabulary: Vocabulary,
    fields: Fields,
    texts: TextTable,
    processes: ProcessTable,
    rows: Rows,
    others: Others,
    max_line: int,
) -> tuple[int, int]:
    """Enter lines from ``start`` on; return where it stopped, and the number of the line there.

    It stops at ``end``, or before a line for which there is no room: then rows and others are to be
    taken away, and texts and processes need more room.
    """
    while start < end:
        count, stop = read_line(block, words, start, vocabulary, fields)
        entered = NOT_SURE
        if count != NOT_SURE and stop - start <= max_line:
            entered = _enter(words, count, vocabulary, fields, texts, processes, rows)
        if entered == FULL:
            break
        if entered == NOT_SURE:
            if others.used[0] == len(others.lines):
                break
            stop = line_end(words, start)
            if stop - start > 1:
                line = others.lines[others.used[0]]
                line[0], line[1], line[2] = number, start, stop
                others.used[0] += 1
        elif entered == 0:  # a row without agent
            if rows.unnamed[0] < MAX_PROBLEMS:
                rows.unnamed[1 + rows.unnamed[0]] = number
            rows.unnamed[0] += 1
        start = stop
        number += 1
    return start, number


@inlined
def _enter(
    words: npt.NDArray[np.uint64],
    count: int,
    vocabulary: Vocabulary,
    fields: Fields,
    texts: TextTable,
    processes: ProcessTable,
    rows: Rows,
) -> int:
    """Enter the line in ``fields``; return the number of its agent, ``NOT_SURE`` or ``FULL``."""
    kind = _kind(words, vocabulary, fields)
    if kind < 0 or not _has(fields, TIME):
        return NOT_SURE
    row = rows.counts[kind]
    if row == rows.values.shape[1]:
        return FULL
    first = vocabulary.first_slot[kind]
    for field in range(PROCESS_FIELDS + 1):
        rows.process[field] = 0
    result = 0
    for index in range(count):
        result = _enter_field(words, index, kind, row, vocabulary, fields, texts, rows)
        if result != 0:
            break
    if result == 0 and rows.process[PROCESS_FIELDS]:
        process = process_id(processes, rows.process)
        result = FULL if process < 0 else 0
        rows.values[first + PROCESS_SLOT, row] = process
    if result != 0:  # the next row of this kind comes here
        for slot in range(first, vocabulary.first_slot[kind + 1]):
            rows.values[slot, row] = 0
            rows.valid[slot, row] = 0
        return result
    rows.counts[kind] += 1
    return rows.values[first + AGENT_SLOT, row]


@inlined
def _enter_field(
    words: npt.NDArray[np.uint64],
    index: int,
    kind: int,
    row: int,
    vocabulary: Vocabulary,
    fields: Fields,
    texts: TextTable,
    rows: Rows,
) -> int:
    """Enter one field; return 0, ``NOT_SURE`` or ``FULL``."""
    name = fields.name[index]
    if name == TELEMETRY:
        return 0
    if name == TIME or name == AGENT:
        wanted = NUMBER if name == TIME else STRING
        slot = vocabulary.first_slot[kind] + (TIME_SLOT if name == TIME else AGENT_SLOT)
        if fields.type[index] != wanted:
            return NOT_SURE
        if name == TIME:
            rows.values[slot, row] = fields.value[index]
            return 0
        return _enter_text(words, index, slot, row, fields, texts, rows)
    field = vocabulary.process_of_name[name]
    slot = np.int64(vocabulary.slot_of_name[kind, name])
    if field < 0 and slot < 0:  # a column of another kind
        return NOT_SURE
    if fields.type[index] == NULL:
        return 0
    if field >= 0:
        return _enter_process_field(words, index, np.int64(field), vocabulary, fields, texts, rows)
    return _enter_value(words, index, slot, row, vocabulary, fields, texts, rows)


@inlined
def _enter_value(
    words: npt.NDArray[np.uint64],
    index: int,
    slot: int,
    row: int,
    vocabulary: Vocabulary,
    fields: Fields,
    texts: TextTable,
    rows: Rows,
) -> int:
    wanted = vocabulary.type_of_slot[slot]
    given = fields.type[index]
    value = fields.value[index]
    if wanted == TEXT or wanted == CODE:
        if given != STRING:
            return NOT_SURE
        if wanted == TEXT:
            return _enter_text(words, index, slot, row, fields, texts, rows)
        word = _word(words, index, vocabulary, fields)
        value = np.int64(vocabulary.code_of_word[slot, word]) if word >= 0 else 0
        if value == 0:
            return NOT_SURE
    elif wanted == BOOLEAN:
        if given != TRUE and given != FALSE:
            return NOT_SURE
        value = _TRUE_CODE if given == TRUE else _FALSE_CODE
    elif given != NUMBER or not _is_allowed(value, wanted, slot, vocabulary):
        return NOT_SURE
    rows.values[slot, row] = value
    rows.valid[slot, row] = 1
    rows.touched[slot] = 1
    return 0


@inlined
def _is_allowed(value: int, wanted: int, slot: int, vocabulary: Vocabulary) -> bool:
    if wanted == INTEGER:
        return True
    if wanted == PORT:
        return 0 <= value <= PORT_MAX
    if wanted == NUMBERS:
        for allowed in vocabulary.numbers[slot]:
            if allowed == value:
                return True
    return False


@inlined
def _enter_text(
    words: npt.NDArray[np.uint64],
    index: int,
    slot: int,
    row: int,
    fields: Fields,
    texts: TextTable,
    rows: Rows,
) -> int:
    text = _last_text(words, index, fields, texts)
    if text < 0:
        return FULL
    rows.values[slot, row] = text
    rows.touched[slot] = 1
    return 0


@inlined
def _enter_process_field(
    words: npt.NDArray[np.uint64],
    index: int,
    field: int,
    vocabulary: Vocabulary,
    fields: Fields,
    texts: TextTable,
    rows: Rows,
) -> int:
    is_text = vocabulary.process_is_text[field]
    if fields.type[index] != (STRING if is_text else NUMBER):
        return NOT_SURE
    value = fields.value[index]
    if is_text:
        value = _last_text(words, index, fields, texts)
        if value < 0:
            return FULL
    rows.process[field] = value
    rows.process[PROCESS_FIELDS] |= 1 << field
    return 0


@inlined
def _last_text(words: npt.NDArray[np.uint64], index: int, fields: Fields, texts: TextTable) -> int:
    """Return the number of the string in a field, or -1 where there is no room for it."""
    last = fields.last[fields.name[index]]
    text = last[LAST_TEXT]
    if text == 0:
        text = text_id(words, index, fields, texts)
        last[LAST_TEXT] = max(text, 0)
    return text


@inlined
def _kind(words: npt.NDArray[np.uint64], vocabulary: Vocabulary, fields: Fields) -> int:
    """Return the number of the line's kind, or -1."""
    if not _has(fields, TELEMETRY):
        return -1
    index = fields.places[TELEMETRY]
    if fields.type[index] != STRING:
        return -1
    word = _word(words, index, vocabulary, fields)
    return np.int64(vocabulary.kind_of_word[word]) if word >= 0 else -1


@inlined
def _word(words: npt.NDArray[np.uint64], index: int, vocabulary: Vocabulary, fields: Fields) -> int:
    """Return the number of the vocabulary's word in a field, or -1."""
    last = fields.last[fields.name[index]]
    if last[LAST_WORD] == NOT_LOOKED_UP:
        start, size, hashed = fields.value[index], fields.size[index], fields.hash[index]
        last[LAST_WORD] = find_word(words, start, size, hashed, vocabulary)
    return last[LAST_WORD]


@inlined
def _has(fields: Fields, name: int) -> bool:
    return fields.stamps[name] == fields.stamps[-1]
