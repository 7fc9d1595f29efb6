from hashlib import sha256

from analyzer.canonical.digests import BatchId
from analyzer.timeline.takings import Takings, sealed_moments

ONE, TWO, THREE = (BatchId("i-1", "b", "main", number) for number in (1, 2, 3))
HASH = sha256(b"payload").digest()


def test_files_are_told_by_their_first_records_in_order() -> None:
    takings, other = Takings(), Takings()
    for segment in (1, 1, 2):
        takings.record(segment, HASH)
        other.record(segment, HASH)
    assert [(item.number, item.records) for item in takings.segments] == [(1, 2), (2, 1)]
    assert takings.segments == other.segments
    other.record(2, HASH)
    assert takings.segments != other.segments
    assert takings.segments[0] == other.segments[0]


def test_late_batches_in_a_row_are_one_range() -> None:
    takings = Takings()
    for batch in (ONE, TWO):
        takings.take(batch, HASH, late_before_us=70)
    takings.take(THREE, HASH, late_before_us=80)
    takings.take(BatchId("i-0", "b", "main", 1), HASH)
    assert [(item.first, item.last, item.sealed_us) for item in takings.late] == [
        (1, 2, 70),
        (3, 3, 80),
    ]
    assert sealed_moments(takings.late) == {ONE: 70, TWO: 70, THREE: 80}


def test_late_batches_stand_in_the_order_of_their_sequence() -> None:
    takings = Takings()
    for batch in (THREE, ONE):
        takings.take(batch, HASH, late_before_us=70)
    assert [item.first for item in takings.late] == [1, 3]
