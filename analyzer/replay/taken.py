"""Taken: the log of a run as its verdict took it.

In: a folder of segments, and what the verdict says of it. Out: its records, and its slices: without
doubles, without rows outside the run, and without those that came too late for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analyzer.canonical.digests import BatchId
from analyzer.errors import SegmentReadError
from analyzer.ingest.segments import read_positions, read_segments
from analyzer.replay.index import IndexDraft, LogIndex
from analyzer.replay.judged import read_judged
from analyzer.timeline.takings import LateBatches, SegmentTaken, sealed_moments
from rules.errors import WireError
from rules.telemetry.wire import decode_any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from analyzer.ingest.segments import SegmentRecord, StoredRecord
    from analyzer.model import Run
    from analyzer.replay.judged import Judged
    from analyzer.results.document import RunInfo
    from analyzer.telemetry.slices import Slice
    from analyzer.timeline.timeline import Timeline
    from rules.telemetry import Batch

SEAL_BATCHES: Final = 256  # taken between two looks at what can be judged and let go
SEGMENTS: Final = "segments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The log of a run, and what is known of the run.

    Attributes:
        folder: Holds the segments.
        name: Of the run.
        state: In which it ended.
        from_us: Start of the interval that is judged.
        to_us: Its end.
        hosts: Every host of the run, and its name where it is known.
        duration_s: How long the run was to last, None where that is not known.
        verdict: The run as its stored result names it; None where there is none.
        taken: How much of each file the verdict was made from; None = all there is.
        late: Batches that came too late, as the run decided then.
    """

    folder: Path
    name: str
    state: str
    from_us: int
    to_us: int
    hosts: Mapping[str, str | None]
    duration_s: int | None = None
    verdict: RunInfo | None = None
    taken: tuple[SegmentTaken, ...] | None = None
    late: tuple[LateBatches, ...] = ()


def log_of(folder: Path, judged: Judged) -> Log:
    """Return the log of a run that ended with a verdict."""
    return Log(
        folder=folder / SEGMENTS,
        name=judged.run.name,
        state=judged.run.state,
        from_us=judged.run.from_us,
        to_us=judged.run.to_us,
        hosts=judged.hosts,
        duration_s=judged.duration_s,
        verdict=judged.run,
        taken=judged.segments,
        late=judged.late,
    )


def judged_log(segments: Path, run: Run) -> Log | None:
    """Return the log of a run as its verdict took it; None where no verdict says how.

    Raises:
        JudgedError: What the verdict was made from cannot be read.
    """
    judged = read_judged(segments.parent) if run.state.is_final else None
    return None if judged is None else log_of(segments.parent, judged)


def sealed_slices(log: Log, timeline: Timeline, index: LogIndex | None = None) -> Iterator[Slice]:
    """Yield the slices of some hosts of a log; as the run decided then, batches come too late.

    Args:
        log: The log.
        timeline: New, over the interval of the log and with the hosts that are wanted; when all
            slices are through, it knows what was watched.
        index: Where the batches of these hosts, and of no other, stand; None = look for them.

    Raises:
        SegmentReadError: A file cannot be read, or was written by another version.
    """
    late = sealed_moments(log.late)
    index = index or _index_of(log, timeline.agents)
    ends = index.complete_until(log.to_us)
    moments: dict[str, int] = {}
    records = read_positions(log.folder, index.positions())
    for number, record in enumerate(records, start=1):
        batch = _decoded(log, record)
        timeline.add(batch, sealed_us=late.get(batch_id(record), log.from_us))
        moments[record.agent_id] = int(ends[number - 1])
        if number % SEAL_BATCHES == 0:
            yield from timeline.seal_to(moments)
    yield from timeline.seal_to()


def taken_records(log: Log) -> Iterator[StoredRecord]:
    """Yield the records that were taken, in the order of the log."""
    left = None if log.taken is None else {item.number: item.records for item in log.taken}
    for stored in read_segments(log.folder):
        if left is None:
            yield stored
        elif left.get(stored.position.segment, 0) > 0:
            left[stored.position.segment] -= 1
            yield stored


def _index_of(log: Log, agents: Collection[str]) -> LogIndex:
    wanted, draft = frozenset(agents), IndexDraft()
    for position, record in taken_records(log):
        if record.agent_id in wanted:
            draft.add(position, record)
    return draft.index()


def _decoded(log: Log, record: SegmentRecord) -> Batch:
    try:
        batch = decode_any(record.payload)
    except WireError as error:
        raise SegmentReadError(log.folder, f"batch {_named(record)}: {error}") from error
    header = batch.header
    said = BatchId(header.agent_id, header.boot_id, header.stream, header.sequence)
    if said != batch_id(record) or record.from_us not in (0, header.from_us):
        raise SegmentReadError(log.folder, f"batch {_named(record)} says that it is another one")
    return batch


def batch_id(record: SegmentRecord) -> BatchId:
    """Return what the batch of a record is known by."""
    return BatchId(record.agent_id, record.boot_id, record.stream, record.sequence)


def _named(record: SegmentRecord) -> str:
    return f"{record.sequence} of {record.agent_id}"
