"""Capture files: pcap and pcapng, plain or gzip, whichever it is.

In: a path. Out: frames with their time, in the order of the file; a file that is cut or damaged
ends with an error that names the place, after everything before it.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, cast

from agent.decode.pcap import PCAP_MAGICS, Frame, read_pcap
from agent.decode.pcapng import PCAPNG_MAGIC, PcapngReader
from agent.errors import CaptureFileError

_GZIP_MAGIC: Final = b"\x1f\x8b"
_MAGIC_BYTES: Final = 4
_BUFFER_BYTES: Final = 1 << 20


class CaptureFile:
    """A capture file, open for reading once; a context manager that closes it.

    Attributes:
        size_bytes: Size on disk.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._raw = path.open("rb")
        self.size_bytes = path.stat().st_size
        self._pcapng: PcapngReader | None = None
        self._unzipped: _Unzipped | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    @property
    def read_bytes(self) -> int:
        """Return how far it has been read, in bytes on disk."""
        return self._raw.tell()

    @property
    def dropped(self) -> int:
        """Return how many packets the file says its own recording has lost."""
        return self._pcapng.dropped if self._pcapng else 0

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in the order of the file.

        Raises:
            CaptureFileError: It is no capture, or is cut or damaged; all before has been yielded.
        """
        content = self._plain()
        try:
            magic = content.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
            if magic == PCAPNG_MAGIC:
                self._pcapng = PcapngReader(cast("BinaryIO", content))
                yield from self._pcapng.frames()
            elif magic in PCAP_MAGICS:
                yield from read_pcap(cast("BinaryIO", content))
            else:
                raise CaptureFileError(0, "this is neither pcap nor pcapng")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            why = f"the compression is broken ({error})"
            offset = self._unzipped.read_bytes if self._unzipped else 0
            raise CaptureFileError(offset, why) from error

    def _plain(self) -> io.BufferedReader:
        magic = self._raw.read(len(_GZIP_MAGIC))
        self._raw.seek(0)
        if magic == _GZIP_MAGIC:
            self._unzipped = _Unzipped(self._raw)
            return io.BufferedReader(self._unzipped, _BUFFER_BYTES)
        return self._raw


class _Unzipped(io.RawIOBase):
    """Reads gzip piece by piece, so that what stands before a cut is not lost with it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = gzip.GzipFile(fileobj=file, mode="rb")
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:  # noqa: ANN401 (a buffer)
        data = self._file.read1(len(target))
        target[: len(data)] = data
        self.read_bytes += len(data)
        return len(data)
