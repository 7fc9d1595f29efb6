import hashlib

import pytest

from analyzer.canonical.digests import BatchId, LinesDigest, SegmentsDigest
from rules.telemetry.ndjson import canonical

LINES = [b"b", b"a", b"c", b"a", b"ab"]
SORTED = b"a\na\nab\nb\nc\n"


@pytest.mark.parametrize("spill_lines", [1, 2, 3, 100])
def test_digest_is_that_of_the_sorted_lines(spill_lines: int) -> None:
    with LinesDigest(spill_lines=spill_lines) as digest:
        digest.update(LINES)
        assert digest.hexdigest() == hashlib.sha256(SORTED).hexdigest()
        digest.update([b"0"])
        assert digest.hexdigest() == hashlib.sha256(b"0\n" + SORTED).hexdigest()


def test_digest_of_nothing() -> None:
    with LinesDigest() as digest:
        assert digest.hexdigest() == hashlib.sha256().hexdigest()


def test_digest_of_batches_is_that_of_their_sorted_lines() -> None:
    batches = [BatchId("i-1", "b", "main", number) for number in (10, 2, 1)]
    batches.append(BatchId("i-0", "b", "main", 3))
    digest = SegmentsDigest()
    for batch in batches:
        digest.add(batch, hashlib.sha256(str(batch).encode()).digest())
    lines = [
        canonical([*batch, hashlib.sha256(str(batch).encode()).hexdigest()]) + b"\n"
        for batch in sorted(batches)
    ]
    assert digest.hexdigest() == hashlib.sha256(b"".join(lines)).hexdigest()


def test_digest_of_batches_depends_on_their_bytes() -> None:
    one, other = SegmentsDigest(), SegmentsDigest()
    one.add(BatchId("i-1", "b", "main", 1), hashlib.sha256(b"a").digest())
    other.add(BatchId("i-1", "b", "main", 1), hashlib.sha256(b"b").digest())
    assert one.hexdigest() != other.hexdigest()
    assert SegmentsDigest().hexdigest() == hashlib.sha256(b"").hexdigest()
