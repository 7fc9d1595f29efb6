"""Compression of a message's body, as a whole: zstd, or zlib where zstandard is missing.

In: bytes. Out: fewer bytes with a checksum, so that a flipped bit does not become an event; and
back, never into more memory than the size that was stated and allowed.
"""

from __future__ import annotations

import threading
import zlib
from functools import lru_cache
from typing import Literal

from rules.errors import WireError

try:
    import zstandard
except ImportError:  # a host without its wheel sends zlib
    _HAS_ZSTD = False
else:
    _HAS_ZSTD = True

Method = Literal["zstd", "zlib"]

_LEVEL = 1  # of both: more costs the agent time and saves little


def pack(body: bytes) -> tuple[Method, bytes]:
    """Return the method and the compressed bytes."""
    if not _HAS_ZSTD:
        return "zlib", zlib.compress(body, _LEVEL)
    return "zstd", _local().compressor.compress(body)


def unpack(packed: bytes | memoryview, *, method: Method, size_bytes: int) -> bytes:
    """Return the body, which must have exactly ``size_bytes``; the caller has bounded them.

    Raises:
        WireError: ``compression`` where the data is broken, ``count`` where the size differs.
    """
    body = (_unzlib if method == "zlib" else _unzstd)(packed, size_bytes)
    if len(body) != size_bytes:
        raise WireError("count", f"body of {len(body)} bytes, stated {size_bytes}")
    return body


def _unzstd(packed: bytes | memoryview, size_bytes: int) -> bytes:
    """Decompress one frame. The frame's own size decides what is allocated: it must agree."""
    if not _HAS_ZSTD:
        raise WireError("compression", "zstandard is not installed")
    try:
        if zstandard.get_frame_parameters(packed).content_size != size_bytes:
            raise WireError("count", "the zstd frame states another size")
        return _local().decompressor.decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise WireError("compression", str(error)) from error


def _unzlib(packed: bytes | memoryview, size_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(packed, size_bytes + 1)  # 0 would mean without limit
    except zlib.error as error:
        raise WireError("compression", str(error)) from error
    if not stream.eof or stream.unused_data:
        raise WireError("compression", "the zlib stream ends early or late")
    return body


class _Zstd(threading.local):
    """Compressors cost 10 µs each to make and serve one thread at a time."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(_LEVEL, write_checksum=True)
        self.decompressor = zstandard.ZstdDecompressor()


@lru_cache(1)
def _local() -> _Zstd:
    return _Zstd()
