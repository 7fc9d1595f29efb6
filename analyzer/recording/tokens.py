"""Tokens: one line of JSON, taken apart by compiled code.

In: bytes, and where a line begins. Out: the names and values of a flat object; or "not sure", and
the line is read by the strict reader, which also knows what to say of a bad one. So everything here
may be refused, but nothing may be taken that the strict reader would refuse or read otherwise.

A block of bytes comes twice: as bytes, and as ``words``, where item ``i`` is the eight bytes from
``i`` on. At least 64 zero bytes follow what is to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from analyzer.compiled import compiled, inlined
from analyzer.recording.strings import NOT_SURE, string_end
from analyzer.recording.vocabulary import WORD_BYTES, Vocabulary
from analyzer.text_bytes import is_same

if TYPE_CHECKING:
    import numpy.typing as npt

STRING, NUMBER, TRUE, FALSE, NULL = range(5)
NOT_LOOKED_UP: Final = -2
# Items of ``Fields.last``.
LAST_START, LAST_SIZE, LAST_TEXT, LAST_WORD = range(4)
_MAX_DIGITS: Final = 18  # more might not fit 64 bits

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_BYTE_BITS = np.uint64(8)
_HALF = np.uint64(32)
_LOWER_HALF = np.uint64(0xFFFFFFFF)
# Digits are 0x30 to 0x39: adding six to one keeps the upper half of its byte.
_TENS = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIXES = np.uint64(0x0606060606060606)
_HALF_BYTE = np.uint64(4)
_DIGIT_TENS = np.uint64(0x3333333333333333)
_DIGIT_ZEROS = np.uint64(0x3030303030303030)
_TEN = np.uint64(10)
_PAIRS = np.uint64(0x000000FF000000FF)
_PAIR_BITS = np.uint64(16)
_LOW_PAIRS = np.uint64(100 + (1_000_000 << 32))
_HIGH_PAIRS = np.uint64(1 + (10_000 << 32))
_TRUE_WORD = np.uint64(int.from_bytes(b"true", "little"))
_NULL_WORD = np.uint64(int.from_bytes(b"null", "little"))
_FALSE_WORD = np.uint64(int.from_bytes(b"false"[:4], "little"))
_QUOTE, _COLON, _COMMA = 0x22, 0x3A, 0x2C
_OPEN, _CLOSE, _MINUS, _DIGIT_0, _DIGIT_9 = 0x7B, 0x7D, 0x2D, 0x30, 0x39
_NEWLINE, _RETURN, _TAB, _SPACE = 0x0A, 0x0D, 0x09, 0x20
_E = 0x65


class Fields(NamedTuple):
    """The fields of the line that was read last; ``stamps`` tells which names it has."""

    name: npt.NDArray[np.int64]
    type: npt.NDArray[np.int64]
    value: npt.NDArray[np.int64]
    """A number, or where a string begins."""
    size: npt.NDArray[np.int64]
    """Bytes of a string."""
    hash: npt.NDArray[np.uint64]
    stamps: npt.NDArray[np.int64]
    """By name: the stamp of the last line that had it; the last item is the current stamp."""
    places: npt.NDArray[np.int64]
    """By name: which field it was then."""
    guesses: npt.NDArray[np.int64]
    """By field: the word that named it in an earlier line."""
    last: npt.NDArray[np.int64]
    """By name: of its last string in this block, where it begins, its size (-1 = there is none),
    and once they were looked up, its text (0) and its word (``NOT_LOOKED_UP``)."""
    last_hash: npt.NDArray[np.uint64]


def make_fields(names: int) -> Fields:
    """Return room for the fields of a line, of which each has another name."""
    return Fields(
        name=np.zeros(names, np.int64),
        type=np.zeros(names, np.int64),
        value=np.zeros(names, np.int64),
        size=np.zeros(names, np.int64),
        hash=np.zeros(names, np.uint64),
        stamps=np.zeros(names + 1, np.int64),
        places=np.zeros(names, np.int64),
        guesses=np.zeros(names + 1, np.int64),
        last=np.full((names, 4), -1, np.int64),
        last_hash=np.zeros(names, np.uint64),
    )


@inlined
def read_line(
    block: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    start: int,
    vocabulary: Vocabulary,
    fields: Fields,
) -> tuple[int, int]:
    """Return how many fields the line at ``start`` has, or ``NOT_SURE``, and where it ends."""
    fields.stamps[-1] += 1
    at = _skip(block, start)
    if block[at] != _OPEN:
        return NOT_SURE, start
    count = 0
    while True:
        at = _read_field(block, words, _skip(block, at + 1), vocabulary, fields, count)
        if at < 0:
            return NOT_SURE, start
        count += 1
        at = _skip(block, at)
        if block[at] != _COMMA:
            break
    if block[at] != _CLOSE:
        return NOT_SURE, start
    at = _skip(block, at + 1)
    if block[at] != _NEWLINE:
        return NOT_SURE, start
    return count, at + 1


@inlined
def _read_field(
    block: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    at: int,
    vocabulary: Vocabulary,
    fields: Fields,
    count: int,
) -> int:
    """Read ``"name": value`` and return where it ends, or ``NOT_SURE``."""
    if block[at] != _QUOTE:
        return NOT_SURE
    name, end = _name(block, words, at + 1, vocabulary, fields, count)
    if name < 0 or fields.stamps[name] == fields.stamps[fields.places.size]:
        return NOT_SURE  # unknown, or there twice
    fields.stamps[name] = fields.stamps[fields.places.size]
    fields.places[name] = count
    fields.name[count] = name
    at = _skip(block, end + 1)
    if block[at] != _COLON:
        return NOT_SURE
    return _read_value(block, words, _skip(block, at + 1), fields, count)


@inlined
def _name(
    block: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    start: int,
    vocabulary: Vocabulary,
    fields: Fields,
    count: int,
) -> tuple[int, int]:
    """Return the number of the name at ``start``, or ``NOT_SURE``, and where it ends.

    Lines of one kind mostly have the same names in the same order: what stood here in the line
    before is tried first.
    """
    guess = fields.guesses[count]
    end = start + vocabulary.sizes[guess]
    differs = _ZERO  # no loop: its end would be guessed wrongly once per name
    for index in range(WORD_BYTES // 8):
        part = words[start + 8 * index] & vocabulary.masks[guess, index]
        differs |= part ^ vocabulary.words[guess, index]
    if differs == _ZERO and block[end] == _QUOTE:
        return vocabulary.name_of_word[guess], end
    end, hashed = string_end(block, words, start)
    if end < 0:
        return NOT_SURE, start
    word = find_word(words, start, end - start, hashed, vocabulary)
    if word < 0:
        return NOT_SURE, start
    fields.guesses[count] = word
    return vocabulary.name_of_word[word], end


@inlined
def _read_value(
    block: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    at: int,
    fields: Fields,
    count: int,
) -> int:
    first = block[at]
    if first == _QUOTE:
        return _read_string(block, words, at + 1, fields, count)
    if first == _MINUS or _DIGIT_0 <= first <= _DIGIT_9:
        return _read_number(block, words, at, fields, count)
    word = words[at] & _LOWER_HALF
    if word == _TRUE_WORD:
        fields.type[count] = TRUE
        return at + 4
    if word == _NULL_WORD:
        fields.type[count] = NULL
        return at + 4
    if word == _FALSE_WORD and block[at + 4] == _E:
        fields.type[count] = FALSE
        return at + 5
    return NOT_SURE


@inlined
def _read_string(
    block: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    start: int,
    fields: Fields,
    count: int,
) -> int:
    """Read the string from ``start`` on; most are what their name had in the line before."""
    last = fields.last[fields.name[count]]
    size = last[LAST_SIZE]
    if not (
        size >= 0
        and block[start + size] == _QUOTE
        and is_same(words, start, words, last[LAST_START], size, 8)
    ):
        end, hashed = string_end(block, words, start)
        if end < 0:
            return NOT_SURE
        size = end - start
        last[LAST_SIZE], last[LAST_TEXT], last[LAST_WORD] = size, 0, NOT_LOOKED_UP
        fields.last_hash[fields.name[count]] = hashed
    last[LAST_START] = start
    fields.type[count] = STRING
    fields.value[count] = start
    fields.size[count] = size
    fields.hash[count] = fields.last_hash[fields.name[count]]
    return start + size + 1


@inlined
def _read_number(
    block: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    at: int,
    fields: Fields,
    count: int,
) -> int:
    is_negative = block[at] == _MINUS
    start = at + 1 if is_negative else at
    at = start
    value = 0
    word = words[at]
    while at - start <= _MAX_DIGITS - 8 and _are_digits(word):
        value = value * 100_000_000 + np.int64(_eight_digits(word))
        at += 8
        word = words[at]
    while _DIGIT_0 <= block[at] <= _DIGIT_9 and at - start <= _MAX_DIGITS:
        value = value * 10 + np.int64(block[at] - _DIGIT_0)
        at += 1
    digits = at - start
    if digits == 0 or digits > _MAX_DIGITS:
        return NOT_SURE
    if block[start] == _DIGIT_0 and (digits > 1 or is_negative):
        return NOT_SURE
    fields.type[count] = NUMBER
    fields.value[count] = -value if is_negative else value
    return at


@inlined
def _are_digits(word: np.uint64) -> bool:
    return ((word & _TENS) | (((word + _SIXES) & _TENS) >> _HALF_BYTE)) == _DIGIT_TENS


@inlined
def _eight_digits(word: np.uint64) -> np.uint64:
    """Return the number that eight digits are, the first one in the lowest byte."""
    word = word - _DIGIT_ZEROS
    word = word * _TEN + (word >> _BYTE_BITS)  # pairs, in every second byte
    low = (word & _PAIRS) * _LOW_PAIRS
    high = ((word >> _PAIR_BITS) & _PAIRS) * _HIGH_PAIRS
    return (low + high) >> _HALF


@compiled
def find_word(
    words: npt.NDArray[np.uint64],
    start: int,
    size: int,
    hashed: np.uint64,
    vocabulary: Vocabulary,
) -> int:
    """Return the number of the vocabulary's word at ``start``, or -1."""
    mask = np.uint64(vocabulary.table.size - 1)
    at = hashed & mask
    while True:
        word = np.int64(vocabulary.table[at])
        if word < 0:
            return -1
        if vocabulary.sizes[word] == size and is_same(
            words, start, vocabulary.words[word], 0, size, 1
        ):
            return word
        at = (at + _ONE) & mask


@inlined
def _skip(block: npt.NDArray[np.uint8], at: int) -> int:
    """Return where white space that starts at ``at`` ends; a newline is none."""
    while block[at] == _SPACE or block[at] == _TAB or block[at] == _RETURN:
        at += 1
    return at
