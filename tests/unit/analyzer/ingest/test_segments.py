import hashlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.errors import SegmentReadError, SegmentWriteError
from analyzer.ingest.segments import (
    SegmentLog,
    SegmentRecord,
    read_positions,
    read_segments,
    summarize_segments,
)
from rules.telemetry.records import segment_numbers, segment_path
from tests.faulty_disk import FaultyDisk

ROLL_BYTES = 1_000


def _record(sequence: int, *, size: int = 100) -> SegmentRecord:
    return SegmentRecord(
        agent_id="web-1",
        boot_id="b1",
        stream="main",
        sequence=sequence,
        received_us=1_700_000_000_000_000 + sequence,
        payload=bytes([sequence]) * size,
    )


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "r1" / "segments"


@pytest.fixture
def log(folder: Path, disk: FaultyDisk) -> Iterator[SegmentLog]:
    log = SegmentLog(folder, roll_bytes=ROLL_BYTES, disk=disk)
    yield log
    log.close()


def _sequences(folder: Path) -> list[int]:
    return [stored.record.sequence for stored in read_segments(folder)]


def test_batches_read_back_as_they_came(log: SegmentLog, folder: Path) -> None:
    log.append_many([_record(1), _record(2, size=0)])
    log.append_many([_record(3)])
    stored = list(read_segments(folder))
    assert [item.record for item in stored] == [_record(1), _record(2, size=0), _record(3)]
    assert sorted(item.position for item in stored) == [item.position for item in stored]


def test_nothing_is_made_before_the_first_batch(log: SegmentLog, folder: Path) -> None:
    log.append_many([])
    assert not folder.exists()
    assert _sequences(folder) == []
    assert summarize_segments(folder) == []


def test_files_are_rolled_between_groups(log: SegmentLog, folder: Path) -> None:
    for sequence in range(1, 21):
        log.append_many([_record(sequence)])
    log.append_many([_record(n) for n in range(21, 41)])  # larger than a file: stays together
    assert len(segment_numbers(folder)) == 4
    sizes = [segment_path(folder, n).stat().st_size for n in segment_numbers(folder)]
    assert all(size <= ROLL_BYTES for size in sizes[:-1])
    assert _sequences(folder) == list(range(1, 41))


def test_records_are_read_at_their_positions(log: SegmentLog, folder: Path) -> None:
    for sequence in range(1, 31):
        log.append_many([_record(sequence)])
    stored = list(read_segments(folder))[::7]
    assert len({item.position.segment for item in stored}) > 1
    wanted = [item.position for item in stored]
    assert list(read_positions(folder, wanted)) == [item.record for item in stored]
    assert list(read_positions(folder, [])) == []
    gone = wanted[1]._replace(offset=wanted[1].offset + 1)
    with pytest.raises(SegmentReadError, match=f"no sound record at {gone.offset} any more"):
        list(read_positions(folder, [wanted[0], gone]))
    segment_path(folder, wanted[-1].segment).unlink()
    with pytest.raises(SegmentReadError, match="No such file"):
        list(read_positions(folder, wanted))


def test_reading_goes_on_behind_a_position(log: SegmentLog, folder: Path) -> None:
    for sequence in range(1, 21):
        log.append_many([_record(sequence)])
    stored = list(read_segments(folder))
    for index in (0, 5, 12, 19):
        rest = read_segments(folder, after=stored[index].position)
        assert list(rest) == stored[index + 1 :]


def test_restarted_writer_goes_on_and_cuts_the_torn_tail(log: SegmentLog, folder: Path) -> None:
    log.append_many([_record(1), _record(2)])
    log.close()
    path = segment_path(folder, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[8:60])
    log.append_many([_record(3)])
    assert _sequences(folder) == [1, 2, 3]
    assert path.read_bytes().startswith(whole)
    assert segment_numbers(folder) == [1]


def test_summary_has_the_digest_of_what_is_sound(log: SegmentLog, folder: Path) -> None:
    for sequence in range(1, 10):
        log.append_many([_record(sequence)])
    log.close()
    first, second = (segment_path(folder, number) for number in (1, 2))
    sound = second.read_bytes()
    second.write_bytes(sound + b"torn")
    one, two = summarize_segments(folder)
    assert one.sha256 == hashlib.sha256(first.read_bytes()).hexdigest()
    assert two.sha256 == hashlib.sha256(sound).hexdigest()
    assert (two.number, two.size_bytes, two.damaged) == (2, len(sound), 0)
    assert one.records + two.records == 9


def test_damaged_batch_is_counted_and_the_others_are_read(log: SegmentLog, folder: Path) -> None:
    log.append_many([_record(1), _record(2), _record(3)])
    path = segment_path(folder, 1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert _sequences(folder) == [1, 3]
    (summary,) = summarize_segments(folder)
    assert (summary.records, summary.damaged) == (2, 1)


def test_full_disk_keeps_none_of_the_group_and_is_survived(
    log: SegmentLog, folder: Path, disk: FaultyDisk
) -> None:
    log.append_many([_record(1)])
    disk.free_bytes = 250
    for _ in range(2):
        with pytest.raises(SegmentWriteError, match="No space left on device; the agents keep"):
            log.append_many([_record(n) for n in (2, 3, 4)])
        assert _sequences(folder) == [1]
        disk.free_bytes = 250
    disk.free_bytes = None
    log.append_many([_record(2)])
    assert _sequences(folder) == [1, 2]


def test_disk_that_fails_to_sync_keeps_nothing(
    log: SegmentLog, folder: Path, disk: FaultyDisk
) -> None:
    disk.broken = {"sync"}
    with pytest.raises(SegmentWriteError, match="Input/output error") as caught:
        log.append_many([_record(1)])
    assert caught.value.folder == folder
    disk.broken = set()
    log.append_many([_record(2)])
    assert _sequences(folder) == [2]


def test_new_file_that_cannot_be_made_is_tried_again(
    log: SegmentLog, folder: Path, disk: FaultyDisk
) -> None:
    log.append_many([_record(n) for n in range(1, 7)])
    disk.broken = {"open"}
    with pytest.raises(SegmentWriteError):
        log.append_many([_record(n) for n in range(7, 11)])
    disk.broken = set()
    log.append_many([_record(n) for n in range(7, 11)])
    assert segment_numbers(folder) == [1, 2]
    assert _sequences(folder) == list(range(1, 11))


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SegmentWriteError, match="Not a directory"):
        SegmentLog(tmp_path / "file" / "segments").append_many([_record(1)])


def test_kernel_limit_on_file_size_counts_as_a_full_disk(folder: Path) -> None:
    log = SegmentLog(folder)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
    try:
        log.append_many([_record(1)])
        with pytest.raises(SegmentWriteError, match="File too large"):
            log.append_many([_record(2), _record(3, size=1_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert _sequences(folder) == [1]
    log.append_many([_record(2)])
    log.close()
    assert _sequences(folder) == [1, 2]


def test_foreign_file_is_refused_and_kept(log: SegmentLog, folder: Path) -> None:
    folder.mkdir(parents=True)
    path = segment_path(folder, 1)
    path.write_bytes(b"something else")
    with pytest.raises(SegmentWriteError, match="no record file"):
        log.append_many([_record(1)])
    with pytest.raises(SegmentReadError, match="no record file"):
        _sequences(folder)
    with pytest.raises(SegmentReadError) as caught:
        summarize_segments(folder)
    assert caught.value.path == path
    assert path.read_bytes() == b"something else"
