import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from analyzer.errors import SegmentWriteError
from analyzer.ingest.accept import Acceptor, RunWindow
from analyzer.ingest.receive import Receiver, Stored
from analyzer.ingest.segments import SegmentRecord
from rules.telemetry import Batch, BatchBuilder, Event, Header, ManualClock
from rules.telemetry.topics import telemetry_topic
from rules.telemetry.wire import encode

NOW = 1_000_000_000
WINDOWS = {"r1": RunWindow(frozenset({"i-1"})), "r2": RunWindow(frozenset({"i-1"}))}


def batch(sequence: int, *, runs: tuple[str, ...] = ("r1",), agent_id: str = "i-1") -> Batch:
    builder = BatchBuilder()
    builder.add(Event("listener", NOW - 5, None, {"protocol": "tcp", "local_port": sequence}))
    return builder.build(Header(agent_id, "boot", "main", sequence, NOW - 10, NOW, runs=runs))


class MemoryLog:
    def __init__(self) -> None:
        self.records: list[SegmentRecord] = []
        self.groups = 0
        self.is_full = False

    def append_many(self, records: Sequence[SegmentRecord]) -> int:
        if self.is_full:
            raise SegmentWriteError(Path("log"), "No space left on device")
        self.groups += 1
        self.records.extend(records)
        return 1


class Bench:
    """A receiver between lists."""

    def __init__(self) -> None:
        self.logs = {"r1": MemoryLog(), "r2": MemoryLog()}
        self.stored: list[Stored] = []
        self.acked: list[str] = []
        self.receiver = Receiver(
            acceptor=Acceptor(),
            clock=ManualClock(NOW),
            windows=lambda: WINDOWS,
            log_of=lambda run_id: self.logs[run_id],
            on_stored=self.stored.append,
            acknowledge=self.acked.append,
        )

    async def take(self, payload: bytes, *, topic: str = telemetry_topic("i-1")) -> None:
        await self.receiver.handle(topic, payload)

    async def write_until(self, count: int) -> None:
        task = asyncio.create_task(self.receiver.run())
        while len(self.stored) < count and not self.receiver.problem:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_batches_are_written_in_groups_handed_on_and_acknowledged(bench: Bench) -> None:
    for sequence in (1, 2, 3):
        await bench.take(encode(batch(sequence)))
    assert bench.acked == []
    await bench.write_until(3)
    assert [stored.batch.header.sequence for stored in bench.stored] == [1, 2, 3]
    assert [record.sequence for record in bench.logs["r1"].records] == [1, 2, 3]
    assert bench.logs["r1"].groups == 1
    assert bench.acked == ["i-1"]


async def test_batch_of_two_runs_stands_in_both_logs(bench: Bench) -> None:
    await bench.take(encode(batch(1, runs=("r1", "r2"))))
    await bench.write_until(2)
    assert [stored.run_id for stored in bench.stored] == ["r1", "r2"]
    assert len(bench.logs["r1"].records) == len(bench.logs["r2"].records) == 1


async def test_log_holds_the_bytes_as_they_came(bench: Bench) -> None:
    payload = encode(batch(1))
    await bench.take(payload)
    await bench.write_until(1)
    assert bench.logs["r1"].records[0].payload == payload
    assert bench.logs["r1"].records[0].received_us == NOW


async def test_full_disk_acknowledges_nothing_and_takes_the_batch_later(bench: Bench) -> None:
    bench.logs["r1"].is_full = True
    await bench.take(encode(batch(1)))
    await bench.write_until(1)
    assert "No space left" in bench.receiver.problem
    assert (bench.stored, bench.acked) == ([], [])
    bench.logs["r1"].is_full = False
    bench.receiver.problem = ""
    await bench.take(encode(batch(1)))
    await bench.write_until(1)
    assert bench.acked == ["i-1"]


async def test_run_takes_its_batches_in_the_order_of_its_log_whatever_befalls_another(
    bench: Bench,
) -> None:
    bench.logs["r2"].is_full = True
    await bench.take(encode(batch(1, runs=("r1", "r2"))))
    task = asyncio.create_task(bench.receiver.run())
    while not bench.receiver.problem:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert [stored.run_id for stored in bench.stored] == ["r1"]
    assert bench.acked == []
    bench.logs["r2"].is_full = False
    bench.receiver.problem = ""
    await bench.take(encode(batch(1, runs=("r1", "r2"))))
    await bench.write_until(3)
    assert [stored.run_id for stored in bench.stored] == ["r1", "r1", "r2"]
    assert len(bench.logs["r1"].records) == 2
    assert bench.acked == ["i-1"]


async def test_stored_batch_says_what_its_bytes_were(bench: Bench) -> None:
    payload = encode(batch(1))
    await bench.take(payload)
    await bench.write_until(1)
    (stored,) = bench.stored
    assert (stored.segment, stored.sha256) == (1, hashlib.sha256(payload).digest())
    assert bench.logs["r1"].records[0].from_us == NOW - 10


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "wire_"),
        (b"\x00" * 40, "wire_"),
        (encode(batch(1))[:-1], "wire_"),
        (encode(batch(1, agent_id="i-2")), "identity"),
        (encode(batch(1, runs=("nobody",))), "unknown_run"),
    ],
)
async def test_bad_message_is_counted_logged_once_and_harms_nothing(
    bench: Bench, payload: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await bench.take(payload)
    counts = bench.receiver.acceptor.counts
    assert [(key.startswith(reason), count) for key, count in counts.items()] == [(True, 3)]
    assert [record.message for record in caplog.records] == ["ingest.refused"]
    await bench.take(encode(batch(7)))
    await bench.write_until(1)
    assert len(bench.stored) == 1


async def test_message_on_a_topic_of_another_partition_is_refused(bench: Bench) -> None:
    await bench.take(encode(batch(1)), topic="proctor/v1/telemetry/99/i-1")
    assert bench.receiver.acceptor.counts == {"topic": 1}


async def test_duplicate_is_acknowledged_again(bench: Bench) -> None:
    await bench.take(encode(batch(1)))
    await bench.write_until(1)
    await bench.take(encode(batch(1)))
    assert bench.acked == ["i-1", "i-1"]
    assert len(bench.stored) == 1
