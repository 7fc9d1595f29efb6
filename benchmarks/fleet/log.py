"""Log: a fleet as the log of a run, in the order in which its batches would have come.

In: a fleet. Out: a folder that ``proctor replay`` reads.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from analyzer.ingest.segments import SegmentLog, SegmentRecord
from benchmarks.fleet.batches import batch_of
from rules.telemetry.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.fleet.store import Fleet

_BATCH_EVENTS: Final = 1_000
_GROUP: Final = 256  # batches that are written with one sync


def write_log(folder: Path, fleet: Fleet) -> None:
    """Write a fleet's day as segments.

    Raises:
        SegmentWriteError: The folder cannot be written.
    """
    log = SegmentLog(folder)
    waiting: list[SegmentRecord] = []
    for record in _records(fleet):
        waiting.append(record)
        if len(waiting) == _GROUP:
            log.append_many(waiting)
            waiting = []
    log.append_many(waiting)
    log.close()


def _records(fleet: Fleet) -> Iterator[SegmentRecord]:
    sequences = Counter[str]()
    for piece in fleet.streamed(fleet.pieces(max_events=_BATCH_EVENTS, order="time")):
        sequences[piece.agent_id] += 1
        batch = batch_of(piece, sequences[piece.agent_id])
        header = batch.header
        yield SegmentRecord(
            agent_id=header.agent_id,
            boot_id=header.boot_id,
            stream=header.stream,
            sequence=header.sequence,
            received_us=header.to_us,
            from_us=header.from_us,
            payload=encode(batch),
        )
