"""A reader of DER, the strict binary form of ASN.1 that certificates come in.

In: bytes that anybody may have written. Out: elements and simple values, or ``DecodeError``.
Source: ITU-T X.690.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from agent.errors import DecodeError

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_ID: Final = 0x06
SEQUENCE: Final = 0x30
SET: Final = 0x31
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18

_HIGH_TAG: Final = 0x1F  # a tag of several bytes follows; certificates have none
_LONG_LENGTH: Final = 0x80
_LENGTH_BYTES_MAX: Final = 4
_OBJECT_ID_BYTES_MAX: Final = 64  # the longest in use has about 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UTC_TIME_BYTES: Final = len("YYMMDDhhmmssZ")
_GENERALIZED_TIME_BYTES: Final = len("YYYYMMDDhhmmssZ")
_CENTURY_TURN: Final = 50  # RFC 5280: two digits from 50 on are of the 20th century


class DerReader:
    """Reads the elements of one constructed value, one after the other.

    Args:
        data: The elements.
        what: What they are, for errors.
    """

    __slots__ = ("_data", "_offset", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._offset = 0
        self._what = what

    @property
    def is_at_end(self) -> bool:
        """Whether all elements have been read."""
        return self._offset == len(self._data)

    def peek(self) -> int:
        """Return the tag of the next element, -1 at the end."""
        return -1 if self.is_at_end else self._data[self._offset]

    def enter(self, tag: int) -> DerReader:
        """Return a reader of the content of the next element, which must have ``tag``."""
        return DerReader(self.read(tag), self._what)

    def read(self, tag: int) -> bytes:
        """Return the content of the next element, which must have ``tag``.

        Raises:
            DecodeError: It has another tag, or does not fit.
        """
        begin, end = self._measure(tag)
        self._offset = end
        return self._data[begin:end]

    def read_whole(self, tag: int) -> bytes:
        """Return the next element with its tag and length."""
        offset = self._offset
        self.read(tag)
        return self._data[offset : self._offset]

    def read_integer(self) -> int:
        """Return the next element as a whole number."""
        content = self.read(INTEGER)
        if not content:
            raise self.error("an empty integer")
        return int.from_bytes(content, "big", signed=True)

    def read_object_id(self) -> str:
        """Return the next element as a dotted object identifier."""
        content = self.read(OBJECT_ID)
        if not 0 < len(content) <= _OBJECT_ID_BYTES_MAX or content[-1] & 0x80:
            raise self.error("an object identifier that is empty, endless or cut")
        arcs: list[int] = []
        value = 0
        for byte in content:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                arcs.append(value)
                value = 0
        root = min(arcs[0] // 40, 2)  # the first two arcs share one number
        return ".".join(map(str, (root, arcs[0] - root * 40, *arcs[1:])))

    def read_bits(self) -> bytes:
        """Return the next element as a bit string of whole bytes."""
        content = self.read(BIT_STRING)
        if content[:1] != b"\0":
            raise self.error("a bit string that is no whole bytes")
        return content[1:]

    def read_time_us(self) -> int:
        """Return the next element as UTC microseconds. Source: RFC 5280, 4.1.2.5."""
        is_short = self.peek() == UTC_TIME
        content = self.read(UTC_TIME if is_short else GENERALIZED_TIME)
        size = _UTC_TIME_BYTES if is_short else _GENERALIZED_TIME_BYTES
        digits = content[:-1]
        if len(content) != size or content[-1:] != b"Z" or not digits.isdigit():
            raise self.error("a time that is not of the form RFC 5280 wants")
        if is_short:
            digits = (b"19" if int(digits[:2]) >= _CENTURY_TURN else b"20") + digits
        parts = (int(digits[begin : begin + 2]) for begin in range(4, 14, 2))
        month, day, hour, minute, second = parts
        try:
            moment = datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC)
        except ValueError as error:
            raise self.error("a time that no clock shows") from error
        return (moment - _EPOCH) // timedelta(microseconds=1)

    def error(self, why: str) -> DecodeError:
        """Return the error that says what is wrong with the value being read."""
        return DecodeError(self._what, why)

    def _measure(self, tag: int) -> tuple[int, int]:
        """Return where the content of the next element begins and ends."""
        data, offset = self._data, self._offset
        if len(data) - offset < 2:  # noqa: PLR2004 - a tag and a length
            raise self.error("it ends too early")
        if data[offset] != tag or tag & _HIGH_TAG == _HIGH_TAG:
            raise self.error(f"tag {data[offset]:#04x} stands where {tag:#04x} should")
        length, begin = data[offset + 1], offset + 2
        if length >= _LONG_LENGTH:
            length_bytes = length - _LONG_LENGTH
            if not 0 < length_bytes <= _LENGTH_BYTES_MAX:
                raise self.error("a length that is indefinite or huge")
            length = int.from_bytes(data[begin : begin + length_bytes], "big")
            begin += length_bytes
        if length > len(data) - begin:
            raise self.error("an element is longer than what holds it")
        return begin, begin + length
