"""pcapng files: recorded packets in blocks, of several interfaces, each with a clock of its own.

In: an open file. Out: its frames, or ``CaptureFileError`` from the byte on that cannot be read.
Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import BinaryIO, Final, Literal

from agent.decode.packet import Link
from agent.decode.pcap import MAX_FRAME_BYTES, Frame, name_link
from agent.errors import CaptureFileError

PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"

_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
_ORDER_MAGIC: Final = 0x1A2B3C4D
_START_BYTES: Final = 8  # type and length of a block
_FRAME_BYTES: Final = 12  # what a block has around its content
_MAX_BLOCK_BYTES: Final = MAX_FRAME_BYTES + 65_536
_MAX_INTERFACES: Final = 65_536

_RESOLUTION, _TIME_OFFSET = 9, 14  # options of an interface
_DROPS: Final = frozenset({5, 7})  # options of statistics: dropped by interface, by system
_BINARY: Final = 0x80
_MICROSECONDS: Final = 1_000_000
_BIT_MAX: Final = 63
_DIGITS_MAX: Final = 18

_Order = Literal["little", "big"]


@dataclass(frozen=True, slots=True)
class _Interface:
    link: Link | None
    units_per_s: int = _MICROSECONDS
    offset_us: int = 0

    def time_us(self, units: int) -> int:
        return units * _MICROSECONDS // self.units_per_s + self.offset_us


class PcapngReader:
    """Reads one file, front to back."""

    def __init__(self, file: BinaryIO) -> None:
        self._drops: dict[tuple[int, int], int] = {}  # by interface and option
        self._drops_before = 0  # of earlier sections
        self._file = file
        self._offset = 0
        self._order: _Order = "little"
        self._interfaces: list[_Interface] = []
        self._unpack = Struct("<IIIII").unpack_from
        self._last_us = 0

    @property
    def dropped(self) -> int:
        """Return how many packets the file says its own recording has lost."""
        return self._drops_before + sum(self._drops.values())

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in the order of the file.

        Raises:
            CaptureFileError: It is cut or damaged; all before it has been yielded.
        """
        while start := self._file.read(_START_BYTES):
            if len(start) < _START_BYTES:
                raise self._error("the file ends inside the header of a block")
            kind, content = self._read_block(start)
            if kind == _PACKET:
                yield self._packet(content)
            elif kind in {_OLD_PACKET, _SIMPLE}:
                yield self._rare_packet(kind, content)
            elif kind == _INTERFACE:
                self._add_interface(content)
            elif kind == _STATISTICS:
                self._count_drops(content)
            self._offset += _FRAME_BYTES + len(content)

    def _read_block(self, start: bytes) -> tuple[int, bytes]:
        begin = b""
        if start[:4] == PCAPNG_MAGIC:
            begin = self._begin_section()
        kind, size = (int.from_bytes(start[at : at + 4], self._order) for at in (0, 4))
        if size < _FRAME_BYTES + len(begin) or size > _MAX_BLOCK_BYTES or size % 4:
            raise self._error(f"a block of {size} bytes cannot be")
        rest = self._file.read(size - _START_BYTES - len(begin))
        if len(rest) < size - _START_BYTES - len(begin):
            raise self._error("the file ends inside a block")
        if int.from_bytes(rest[-4:], self._order) != size:
            raise self._error("a block states two lengths")
        return kind, begin + rest[:-4]

    def _begin_section(self) -> bytes:
        """Read which byte order the section has; it begins with no interface."""
        magic = self._file.read(4)
        orders: tuple[_Order, ...] = ("little", "big")
        for order in orders:
            if int.from_bytes(magic, order) == _ORDER_MAGIC:
                self._order = order
                self._unpack = Struct("<IIIII" if order == "little" else ">IIIII").unpack_from
                self._interfaces = []
                self._drops_before, self._drops = self.dropped, {}
                return magic
        raise self._error("the header of a section is cut, or has no byte order")

    def _packet(self, content: bytes) -> Frame:
        if len(content) < 20:  # noqa: PLR2004 (its five numbers)
            raise self._error("a packet is cut")
        number, high, low, size, _ = self._unpack(content)
        return self._frame(number, (high << 32) | low, content[20 : 20 + size], size=size)

    def _rare_packet(self, kind: int, content: bytes) -> Frame:
        """Return a packet in the form of old tools, or one without a time of its own."""
        if kind == _SIMPLE and len(content) >= 4 and self._interfaces:  # noqa: PLR2004
            original = self._number(content[:4])
            data = content[4 : 4 + original]
            return Frame(self._last_us, self._interfaces[0].link, data)
        if kind == _OLD_PACKET and len(content) >= 20:  # noqa: PLR2004 (its numbers)
            number = self._number(content[:2])
            _, high, low, size, _ = self._unpack(content)
            return self._frame(number, (high << 32) | low, content[20 : 20 + size], size=size)
        raise self._error("a packet is cut")

    def _frame(self, number: int, units: int, data: bytes, *, size: int) -> Frame:
        if number >= len(self._interfaces):
            raise self._error(f"interface {number} is not described")
        if len(data) < size:
            raise self._error("a packet is longer than its block")
        interface = self._interfaces[number]
        self._last_us = interface.time_us(units)
        return Frame(self._last_us, interface.link, data)

    def _add_interface(self, content: bytes) -> None:
        if len(content) < _START_BYTES or len(self._interfaces) >= _MAX_INTERFACES:
            raise self._error("the description of an interface is cut, or one too many")
        units_per_s, offset_us = _MICROSECONDS, 0
        for number, value in self._options(content[_START_BYTES:]):
            if number == _RESOLUTION and len(value) == 1:
                units_per_s = self._resolution(value[0])
            elif number == _TIME_OFFSET and len(value) == 8:  # noqa: PLR2004 (a 64-bit number)
                offset_us = int.from_bytes(value, self._order, signed=True) * _MICROSECONDS
        link = name_link(self._number(content[:2]))
        self._interfaces.append(_Interface(link, units_per_s, offset_us))

    def _resolution(self, value: int) -> int:
        power = value & ~_BINARY
        if value & _BINARY and power <= _BIT_MAX:
            return 1 << power
        if not value & _BINARY and power <= _DIGITS_MAX:
            return int(10**power)
        raise self._error("an interface has a clock that nobody can have")

    def _count_drops(self, content: bytes) -> None:
        """Take in totals since the recording began, which may be stated again and again."""
        interface = self._number(content[:4])
        for number, value in self._options(content[_FRAME_BYTES:]):
            if number in _DROPS and len(value) == 8:  # noqa: PLR2004 (a 64-bit number)
                self._drops[interface, number] = self._number(value)

    def _options(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        place = 0
        while place + 4 <= len(content):
            number = self._number(content[place : place + 2])
            size = self._number(content[place + 2 : place + 4])
            place += 4
            yield number, content[place : place + size]
            place += (size + 3) // 4 * 4

    def _number(self, raw: bytes) -> int:
        return int.from_bytes(raw, self._order)

    def _error(self, why: str) -> CaptureFileError:
        return CaptureFileError(self._offset, why)
