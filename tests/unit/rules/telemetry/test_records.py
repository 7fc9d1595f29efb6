import errno
from pathlib import Path

import pytest

from rules.telemetry.records import (
    MAGIC,
    MAX_HEADER_BYTES,
    Disk,
    ForeignFileError,
    MissingRecordError,
    Position,
    Record,
    RecordFile,
    RecordReader,
    frame,
    records_at,
    replace_file,
    segment_numbers,
    segment_path,
)
from tests.faulty_disk import FaultyDisk

ONE = frame(b"h1", b"first")
TWO = frame(b"h2", b"second payload")


def _contents(path: Path) -> list[tuple[bytes, bytes]]:
    return [(record.header, record.payload) for record in RecordReader(path)]


def _write(path: Path, *frames: bytes) -> None:
    file = RecordFile(path, end=0, disk=FaultyDisk())
    file.append(frames, sync=True)
    file.close()


def test_records_read_back_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    file = RecordFile(path, end=0, disk=Disk())
    offsets = file.append([ONE, TWO], sync=True)
    offsets += file.append([ONE], sync=False)
    file.close()
    records = list(RecordReader(path))
    assert [record.offset for record in records] == offsets
    assert records[1] == Record(len(MAGIC) + len(ONE), len(TWO), b"h2", b"second payload")
    assert records[1].end == records[2].offset
    assert file.size == path.stat().st_size == records[-1].end


def test_reader_starts_at_any_record(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    _write(path, ONE, TWO)
    start = len(MAGIC) + len(ONE)
    assert [record.header for record in RecordReader(path, start=start)] == [b"h2"]
    at_end = RecordReader(path, start=path.stat().st_size)
    assert list(at_end) == []
    assert at_end.end == path.stat().st_size


def test_records_are_read_at_their_places(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    _write(path, ONE, TWO, ONE)
    records = list(RecordReader(path))
    assert list(records_at(path, [record.offset for record in records[1:]])) == records[1:]
    damaged = bytearray(path.read_bytes())
    damaged[records[1].end - 1] ^= 1
    path.write_bytes(damaged)
    assert list(records_at(path, [records[0].offset, records[2].offset])) == records[::2]
    for offset in (records[1].offset, records[2].offset + 1, records[2].end, 10_000):
        with pytest.raises(MissingRecordError, match=f"no sound record at {offset} any more"):
            list(records_at(path, [offset]))


def test_payload_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    _write(path, frame(b"h", b""))
    assert _contents(path) == [(b"h", b"")]


@pytest.mark.parametrize("header", [b"", bytes(MAX_HEADER_BYTES + 1)])
def test_frame_refuses_a_header_that_the_format_cannot_hold(header: bytes) -> None:
    with pytest.raises(ValueError, match="no record has"):
        frame(header, b"payload")


@pytest.mark.parametrize("head", [b"", MAGIC[:3], MAGIC[:3] + bytes(9), bytes(5000)])
def test_file_that_a_crash_left_at_its_birth_is_empty(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "a.seg"
    path.write_bytes(head)
    reader = RecordReader(path)
    assert list(reader) == []
    file = RecordFile(path, end=reader.end, disk=Disk())
    file.append([ONE], sync=True)
    file.close()
    assert _contents(path) == [(b"h1", b"first")]


def test_foreign_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    path.write_bytes(b"something else")
    with pytest.raises(ForeignFileError, match="move it away") as caught:
        list(RecordReader(path))
    assert caught.value.path == path
    assert path.read_bytes() == b"something else"


@pytest.mark.parametrize("tail", [b"\0" * 4096, TWO[:-1], TWO[:7], b"\xff" * 100])
def test_torn_tail_is_left_out_and_cut(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "a.seg"
    _write(path, ONE)
    with path.open("ab") as raw:
        raw.write(tail)
    reader = RecordReader(path)
    assert [record.header for record in reader] == [b"h1"]
    assert reader.damaged == 0
    file = RecordFile(path, end=reader.end, disk=Disk())
    assert path.stat().st_size == reader.end
    file.append([TWO], sync=False)
    file.close()
    assert _contents(path) == [(b"h1", b"first"), (b"h2", b"second payload")]


def test_damaged_record_is_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    _write(path, ONE, TWO, ONE)
    content = bytearray(path.read_bytes())
    content[len(MAGIC) + len(ONE) + len(TWO) - 1] ^= 1
    path.write_bytes(content)
    reader = RecordReader(path)
    assert [record.header for record in reader] == [b"h1", b"h1"]
    assert reader.damaged == 1
    assert reader.end == len(content)


def test_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    disk = FaultyDisk(free_bytes=len(MAGIC) + len(ONE) + 5)
    path = tmp_path / "a.seg"
    file = RecordFile(path, end=0, disk=disk)
    file.append([ONE], sync=True)
    with pytest.raises(OSError, match="No space left") as caught:
        file.append([TWO, ONE], sync=True)
    assert caught.value.errno == errno.ENOSPC
    assert path.stat().st_size == file.size == len(MAGIC) + len(ONE)
    disk.free_bytes = None
    file.append([TWO], sync=True)
    file.close()
    assert _contents(path) == [(b"h1", b"first"), (b"h2", b"second payload")]


def test_nothing_is_appended_behind_a_tail_that_cannot_be_cut(tmp_path: Path) -> None:
    disk = FaultyDisk()
    path = tmp_path / "a.seg"
    file = RecordFile(path, end=0, disk=disk)
    file.append([ONE], sync=True)
    disk.broken = {"sync", "truncate"}
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            file.append([TWO], sync=True)
    assert _contents(path) == [(b"h1", b"first"), (b"h2", b"second payload")]  # not cut yet
    disk.broken = set()
    file.append([frame(b"h3", b"")], sync=True)
    file.close()
    assert _contents(path) == [(b"h1", b"first"), (b"h3", b"")]


def test_file_whose_tail_cannot_be_cut_opens_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.seg"
    _write(path, ONE)
    with path.open("ab") as raw:
        raw.write(TWO[:9])
    disk = FaultyDisk()
    disk.broken = {"truncate"}
    file = RecordFile(path, end=len(MAGIC) + len(ONE), disk=disk)
    disk.broken = set()
    file.append([TWO], sync=False)
    file.close()
    assert _contents(path) == [(b"h1", b"first"), (b"h2", b"second payload")]


def test_replace_file_changes_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state"
    replace_file(path, b"old", disk=Disk(), sync=True)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"newer", disk=FaultyDisk(free_bytes=2), sync=True)
    assert path.read_bytes() == b"old"
    replace_file(path, b"new", disk=Disk(), sync=False)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_segments_are_numbered_in_order(tmp_path: Path) -> None:
    for number in (10, 2, 123_456_789):
        segment_path(tmp_path, number).touch()
    (tmp_path / "lock").touch()
    (tmp_path / "other.seg").touch()
    assert segment_numbers(tmp_path) == [2, 10, 123_456_789]
    assert segment_numbers(tmp_path / "missing") == []
    assert Position(2, 900) < Position(10, 8)


def test_disk_removes_what_may_be_gone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    Disk().remove(path)
    Disk().remove(path)
    assert not path.exists()
