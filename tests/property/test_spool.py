"""The spool against a model: any order of calls, a crash at any byte of any of them."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.errors import SpoolError
from agent.losses import Losses
from agent.spool import Acked, Entry, Spool
from rules.telemetry.clock import ManualClock
from tests.faulty_disk import Crash, FaultyDisk

MAX_BYTES = 2_000  # a few batches, so that every bound is met soon
MAX_AGE_S = 100.0
STREAM = "main"
Key = tuple[str, int]


@dataclass
class Model:
    """What a test knows: what was appended, what its batches tell, what was freed."""

    events: dict[Key, int] = field(default_factory=dict)
    tells: dict[Key, Losses] = field(default_factory=dict)
    order: list[Key] = field(default_factory=list)
    freed: set[Key] = field(default_factory=set)

    def append(self, entry: Entry, tells: Losses) -> None:
        key = entry.boot_id, entry.sequence
        self.events[key] = entry.events
        self.tells[key] = tells
        self.order.append(key)


class SpoolMachine(RuleBasedStateMachine):
    """Every batch is pending, freed or told as lost, each exactly once, in order, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock(1_000_000_000)
        self.disk = FaultyDisk()
        self.model = Model()
        self.sequence = 0
        self.boots = 0
        self.refused = 0
        self.rng = Random(0)
        self.open()

    def open(self) -> None:
        self.boots += 1
        self.sequence = 0
        self.disk = FaultyDisk()
        self.spool = Spool(
            Path(self.folder.name),
            max_bytes=MAX_BYTES,
            max_age_s=MAX_AGE_S,
            clock=self.clock,
            disk=self.disk,
        )

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()

    def pending(self) -> list[Key]:
        found = self.spool.pending(limit=1_000)
        return [(spooled.entry.boot_id, spooled.entry.sequence) for spooled in found]

    def next_entry(self, size: int) -> Entry:
        self.sequence += 1
        return Entry(
            boot_id=f"b{self.boots}",
            stream=STREAM,
            sequence=self.sequence,
            events=self.sequence * 7 % 10 + 1,
            from_us=self.clock.time_us,
            to_us=self.clock.time_us + 1_000_000,
            payload=self.rng.randbytes(size),
        )

    def losses(self, *, tell: bool) -> Losses:
        return self.spool.take_losses() if tell else Losses()

    @rule(size=st.integers(0, 700), tell=st.booleans())
    def append(self, size: int, tell: bool) -> None:  # noqa: FBT001
        losses = self.losses(tell=tell)
        entry = self.next_entry(size)
        self.spool.append(entry, settles=losses)
        self.model.append(entry, losses)

    @rule(size=st.integers(0, 700), tell=st.booleans(), room=st.integers(0, 700))
    def append_on_a_full_disk(self, size: int, tell: bool, room: int) -> None:  # noqa: FBT001
        losses = self.losses(tell=tell)
        entry = self.next_entry(size)
        self.disk.free_bytes = room
        try:
            self.spool.append(entry, settles=losses)
            self.model.append(entry, losses)
        except SpoolError:
            self.refused += entry.events
        self.disk.free_bytes = None
        self.spool.append(last := self.next_entry(0))  # saves what could not be saved
        self.model.append(last, Losses())

    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        if keys := self.pending():
            chosen = data.draw(st.sets(st.sampled_from(keys)))
            self.spool.free(_acks(chosen))
            self.model.freed |= chosen

    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        if keys := self.pending():
            boot_id, sequence = data.draw(st.sampled_from(keys))
            self.spool.reject(boot_id, STREAM, sequence)
            assert (boot_id, sequence) not in self.pending()

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.spool.expire()

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.open()

    @rule(size=st.integers(0, 700), tell=st.booleans(), share=st.floats(0, 1))
    def crash_in_append(self, size: int, tell: bool, share: float) -> None:  # noqa: FBT001
        losses = self.losses(tell=tell)
        entry = self.next_entry(size)
        self.disk.crash_after = self.disk.steps + round(share * (size + 400))
        try:
            self.spool.append(entry, settles=losses)
            self.model.append(entry, losses)
        except Crash:
            self.reopen()
            if (entry.boot_id, entry.sequence) in self.pending():
                self.model.append(entry, losses)
        self.disk.crash_after = None

    @precondition(lambda self: self.pending())
    @rule(data=st.data(), share=st.floats(0, 1))
    def crash_in_free(self, data: st.DataObject, share: float) -> None:
        chosen = data.draw(st.sets(st.sampled_from(self.pending())))
        self.disk.crash_after = self.disk.steps + round(share * 400)
        try:
            self.spool.free(_acks(chosen))
            self.model.freed |= chosen
        except Crash:
            self.reopen()
            self.model.freed |= chosen - set(self.pending())
        self.disk.crash_after = None

    @precondition(lambda self: self.pending())
    @rule(seconds=st.floats(0, 200), share=st.floats(0, 1))
    def crash_in_expire(self, seconds: float, share: float) -> None:
        self.clock.advance(seconds)
        self.disk.crash_after = self.disk.steps + round(share * 600)
        try:
            self.spool.expire()
        except Crash:
            self.reopen()
            self.spool.expire()
        self.disk.crash_after = None

    @invariant()
    def pending_is_what_was_appended_in_order(self) -> None:
        pending = self.pending()
        remaining = iter(self.model.order)
        assert all(key in remaining for key in pending)
        assert not self.model.freed & set(pending)
        for spooled in self.spool.pending(limit=1_000):
            key = spooled.entry.boot_id, spooled.entry.sequence
            assert spooled.entry.events == self.model.events[key]

    @invariant()
    def every_event_is_pending_or_freed_or_told(self) -> None:
        pending = set(self.pending())
        kept = pending | self.model.freed
        book = self.spool._losses  # looked at: taking them would change what is tested
        untold = [*book.handed.values(), *book.waiting.values()]
        told = sum(drop.events for key in kept for drop in self.model.tells[key].drops)
        told += sum(drop.events for drop in untold)
        there = sum(self.model.events[key] for key in kept)
        assert there + told == sum(self.model.events.values()) + self.refused
        stats = self.spool.stats()
        assert stats.batches == len(pending)

    @invariant()
    def bounds_hold(self) -> None:
        files = sum(path.stat().st_size for path in Path(self.folder.name).glob("*.seg"))
        assert self.spool.stats().bytes == files <= MAX_BYTES
        assert self.spool.stats().oldest_age_s <= MAX_AGE_S * (1 + 1 / 16) + 1


TestSpoolMachine = pytest.mark.timeout(120)(SpoolMachine.TestCase)  # it works on a real disk


def _acks(keys: set[Key]) -> list[Acked]:
    """Return acks for exactly these, with a contiguous mark where there is one."""
    acks = []
    for boot_id in {boot for boot, _ in keys}:
        sequences = sorted(sequence for boot, sequence in keys if boot == boot_id)
        high = 0
        while high + 1 in sequences:
            high += 1
        ranges = [(sequence, sequence) for sequence in sequences if sequence > high]
        acks.append(Acked(boot_id, STREAM, high, ranges))
    return acks
