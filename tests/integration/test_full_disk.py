"""A real file system that runs full under the telemetry log and the spool."""

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import SpoolError
from agent.spool import Acked, Entry, Spool
from analyzer.access import AuditLog
from analyzer.errors import AuditError, SegmentWriteError
from analyzer.ingest.segments import SegmentLog, SegmentRecord, read_segments
from rules.telemetry.clock import ManualClock

DISK_BYTES = 256 << 10
BATCH_BYTES = 20_000


@pytest.fixture
def small_disk(tmp_path: Path, service: Callable[[str], Path]) -> Iterator[Path]:
    """A tmpfs of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = [str(service("mount")), "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run([service("umount"), folder], check=True)


async def test_audit_log_takes_what_was_begun_and_refuses_the_rest(small_disk: Path) -> None:
    log = AuditLog(small_disk / "audit.ndjson", reserve_bytes=32 << 10)
    await log.require()
    filler = small_disk / "filler"
    _fill(filler)

    await log.write({"call": "x" * 10_000})  # it was allowed to begin
    assert len(log.path.read_bytes()) > 10_000
    with pytest.raises(AuditError, match="No space left"):
        await log.require()
    with pytest.raises(AuditError, match="No space left"):
        await log.write({"call": "x" * DISK_BYTES})
    assert log.path.read_bytes().count(b"\n") == 1

    filler.unlink()
    await log.require()
    await log.write({"call": "y"})
    assert log.path.read_bytes().endswith(b'\n{"call":"y"}\n')


async def test_audit_log_on_a_disk_that_became_read_only_refuses(
    small_disk: Path, service: Callable[[str], Path]
) -> None:
    log = AuditLog(small_disk / "audit.ndjson", reserve_bytes=4096)
    await log.require()
    remount = [str(service("mount")), "-o", "remount,ro", str(small_disk)]
    await asyncio.to_thread(subprocess.run, remount, check=True)
    with pytest.raises(AuditError, match="Read-only file system"):
        await log.require()
    with pytest.raises(AuditError, match="Read-only file system"):
        await log.write({})


def _fill(filler: Path) -> None:
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _record(sequence: int) -> SegmentRecord:
    return SegmentRecord(
        agent_id="web-1",
        boot_id="b1",
        stream="main",
        sequence=sequence,
        received_us=sequence,
        payload=bytes([sequence]) * BATCH_BYTES,
    )


def _entry(sequence: int) -> Entry:
    return Entry(
        boot_id="b1",
        stream="main",
        sequence=sequence,
        events=1,
        from_us=0,
        to_us=1,
        payload=bytes([sequence]) * BATCH_BYTES,
    )


def _append_all(spool: Spool, sequences: range) -> None:
    for sequence in sequences:
        spool.append(_entry(sequence))


def test_log_stays_sound_and_goes_on_when_there_is_room_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(DISK_BYTES // 2))
    log = SegmentLog(small_disk / "segments")
    stored = [_record(1), _record(2)]
    log.append_many(stored)
    with pytest.raises(SegmentWriteError, match="No space left on device"):
        log.append_many([_record(sequence) for sequence in range(3, 30)])
    assert [item.record for item in read_segments(small_disk / "segments")] == stored
    ballast.unlink()
    log.append_many([_record(99)])
    log.close()
    assert [item.record for item in read_segments(small_disk / "segments")] == [
        *stored,
        _record(99),
    ]


def test_spool_counts_what_it_cannot_store_and_goes_on(small_disk: Path) -> None:
    spool = Spool(small_disk / "spool", max_bytes=2 * DISK_BYTES, max_age_s=60, clock=ManualClock())
    with contextlib.closing(spool):
        with pytest.raises(SpoolError, match="No space left on device"):
            _append_all(spool, range(1, 30))
        kept = [spooled.entry.sequence for spooled in spool.pending(limit=100)]
        assert kept == list(range(1, len(kept) + 1))
        spool.free([Acked("b1", "main", len(kept))])
        spool.append(_entry(50), settles=spool.take_losses())
        assert [spooled.entry.sequence for spooled in spool.pending()] == [50]
        assert spool.stats().dropped_batches == {"spool_io": 1}
        assert spool.take_losses().drops == ()
