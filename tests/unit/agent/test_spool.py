import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import SpoolError
from agent.losses import Drop
from agent.spool import PARTS, READ_BYTES, Acked, Entry, Spool
from rules.telemetry.clock import ManualClock
from rules.telemetry.records import segment_numbers, segment_path
from tests.faulty_disk import FaultyDisk

DAY_S = 86_400.0
START_US = 1_000_000_000_000


def _entry(sequence: int, *, size: int = 100, boot: str = "b1", at_s: float = 0) -> Entry:
    from_us = START_US + round(at_s * 1e6)
    return Entry(
        boot_id=boot,
        stream="main",
        sequence=sequence,
        events=10 + sequence,
        from_us=from_us,
        to_us=from_us + 2_000_000,
        payload=bytes([sequence % 256]) * size,
    )


class Bench:
    """A spool on a disk that obeys, a clock that stands, and a way to open it again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(START_US)
        self.disk = FaultyDisk()
        self.spool = self._open(1 << 20)

    def _open(self, max_bytes: int) -> Spool:
        return Spool(
            self.folder,
            max_bytes=max_bytes,
            max_age_s=DAY_S,
            clock=self.clock,
            disk=self.disk,
        )

    def reopen(self, *, max_bytes: int = 1 << 20) -> Spool:
        self.spool.close()
        self.spool = self._open(max_bytes)
        return self.spool

    def sequences(self) -> list[int]:
        return [spooled.entry.sequence for spooled in self.spool.pending(limit=10_000)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "spool")
    yield bench
    bench.spool.close()


def _fill(spool: Spool, sequences: range, *, size: int = 100) -> None:
    for sequence in sequences:
        spool.append(_entry(sequence, size=size))


def test_batches_come_back_as_they_were_in_order(bench: Bench) -> None:
    _fill(bench.spool, range(1, 4))
    assert [spooled.entry for spooled in bench.spool.pending()] == [_entry(n) for n in range(1, 4)]
    bench.reopen()
    assert [spooled.entry for spooled in bench.spool.pending()] == [_entry(n) for n in range(1, 4)]


def test_reading_goes_on_behind_a_position(bench: Bench) -> None:
    bench.reopen(max_bytes=PARTS * 400)
    _fill(bench.spool, range(1, 10))
    assert len(segment_numbers(bench.folder)) > 2
    seen: list[int] = []
    after = None
    while found := bench.spool.pending(after=after, limit=2):
        seen += [spooled.entry.sequence for spooled in found]
        after = found[-1].position
    assert seen == list(range(1, 10))
    bench.spool.append(_entry(10))
    assert [found.entry.sequence for found in bench.spool.pending(after=after)] == [10]


def test_one_answer_holds_a_bounded_payload_but_at_least_one_batch(bench: Bench) -> None:
    bench.reopen(max_bytes=8 * READ_BYTES)
    for sequence in range(1, 4):
        bench.spool.append(_entry(sequence, size=READ_BYTES // 2))
    bench.spool.append(_entry(4, size=READ_BYTES + 1))
    assert len(bench.spool.pending()) == 2
    after = bench.spool.pending(limit=3)[-1].position
    assert len(bench.spool.pending(after=after, limit=1)) == 1


def test_acked_batches_are_gone_for_good(bench: Bench) -> None:
    _fill(bench.spool, range(1, 9))
    bench.spool.free([Acked("b1", "main", 2, [(4, 5), (7, 7)])])
    assert bench.sequences() == [3, 6, 8]
    assert bench.spool.stats().batches == 3
    bench.reopen()
    assert bench.sequences() == [3, 6, 8]
    assert bench.spool.take_losses().drops == ()


def test_ack_of_what_is_not_there_changes_nothing(bench: Bench) -> None:
    bench.spool.append(_entry(1))
    bench.spool.free([Acked("b1", "main", 0, [(2, 99)]), Acked("other", "main", 5)])
    bench.spool.append(_entry(2))
    assert bench.sequences() == [1, 2]
    bench.reopen()
    assert bench.sequences() == [1, 2]


def test_boots_are_told_apart(bench: Bench) -> None:
    bench.spool.append(_entry(1, boot="old"))
    bench.spool.append(_entry(1, boot="new"))
    bench.spool.free([Acked("new", "main", 1)])
    assert [spooled.entry.boot_id for spooled in bench.spool.pending()] == ["old"]


def test_files_are_deleted_once_all_in_them_is_acked(bench: Bench) -> None:
    bench.reopen(max_bytes=PARTS * 400)
    _fill(bench.spool, range(1, 12))
    files = segment_numbers(bench.folder)
    bench.spool.free([Acked("b1", "main", 11)])
    assert segment_numbers(bench.folder) == files[-1:]  # the last one takes more
    bench.spool.append(_entry(12, size=390))
    assert segment_numbers(bench.folder) == [files[-1] + 1]
    assert bench.sequences() == [12]


def test_full_spool_drops_the_oldest_and_counts_them(bench: Bench) -> None:
    bench.reopen(max_bytes=PARTS * 400)
    _fill(bench.spool, range(1, 60))
    left = bench.sequences()
    assert left == list(range(left[0], 60))
    stats = bench.spool.stats()
    assert PARTS * 300 < stats.bytes <= PARTS * 400
    assert stats.bytes == sum(path.stat().st_size for path in bench.folder.glob("*.seg"))
    gone = range(1, left[0])
    drop = Drop("spool_full", len(gone), sum(10 + n for n in gone), START_US, START_US + 2_000_000)
    assert stats.dropped_batches == {"spool_full": drop.batches}
    assert stats.dropped_events == {"spool_full": drop.events}
    bench.reopen()
    assert bench.spool.take_losses().drops == (drop,)


def test_acked_batches_in_a_dropped_file_are_no_loss(bench: Bench) -> None:
    bench.reopen(max_bytes=700)
    bench.spool.append(_entry(1, size=500))
    bench.spool.free([Acked("b1", "main", 1)])
    bench.spool.append(_entry(2, size=500))
    assert bench.sequences() == [2]
    assert bench.spool.take_losses().drops == ()


def test_batch_larger_than_the_spool_is_refused_and_counted(bench: Bench) -> None:
    bench.reopen(max_bytes=2_000)
    bench.spool.append(_entry(1))
    with pytest.raises(SpoolError, match="exceed its bound of 2000"):
        bench.spool.append(_entry(2, size=2_000))
    assert bench.sequences() == [1]
    assert bench.spool.take_losses().drops == (
        Drop("spool_full", 1, 12, START_US, START_US + 2_000_000),
    )


def test_old_batches_expire_file_by_file(bench: Bench) -> None:
    for sequence in range(1, 25):  # one an hour: more than 1/16 of a day apart, so two a file
        bench.spool.append(_entry(sequence, at_s=3_600 * sequence))
    bench.clock.advance(DAY_S + 5 * 3_600 + 3)
    bench.spool.expire()
    assert bench.sequences() == list(range(5, 25))
    assert bench.spool.stats().oldest_age_s == DAY_S + 3
    (drop,) = bench.reopen().take_losses().drops
    assert (drop.cause, drop.batches, drop.events) == ("spool_expired", 4, 50)
    assert drop.from_us == START_US + 3_600_000_000
    assert drop.to_us == START_US + 4 * 3_600_000_000 + 2_000_000


def test_everything_expires_even_in_the_file_that_takes_more(bench: Bench) -> None:
    bench.spool.append(_entry(1))
    bench.clock.advance(DAY_S + 3)
    assert bench.spool.pending() == []
    assert list(bench.folder.glob("*.seg")) == []
    bench.spool.append(_entry(2, at_s=DAY_S))
    assert bench.sequences() == [2]


def test_losses_wait_until_a_stored_batch_tells_them(bench: Bench) -> None:
    bench.reopen(max_bytes=700)
    _fill(bench.spool, range(1, 3), size=500)
    bench.reopen()
    losses = bench.spool.take_losses()
    assert [drop.batches for drop in losses.drops] == [1]
    bench.reopen()
    losses = bench.spool.take_losses()
    assert [drop.batches for drop in losses.drops] == [1]
    bench.spool.append(_entry(3), settles=losses)
    bench.reopen()
    assert bench.spool.take_losses().drops == ()


def test_losses_come_back_when_the_batch_that_tells_them_is_dropped(bench: Bench) -> None:
    bench.reopen(max_bytes=700)
    _fill(bench.spool, range(1, 3), size=500)
    bench.spool.append(_entry(3, size=500), settles=bench.spool.take_losses())
    bench.spool.append(_entry(4, size=500))
    (drop,) = bench.spool.take_losses().drops
    assert (drop.batches, drop.events) == (3, 11 + 12 + 13)


def test_rejected_batch_is_freed_and_counted(bench: Bench) -> None:
    _fill(bench.spool, range(1, 4))
    bench.spool.reject("b1", "main", 2)
    bench.spool.reject("b1", "main", 2)
    bench.spool.reject("b1", "main", 77)
    assert bench.sequences() == [1, 3]
    (drop,) = bench.reopen().take_losses().drops
    assert drop == Drop("rejected", 1, 12, START_US, START_US + 2_000_000)
    assert bench.sequences() == [1, 3]


def test_empty_spool_has_no_age(bench: Bench) -> None:
    stats = bench.spool.stats()
    assert (stats.bytes, stats.batches, stats.oldest_age_s) == (0, 0, 0)
    assert bench.spool.pending() == []


def test_full_disk_costs_the_batch_and_nothing_else(bench: Bench) -> None:
    bench.spool.append(_entry(1))
    bench.disk.free_bytes = 60
    for sequence in (2, 3):
        with pytest.raises(SpoolError, match="cannot store a batch: No space left on device"):
            bench.spool.append(_entry(sequence))
    assert bench.sequences() == [1]
    bench.disk.free_bytes = None
    losses = bench.spool.take_losses()
    assert losses.drops == (Drop("spool_io", 2, 25, START_US, START_US + 2_000_000),)
    bench.spool.append(_entry(4), settles=losses)
    assert bench.sequences() == [1, 4]
    assert bench.reopen().take_losses().drops == ()


def test_losses_on_a_failing_disk_are_saved_once_it_works(bench: Bench) -> None:
    bench.disk.broken = {"write"}
    with pytest.raises(SpoolError, match="Input/output error"):
        bench.spool.append(_entry(1))
    bench.disk.broken = set()
    bench.spool.append(_entry(2))
    bench.reopen()
    assert [drop.cause for drop in bench.spool.take_losses().drops] == ["spool_io"]


def test_unsettled_losses_survive_a_batch_that_could_not_be_stored(bench: Bench) -> None:
    bench.disk.broken = {"write"}
    with pytest.raises(SpoolError):
        bench.spool.append(_entry(1))
    with pytest.raises(SpoolError):
        bench.spool.append(_entry(2), settles=bench.spool.take_losses())
    (drop,) = bench.spool.take_losses().drops
    assert (drop.batches, drop.events) == (2, 23)


def test_disk_that_deletes_nothing_refuses_new_batches(bench: Bench) -> None:
    bench.reopen(max_bytes=700)
    bench.spool.append(_entry(1, size=500))
    bench.disk.broken = {"remove"}
    with pytest.raises(SpoolError, match="old batches cannot be deleted"):
        bench.spool.append(_entry(2, size=500))
    bench.disk.broken = set()
    bench.spool.append(_entry(3, size=500))
    assert bench.sequences() == [3]
    (full, refused) = bench.spool.take_losses().drops
    assert (full.cause, full.batches) == ("spool_full", 1)
    assert (refused.cause, refused.batches) == ("spool_io", 1)


def test_files_that_could_not_be_deleted_make_room_later(bench: Bench) -> None:
    bench.reopen(max_bytes=PARTS * 400)
    _fill(bench.spool, range(1, 30))
    bench.disk.broken = {"remove"}
    bench.spool.free([Acked("b1", "main", 6)])
    assert segment_path(bench.folder, 1).exists()
    bench.disk.broken = set()
    bench.spool.append(_entry(30, size=PARTS * 400 - 2_000))
    assert not segment_path(bench.folder, 1).exists()
    left = bench.sequences()
    (drop,) = bench.spool.take_losses().drops
    assert left == [*range(left[0], 30), 30]
    assert drop.batches == left[0] - 7


def test_new_file_that_cannot_be_made_leaves_the_old_one_in_use(bench: Bench) -> None:
    bench.reopen(max_bytes=PARTS * 400)
    _fill(bench.spool, range(1, 3))
    bench.disk.broken = {"open"}
    with pytest.raises(SpoolError, match="Input/output error"):
        bench.spool.append(_entry(3, size=300))
    bench.disk.broken = set()
    bench.spool.append(_entry(4))
    assert bench.sequences() == [1, 2, 4]


def test_unreadable_file_does_not_hide_the_others(bench: Bench) -> None:
    bench.reopen(max_bytes=PARTS * 400)
    _fill(bench.spool, range(1, 7))
    first, *others = segment_numbers(bench.folder)
    content = segment_path(bench.folder, first).read_bytes()
    segment_path(bench.folder, first).unlink()
    assert bench.sequences() == [3, 4, 5, 6]
    for number in others:
        segment_path(bench.folder, number).unlink()
    with pytest.raises(SpoolError, match="cannot read what is stored"):
        bench.spool.pending()
    segment_path(bench.folder, first).write_bytes(content)
    assert bench.sequences() == [1, 2]


def test_unreadable_batches_are_counted_when_they_are_dropped(bench: Bench) -> None:
    bench.spool.append(_entry(1))
    bench.spool.append(_entry(2, at_s=60))
    segment_path(bench.folder, 1).unlink()
    bench.clock.advance(2 * DAY_S)
    bench.spool.expire()
    assert bench.spool.take_losses().drops == (
        Drop("spool_expired", 2, 0, START_US, START_US + 62_000_000),
    )


def test_second_agent_is_kept_out(bench: Bench) -> None:
    with pytest.raises(SpoolError, match="another agent is using it") as caught:
        Spool(bench.folder, max_bytes=1000, max_age_s=1, clock=bench.clock)
    assert caught.value.folder == bench.folder
    bench.spool.append(_entry(1))


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="cannot be used: Not a directory"):
        Spool(tmp_path / "file" / "spool", max_bytes=1000, max_age_s=1, clock=ManualClock())


def test_lock_that_cannot_be_taken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: int, _flags: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(SpoolError, match="cannot be used: No locks available"):
        Spool(tmp_path, max_bytes=1000, max_age_s=1, clock=ManualClock())


def test_files_of_another_version_are_refused_and_kept(bench: Bench) -> None:
    foreign = segment_path(bench.folder, 5)
    foreign.write_bytes(b"PRCTREC9 and more")
    bench.spool.close()
    for _ in range(2):  # the lock is let go each time
        with pytest.raises(SpoolError, match=r"cannot be read: .*00000005\.seg is no record file"):
            Spool(bench.folder, max_bytes=1000, max_age_s=1, clock=bench.clock)
    assert foreign.read_bytes() == b"PRCTREC9 and more"
    foreign.unlink()
    bench.spool = Spool(bench.folder, max_bytes=1000, max_age_s=1, clock=bench.clock)


def test_torn_state_means_sending_again(bench: Bench) -> None:
    _fill(bench.spool, range(1, 4))
    bench.spool.free([Acked("b1", "main", 2)])
    (bench.folder / "state.json").write_bytes(b'{"losses": {"ma')
    bench.reopen()
    assert bench.sequences() == [1, 2, 3]


def test_without_sync_nothing_waits_for_the_disk(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.broken = {"sync", "sync_folder"}
    spool = Spool(
        tmp_path, max_bytes=1000, max_age_s=DAY_S, clock=ManualClock(), sync=False, disk=disk
    )
    with contextlib.closing(spool):
        spool.append(_entry(1))
        spool.free([Acked("b1", "main", 1)])
        assert (tmp_path / "state.json").exists()


@pytest.mark.parametrize("drop", [Spool.expire, lambda spool: spool.free([Acked("b1", "main", 1)])])
def test_crash_between_saving_and_deleting_counts_nothing_twice(
    bench: Bench, drop: Callable[[Spool], None]
) -> None:
    bench.spool.append(_entry(1))
    bench.disk.broken = {"remove"}
    bench.clock.advance(DAY_S + 3)
    drop(bench.spool)
    before = bench.spool.take_losses().drops
    bench.disk.broken = set()
    bench.reopen()
    assert bench.sequences() == []
    assert bench.spool.take_losses().drops == before
