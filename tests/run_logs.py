"""Logs of runs for tests: batches, and when each came."""

from collections.abc import Iterable
from pathlib import Path

from analyzer.ingest.segments import SegmentLog, SegmentRecord
from rules.telemetry import Batch
from rules.telemetry.wire import encode


def write_log(log: Path, came: Iterable[tuple[int, Batch]]) -> Path:
    """Write batches, each with the moment at which it came, and return the log."""
    segments = SegmentLog(log)
    segments.append_many(
        [
            SegmentRecord(
                agent_id=sent.header.agent_id,
                boot_id=sent.header.boot_id,
                stream=sent.header.stream,
                sequence=sent.header.sequence,
                received_us=received_us,
                payload=encode(sent),
            )
            for received_us, sent in came
        ]
    )
    segments.close()
    return log
