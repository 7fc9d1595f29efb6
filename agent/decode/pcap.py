"""pcap files: the classic format of recorded packets, either byte order, micro or nanoseconds.

In: an open file. Out: its frames, or ``CaptureFileError`` from the byte on that cannot be read.
Source: draft-ietf-opsawg-pcap.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import BinaryIO, Final, NamedTuple

from agent.decode.packet import Link
from agent.errors import CaptureFileError

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024  # tools record 256 KB at most; more is no length

_NANOSECONDS: Final = 1_000
_MICROSECONDS: Final = 1
_MAGICS: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", _MICROSECONDS),
    b"\xa1\xb2\xc3\xd4": (">", _MICROSECONDS),
    b"\x4d\x3c\xb2\xa1": ("<", _NANOSECONDS),
    b"\xa1\xb2\x3c\x4d": (">", _NANOSECONDS),
}
PCAP_MAGICS: Final = frozenset(_MAGICS)
_HEADER_BYTES: Final = 24
_RECORD_BYTES: Final = 16
_LINK_MASK: Final = 0xFFFF  # above stands the length of checksums

_LINKS: Final = {
    0: Link.NULL,
    1: Link.ETHERNET,
    12: Link.RAW,
    14: Link.RAW,
    101: Link.RAW,
    108: Link.NULL,
    113: Link.COOKED,
    228: Link.RAW,
    229: Link.RAW,
    276: Link.COOKED2,
}


class Frame(NamedTuple):
    """One recorded frame."""

    ts_us: int
    link: Link | None
    """None for a network that is not known."""
    data: bytes


def name_link(number: int) -> Link | None:
    """Return how frames of a link type begin; None where it is not known."""
    return _LINKS.get(number & _LINK_MASK)


def read_pcap(file: BinaryIO) -> Iterator[Frame]:
    """Yield the frames of a pcap file.

    Raises:
        CaptureFileError: It is none, or is cut or damaged; all before it has been yielded.
    """
    head = file.read(_HEADER_BYTES)
    if len(head) < _HEADER_BYTES or head[:4] not in PCAP_MAGICS:
        raise CaptureFileError(0, "the header of a pcap file is not there, or cut")
    order, divisor = _MAGICS[head[:4]]
    link = name_link(int.from_bytes(head[20:], "little" if order == "<" else "big"))
    unpack = Struct(f"{order}IIII").unpack
    read = file.read
    offset = _HEADER_BYTES
    while record := read(_RECORD_BYTES):
        if len(record) < _RECORD_BYTES:
            raise CaptureFileError(offset, "the file ends inside the header of a packet")
        seconds, part, size, _ = unpack(record)
        if size > MAX_FRAME_BYTES:
            raise CaptureFileError(offset, f"a packet of {size} bytes cannot be")
        data = read(size)
        if len(data) < size:
            raise CaptureFileError(offset, "the file ends inside a packet")
        offset += _RECORD_BYTES + size
        yield Frame(seconds * 1_000_000 + part // divisor, link, data)
