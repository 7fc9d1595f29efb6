import hashlib

import pytest

from analyzer.digests import LinesDigest

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
