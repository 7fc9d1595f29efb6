"""The telemetry log keeps every group it confirmed, wherever the analyzer stops."""

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from analyzer.ingest.segments import (
    SegmentLog,
    SegmentRecord,
    read_segments,
    summarize_segments,
)
from tests.faulty_disk import Crash, FaultyDisk

ROLL_BYTES = 300
SIZES = st.lists(st.lists(st.integers(0, 120), min_size=1, max_size=4), min_size=1, max_size=6)


def _groups(sizes: list[list[int]]) -> list[list[SegmentRecord]]:
    rng = Random(0)
    sequences = iter(range(1, 100))
    return [
        [
            SegmentRecord(
                agent_id="web-1",
                boot_id="b1",
                stream="main",
                sequence=next(sequences),
                received_us=1,
                payload=rng.randbytes(size),
            )
            for size in group
        ]
        for group in sizes
    ]


def _append(folder: Path, groups: list[list[SegmentRecord]], disk: FaultyDisk) -> int:
    """Return how many records were confirmed before a crash, or all."""
    log = SegmentLog(folder, roll_bytes=ROLL_BYTES, disk=disk)
    confirmed = 0
    try:
        for group in groups:
            log.append_many(group)
            confirmed += len(group)
    except Crash:
        pass
    finally:
        log.close()
    return confirmed


@given(SIZES, st.data())
def test_crash_at_any_byte_keeps_every_confirmed_batch(
    sizes: list[list[int]], data: st.DataObject
) -> None:
    groups = _groups(sizes)
    records = [record for group in groups for record in group]
    with tempfile.TemporaryDirectory() as folder:
        rehearsal = FaultyDisk()
        _append(Path(folder, "rehearsal"), groups, rehearsal)
        path = Path(folder, "log")
        disk = FaultyDisk(crash_after=data.draw(st.integers(0, rehearsal.steps)))
        confirmed = _append(path, groups, disk)
        if data.draw(st.booleans()):
            disk.cut_power(path, Random(data.draw(st.integers())))
        found = [stored.record for stored in read_segments(path)]
        assert found == records[: len(found)]
        assert len(found) >= confirmed
        before = summarize_segments(path)
        _append(path, groups[:1], FaultyDisk())
        again = [stored.record for stored in read_segments(path)]
        assert again == [*found, *groups[0]]
        closed = [summary for summary in before[:-1] if summary.records]
        assert closed == summarize_segments(path)[: len(closed)]
