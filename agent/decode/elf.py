"""ELF: how an executable or a shared object is hardened, from its headers alone.

In: a file of the host, possibly hostile. Out: ``Hardening``; None where it is no ELF file that can
be read. Source: System V ABI, chapters 4 and 5; the GNU extensions of ``elf.h``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

ReadAt = Callable[[int, int], bytes]
"""Returns so many bytes of a file from an offset on; fewer where it ends before."""

MAX_HEADERS_BYTES: Final = 65_536  # of program headers; the kernel refuses more
MAX_DYNAMIC: Final = 4096  # entries of the dynamic section
MAX_STRINGS_BYTES: Final = 32 << 20  # of the dynamic string table
_PIECE_BYTES: Final = 65_536  # of it, read at once

_CLASS_64: Final = 2
_FORMATS: Final = {
    False: ("HHIIIIIHHH", "IIIIIIII", "iI"),
    True: ("HHIQQQIHHH", "IIQQQQQQ", "qQ"),
}
"""File header behind its first 16 bytes, program header, entry of the dynamic section; by class."""
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_PT_GNU_STACK, _PT_GNU_RELRO = 0x6474E551, 0x6474E552
_PF_X: Final = 1
_ET_EXEC, _ET_DYN = 2, 3
_DT_NULL, _DT_STRTAB, _DT_STRSZ, _DT_BIND_NOW, _DT_FLAGS = 0, 5, 10, 24, 30
_DT_FLAGS_1: Final = 0x6FFFFFFB
_DF_BIND_NOW: Final = 8
_DF_1_NOW, _DF_1_PIE = 1, 0x08000000
_CANARIES: Final = (b"\0__stack_chk_fail\0", b"\0__stack_chk_guard\0")
_LONGEST: Final = max(map(len, _CANARIES))


@dataclass(frozen=True, slots=True)
class Hardening:
    """What a file was built with.

    Attributes:
        nx: Whether its stack is not executable; a file that does not say so counts as executable.
        stack_canary: Whether it refers to stack protectors; None of a static file, whose symbols
            may be gone.
        pie: Whether it is position independent; None of a shared object, which always is.
        relro: Which relocations are read-only once they are made.
    """

    nx: bool
    stack_canary: bool | None
    pie: bool | None
    relro: Literal["none", "partial", "full"]


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    flags: int
    offset: int
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes and formats of one class and byte order."""

    header: struct.Struct
    segment: struct.Struct
    dynamic: struct.Struct
    is_64: bool


def read_hardening(read: ReadAt) -> Hardening | None:
    """Return how an ELF file is hardened; None where it is no sound ELF file.

    Args:
        read: Reads the file; only headers and names are asked for. A memory map would do too, but
            who may cut the file short while it is read could kill the reader with it.
    """
    try:
        return _read(read)
    except (struct.error, IndexError, ValueError, OverflowError):
        return None


def _read(read: ReadAt) -> Hardening | None:
    layout = _layout(read(0, 16))
    if layout is None:
        return None
    fields = layout.header.unpack(read(16, layout.header.size))
    file_type, start, size, count = fields[0], fields[4], fields[8], fields[9]
    is_program = file_type in (_ET_EXEC, _ET_DYN) and size == layout.segment.size
    if not is_program or count * size > MAX_HEADERS_BYTES:
        return None
    headers = read(start, count * size)
    segments = [_segment(layout, headers, place * size) for place in range(count)]
    kinds = {segment.kind for segment in segments}
    dynamic = _dynamic(layout, read, segments)
    # Of several, the kernel takes the last one.
    stack = next((each for each in reversed(segments) if each.kind == _PT_GNU_STACK), None)
    return Hardening(
        nx=stack is not None and not stack.flags & _PF_X,
        stack_canary=_has_canary(read, segments, dynamic),
        pie=_is_pie(file_type, has_loader=_PT_INTERP in kinds, dynamic=dynamic),
        relro=_relro(is_there=_PT_GNU_RELRO in kinds, dynamic=dynamic or {}),
    )


def _layout(data: bytes) -> _Layout | None:
    if data[:4] != b"\x7fELF" or data[4] not in (1, 2) or data[5] not in (1, 2):
        return None
    order = "<" if data[5] == 1 else ">"
    is_64 = data[4] == _CLASS_64
    header, segment, dynamic = (struct.Struct(order + text) for text in _FORMATS[is_64])
    return _Layout(header, segment, dynamic, is_64)


def _segment(layout: _Layout, data: bytes, start: int) -> _Segment:
    fields = layout.segment.unpack_from(data, start)
    if layout.is_64:
        kind, flags, offset, address, _, size = fields[:6]
    else:
        kind, offset, address, _, size, _, flags = fields[:7]
    return _Segment(kind, flags, offset, address, size)


def _dynamic(layout: _Layout, read: ReadAt, segments: list[_Segment]) -> Mapping[int, int] | None:
    """Return the dynamic section, tag → value; None of a static file."""
    # Of several, the loader takes the last one, and the last value of a tag.
    section = next((each for each in reversed(segments) if each.kind == _PT_DYNAMIC), None)
    if section is None:
        return None
    entries: dict[int, int] = {}
    for tag, value in _entries(layout, read, section):
        if tag == _DT_NULL:
            break
        entries[tag] = value
    return entries


def _entries(layout: _Layout, read: ReadAt, section: _Segment) -> Iterator[tuple[int, int]]:
    step = layout.dynamic.size
    data = read(section.offset, min(section.size // step, MAX_DYNAMIC) * step)
    for tag, value in layout.dynamic.iter_unpack(data[: len(data) // step * step]):
        yield tag & (1 << (64 if layout.is_64 else 32)) - 1, value


def _has_canary(
    read: ReadAt, segments: list[_Segment], dynamic: Mapping[int, int] | None
) -> bool | None:
    if dynamic is None or _DT_STRTAB not in dynamic:
        return None
    start = _offset(segments, dynamic[_DT_STRTAB])
    size = min(dynamic.get(_DT_STRSZ, 0), MAX_STRINGS_BYTES)
    if start is None:
        return None
    for at in range(start, start + size, _PIECE_BYTES):
        # Pieces overlap, so that no name is cut in two.
        names = read(at, min(_PIECE_BYTES + _LONGEST, start + size - at))
        if not names:
            break
        if any(name in names for name in _CANARIES):
            return True
    return False


def _offset(segments: list[_Segment], address: int) -> int | None:
    """Return where in the file an address of memory is."""
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size:
            return address - segment.address + segment.offset
    return None


def _is_pie(file_type: int, *, has_loader: bool, dynamic: Mapping[int, int] | None) -> bool | None:
    if file_type == _ET_EXEC:
        return False
    is_marked = bool((dynamic or {}).get(_DT_FLAGS_1, 0) & _DF_1_PIE)
    return True if is_marked or has_loader else None


def _relro(*, is_there: bool, dynamic: Mapping[int, int]) -> Literal["none", "partial", "full"]:
    if not is_there:
        return "none"
    binds_now = (
        _DT_BIND_NOW in dynamic
        or dynamic.get(_DT_FLAGS, 0) & _DF_BIND_NOW
        or dynamic.get(_DT_FLAGS_1, 0) & _DF_1_NOW
    )
    return "full" if binds_now else "partial"
