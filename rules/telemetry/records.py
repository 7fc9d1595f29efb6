"""Record files: opaque records, appended whole or not at all, sound after a crash at any byte.

In: a header and a payload, both bytes. Out: a file that reads back as the records written whole, in
their order. The agent's spool and the analyzer's telemetry log are folders of such files.

A file is ``MAGIC`` and then records: crc32 of what follows (4 bytes), length of the header (2),
length of the payload (4), header, payload; integers little-endian.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from rules.errors import RulesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAGIC = b"PRCTREC1"  # the last byte is the version of the format
MAX_HEADER_BYTES = 0xFFFF
MAX_PAYLOAD_BYTES = 1 << 30  # far above any batch, far below what the length field could hold
SUFFIX = ".seg"

_CRC = struct.Struct("<I")
_LENGTHS = struct.Struct("<HI")
_PREFIX_BYTES = _CRC.size + _LENGTHS.size


class ForeignFileError(RulesError):
    """A file that is no record file of this version.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Name the file and what to do."""
        super().__init__(
            f"{path} is no record file of this version of Proctor; move it away to go on"
        )
        self.path = path


class MissingRecordError(RulesError):
    """A record that was there, and is there no more.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, offset: int) -> None:
        """Name the file and the place."""
        super().__init__(f"{path} has no sound record at {offset} any more")
        self.path = path


class Record(NamedTuple):
    """One record, where it starts in its file, and how many bytes it takes there."""

    offset: int
    size: int
    header: bytes
    payload: bytes

    @property
    def end(self) -> int:
        """Return where the next record starts."""
        return self.offset + self.size


class Position(NamedTuple):
    """A place in a folder of record files; positions compare in the order of writing."""

    segment: int
    offset: int


class Disk:
    """The calls that change a disk. Tests put in its place one that fails or stops half-way."""

    def open(self, path: Path) -> int:
        """Open a file for appending and create it if it is missing; only its owner may read it."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, file: int, data: memoryview) -> int:
        """Append bytes; returns how many were taken."""
        return os.write(file, data)

    def truncate(self, file: int, size: int) -> None:
        """Cut a file to a size."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """Return once the content of a file is durable."""
        os.fdatasync(file)

    def sync_folder(self, folder: Path) -> None:
        """Return once the names in a folder are durable."""
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def replace(self, source: Path, target: Path) -> None:
        """Rename a file over another in one step."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Delete a file; one that is gone already is no error."""
        path.unlink(missing_ok=True)


def frame(header: bytes, payload: bytes) -> bytes:
    """Return a record as it stands in a file.

    Raises:
        ValueError: The header is empty, or either part is too long.
    """
    if not 0 < len(header) <= MAX_HEADER_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        message = f"no record has {len(header)} header bytes and {len(payload)} payload bytes"
        raise ValueError(message)
    lengths = _LENGTHS.pack(len(header), len(payload))
    return b"".join((_CRC.pack(_checksum(lengths, header, payload)), lengths, header, payload))


def _checksum(lengths: bytes, header: bytes, payload: bytes) -> int:
    # The lengths count too, and no header is empty: zeros that a power cut left are no record.
    return zlib.crc32(payload, zlib.crc32(header, zlib.crc32(lengths)))


class RecordReader:
    """The sound records of one file, in order.

    A record whose checksum is wrong is passed over if a sound one follows (the disk damaged it);
    whatever follows the last sound record is a torn tail and is left out.

    Attributes:
        end: Where the last sound record read so far ends; 0 in a file without a whole ``MAGIC``.
        damaged: Records passed over so far.
    """

    def __init__(self, path: Path, *, start: int = len(MAGIC)) -> None:
        """Read ``path`` from the record that starts at ``start``."""
        self.end = 0
        self.damaged = 0
        self._path = path
        self._start = start

    def __iter__(self) -> Iterator[Record]:
        """Yield the records.

        Raises:
            ForeignFileError: The file is no record file.
            OSError: The file cannot be read.
        """
        with self._path.open("rb") as file:
            magic = file.read(len(MAGIC))
            if magic != MAGIC:
                if not MAGIC.startswith(magic.rstrip(b"\0")):
                    raise ForeignFileError(self._path)
                return  # it ended at its birth: nothing was stored
            self.end = self._start
            file.seek(self._start)
            yield from self._records(file, os.fstat(file.fileno()).st_size)

    def _records(self, file: BinaryIO, size: int) -> Iterator[Record]:
        offset = self._start
        suspects = 0
        while (read := _read(file, offset, size)) is not None:
            record, is_sound = read
            offset = record.end
            if is_sound:
                self.damaged += suspects
                suspects = 0
                self.end = offset
                yield record
            else:
                suspects += 1


def records_at(path: Path, offsets: Iterable[int]) -> Iterator[Record]:
    """Yield the records of a file that start at given places; what lies between is not read.

    Raises:
        MissingRecordError: There is no sound record at one of them.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for offset in offsets:
            file.seek(offset)
            read = _read(file, offset, size)
            if read is None or not read[1]:
                raise MissingRecordError(path, offset)
            yield read[0]


def _read(file: BinaryIO, offset: int, size: int) -> tuple[Record, bool] | None:
    """Return what stands at a place as a record, and whether it is sound; None behind the last."""
    prefix = file.read(_PREFIX_BYTES)
    if len(prefix) < _PREFIX_BYTES:
        return None
    (crc,) = _CRC.unpack_from(prefix)
    lengths = prefix[_CRC.size :]
    header_bytes, payload_bytes = _LENGTHS.unpack(lengths)
    length = _PREFIX_BYTES + header_bytes + payload_bytes
    if header_bytes == 0 or offset + length > size:
        return None
    header, payload = file.read(header_bytes), file.read(payload_bytes)
    is_sound = crc == _checksum(lengths, header, payload)
    return Record(offset, length, header, payload), is_sound


class RecordFile:
    """A record file that is open for appending.

    Attributes:
        size: Bytes of the file that are sound; the next record starts here.
    """

    def __init__(self, path: Path, *, end: int, disk: Disk) -> None:
        """Open ``path``, create it if it is missing, and cut what follows ``end``.

        Args:
            path: The file.
            end: Where its last sound record ends, as a reader found it; 0 for a new file.
            disk: What writes.

        Raises:
            OSError: The file cannot be opened.
        """
        self.size = end
        self._path = path
        self._disk = disk
        self._file = disk.open(path)
        self._is_named = False
        self._is_sound = os.fstat(self._file).st_size == end
        if not self._is_sound:
            self._try_cut()

    def append(self, frames: Iterable[bytes], *, sync: bool) -> list[int]:
        """Append records; all of them stand in the file when this returns, none when it raises.

        Args:
            frames: Results of ``frame``.
            sync: Whether they must be durable on return.

        Returns:
            The offset of each record.

        Raises:
            OSError: The disk refuses. The file is as it was before, and later calls may succeed.
        """
        if not self._is_sound:
            self._cut()
        self._is_sound = False
        try:
            offsets, size = self._write(frames)
            if sync:
                self._sync()
        except OSError:
            self._try_cut()
            raise
        self.size = size
        self._is_sound = True
        return offsets

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, frames: Iterable[bytes]) -> tuple[list[int], int]:
        offsets: list[int] = []
        size = self.size
        if size == 0:
            _write_all(self._disk, self._file, MAGIC)
            size = len(MAGIC)
        for data in frames:
            _write_all(self._disk, self._file, data)
            offsets.append(size)
            size += len(data)
        return offsets, size

    def _sync(self) -> None:
        self._disk.sync(self._file)
        if not self._is_named:
            self._disk.sync_folder(self._path.parent)
            self._is_named = True

    def _cut(self) -> None:
        # Without this a record that was reported as not written could come back after a restart.
        self._disk.truncate(self._file, self.size)
        self._is_sound = True

    def _try_cut(self) -> None:
        with contextlib.suppress(OSError):  # the next append tries again before it writes
            self._cut()


def replace_file(path: Path, data: bytes, *, disk: Disk, sync: bool) -> None:
    """Give a small file new content in one step: a crash leaves the old or the new, never a mix.

    Raises:
        OSError: The disk refuses; the old content stands.
    """
    draft = path.with_name(f"{path.name}.new")
    file = disk.open(draft)
    try:
        disk.truncate(file, 0)
        _write_all(disk, file, data)
        if sync:
            disk.sync(file)
    finally:
        os.close(file)
    disk.replace(draft, path)
    if sync:
        disk.sync_folder(path.parent)


def _write_all(disk: Disk, file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[disk.write(file, left) :]


def segment_path(folder: Path, number: int) -> Path:
    """Return the path of a numbered record file."""
    return folder / f"{number:08d}{SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of the record files in a folder, ascending."""
    stems = (path.stem for path in folder.glob(f"*{SUFFIX}"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())
