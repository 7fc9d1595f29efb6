"""A record file keeps exactly what was written whole, wherever the writer stops."""

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rules.telemetry.records import MAGIC, RecordFile, RecordReader, frame
from tests.faulty_disk import Crash, FaultyDisk

RECORDS = st.tuples(st.binary(min_size=1, max_size=20), st.binary(max_size=60))
GROUPS = st.lists(st.lists(RECORDS, min_size=1, max_size=3), min_size=1, max_size=5)


def _append_until_crash(
    path: Path, groups: list[list[tuple[bytes, bytes]]], disk: FaultyDisk
) -> int:
    """Return how many records stood before the crash, or all of them."""
    stored = 0
    file = RecordFile(path, end=0, disk=disk)
    try:
        for group in groups:
            file.append([frame(*record) for record in group], sync=True)
            stored += len(group)
    except Crash:
        pass
    finally:
        file.close()
    return stored


@given(GROUPS, st.data())
def test_crash_at_any_byte_leaves_whole_records_in_order(
    groups: list[list[tuple[bytes, bytes]]], data: st.DataObject
) -> None:
    records = [record for group in groups for record in group]
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = FaultyDisk()
        _append_until_crash(Path(folder, "rehearsal"), groups, rehearsal)
        path = Path(folder, "file")
        disk = FaultyDisk(crash_after=data.draw(st.integers(1, rehearsal.steps)))
        stored = _append_until_crash(path, groups, disk)
        if data.draw(st.booleans()):
            disk.cut_power(Path(folder), Random(data.draw(st.integers())))
        reader = RecordReader(path)
        found = [(record.header, record.payload) for record in reader]
        assert found == records[: len(found)]
        assert len(found) >= stored
        file = RecordFile(path, end=reader.end, disk=FaultyDisk())
        file.append([frame(b"next", b"")], sync=True)
        file.close()
        again = [(record.header, record.payload) for record in RecordReader(path)]
        assert again == [*found, (b"next", b"")]


@given(st.lists(RECORDS, min_size=1, max_size=4), st.data())
def test_flipped_bit_never_makes_a_record_that_was_not_written(
    records: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        _append_until_crash(path, [records], FaultyDisk())
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(len(MAGIC), len(content) - 1))] ^= 1 << data.draw(
            st.integers(0, 7)
        )
        path.write_bytes(content)
        found = [(record.header, record.payload) for record in RecordReader(path)]
        assert len(found) < len(records)
        remaining = iter(records)
        assert all(record in remaining for record in found)
