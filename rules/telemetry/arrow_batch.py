"""Arrow batch: where the columns of one Arrow record batch lie, read from its metadata alone.

In: metadata that somebody else wrote. Out: its numbers, as many as the schema asks for; anything
else ends in ``WireError``. Nothing is imported, allocated or decompressed for it.

The metadata is a flatbuffer: tables whose fields are found through a vtable, and vectors. Source:
Arrow's Message.fbs and flatbuffers' verifier. Of Message, field 0 is ``version``, 1 the type of
``header``, 2 ``header``, 3 ``bodyLength`` and 4 ``custom_metadata``; of RecordBatch, field 0 is
``length``, 1 ``nodes``, 2 ``buffers``, 3 ``compression`` and 4 ``variadicBufferCounts``.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, NamedTuple

from rules.errors import WireError

_FIELDS: Final = 5  # that are read of either table
_VERSIONS: Final = (3, 4)  # V4 and V5; older ones laid buffers out otherwise
_RECORD_BATCH: Final = 3  # its number among the types of ``header``
_OFFSETS: Final = tuple(struct.Struct(f"<{count}H") for count in range(_FIELDS + 1))
_BYTE = struct.Struct("<B")
_SHORT = struct.Struct("<h")
_SIZE = struct.Struct("<H")  # of a vtable
_BACK = struct.Struct("<i")  # from a table to its vtable
_OFFSET = struct.Struct("<I")
_NUMBER = struct.Struct("<q")


class BatchLayout(NamedTuple):
    """The numbers of a record batch, as stated: nothing says yet that they make sense."""

    rows: int
    body_bytes: int
    nodes: tuple[int, ...]
    """Rows and nulls of each column."""
    buffers: tuple[int, ...]
    """Of each column, place and bytes of its validity, then of its values; from the body on."""


def read_layout(metadata: memoryview, *, columns: int) -> BatchLayout:
    """Return what the metadata of a message says, if it is a record batch of flat columns.

    Args:
        metadata: Of one message, without its length before and its body behind.
        columns: How many the schema has: each has one node and two buffers.

    Raises:
        WireError: ``arrow`` where it says something else, ``compression`` where buffers are said
            to be compressed: by the field, or by custom metadata, where version 0.17 named a codec.
    """
    try:
        return _read(metadata, columns)
    except struct.error as error:  # something lies outside
        raise _broken() from error


def _read(metadata: memoryview, columns: int) -> BatchLayout:
    root = _followed(metadata, 0)
    version, kind, header, body_bytes, custom = _places(metadata, root)
    if not (version and kind and header):
        raise _broken()
    if (
        _short(metadata, version) not in _VERSIONS
        or _BYTE.unpack_from(metadata, kind)[0] != _RECORD_BATCH
    ):
        raise _broken()
    rows, nodes, buffers, compression, variadic = _places(metadata, _followed(metadata, header))
    if custom or compression:
        raise WireError("compression", "inside Arrow")
    if variadic or not (nodes and buffers):
        raise _broken()
    return BatchLayout(
        _number(metadata, rows),
        _number(metadata, body_bytes),
        _pairs(metadata, nodes, columns),
        _pairs(metadata, buffers, 2 * columns),
    )


def _places(metadata: memoryview, table: int) -> list[int]:
    """Return where the fields of a table are, 0 for each that is left out."""
    vtable = table - _BACK.unpack_from(metadata, table)[0]
    if vtable < 0 or vtable & 1:
        raise _broken()
    size = _SIZE.unpack_from(metadata, vtable)[0]
    if size & 1 or vtable + size > len(metadata):
        raise _broken()
    held = max(min(size // 2 - 2, _FIELDS), 0)
    offsets = _OFFSETS[held].unpack_from(metadata, vtable + 4)
    places = [table + offset if offset else 0 for offset in offsets]
    return places if held == _FIELDS else places + [0] * (_FIELDS - held)


def _followed(metadata: memoryview, place: int) -> int:
    """Return where the offset at ``place`` leads."""
    target: int = place + _OFFSET.unpack_from(metadata, place)[0]
    if (place | target) & 3:
        raise _broken()
    return target


def _short(metadata: memoryview, place: int) -> int:
    if place & 1:
        raise _broken()
    value: int = _SHORT.unpack_from(metadata, place)[0]
    return value


def _number(metadata: memoryview, place: int) -> int:
    """Return the 64 bit number at ``place``; one that is left out is 0."""
    if not place:
        return 0
    if place & 7:
        raise _broken()
    value: int = _NUMBER.unpack_from(metadata, place)[0]
    return value


def _pairs(metadata: memoryview, place: int, count: int) -> tuple[int, ...]:
    """Return a vector of ``count`` pairs of numbers."""
    vector = _followed(metadata, place)
    if _OFFSET.unpack_from(metadata, vector)[0] != count:
        raise _broken()
    return _numbers(2 * count).unpack_from(metadata, vector + 4)


@lru_cache(256)
def _numbers(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}q")


def _broken() -> WireError:
    return WireError("arrow", "the metadata is that of no record batch of the schema's columns")
