"""Takings: what a run has taken of its log, and which batches came too late.

In: each batch in the order of the log, and what the timeline did with it. Out: digests of the files
and of all batches, and the decisions that depended on the time of arrival: what a replay needs to
judge the same, to the byte.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from analyzer.canonical.digests import BatchId, SegmentsDigest

if TYPE_CHECKING:
    from collections.abc import Iterable


class SegmentTaken(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one file of the log was taken: its first records, and their digest.

    ``sha256`` is over the SHA-256 of each record's payload, in the order of the file.
    """

    number: int
    records: int
    sha256: str


class LateBatches(msgspec.Struct, frozen=True, kw_only=True):
    """Batches ``first`` to ``last`` of a stream: rows before ``sealed_us`` came too late."""

    agent_id: str
    boot_id: str
    stream: str
    first: int
    last: int
    sealed_us: int


class Takings:
    """What was taken so far."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._batches = SegmentsDigest()
        self._files: dict[int, _File] = {}
        self._late: dict[tuple[str, str, str], list[_Range]] = {}

    def record(self, segment: int, sha256: bytes) -> None:
        """Note the next record of the log, whether its batch is new or came before."""
        self._files.setdefault(segment, _File()).add(sha256)

    def take(self, batch: BatchId, sha256: bytes, *, late_before_us: int | None = None) -> None:
        """Note a batch that is new, and the moment before which its rows came too late."""
        self._batches.add(batch, sha256)
        if late_before_us is not None:
            ranges = self._late.setdefault(batch[:3], [])
            if ranges and ranges[-1].is_continued_by(batch.sequence, late_before_us):
                ranges[-1].last += 1
            else:
                ranges.append(_Range(batch.sequence, late_before_us))

    def events_digest(self) -> str:
        """Return the hash of every batch that was taken."""
        return self._batches.hexdigest()

    @property
    def segments(self) -> tuple[SegmentTaken, ...]:
        """Return what was taken of each file, by number."""
        return tuple(
            SegmentTaken(number=number, records=file.records, sha256=file.sha256.hexdigest())
            for number, file in sorted(self._files.items())
        )

    @property
    def late(self) -> tuple[LateBatches, ...]:
        """Return the batches that came too late, by stream and sequence."""
        return tuple(
            LateBatches(
                agent_id=stream[0],
                boot_id=stream[1],
                stream=stream[2],
                first=item.first,
                last=item.last,
                sealed_us=item.sealed_us,
            )
            for stream, ranges in sorted(self._late.items())
            for item in sorted(ranges, key=lambda item: item.first)
        )


def sealed_moments(late: Iterable[LateBatches]) -> dict[BatchId, int]:
    """Return, for each batch that came too late, up to where its host was sealed."""
    return {
        BatchId(item.agent_id, item.boot_id, item.stream, sequence): item.sealed_us
        for item in late
        for sequence in range(item.first, item.last + 1)
    }


class _File:
    def __init__(self) -> None:
        self.records = 0
        self.sha256 = hashlib.sha256()

    def add(self, sha256: bytes) -> None:
        self.records += 1
        self.sha256.update(sha256)


class _Range:
    def __init__(self, first: int, sealed_us: int) -> None:
        self.first = self.last = first
        self.sealed_us = sealed_us

    def is_continued_by(self, sequence: int, sealed_us: int) -> bool:
        return (sequence, sealed_us) == (self.last + 1, self.sealed_us)
