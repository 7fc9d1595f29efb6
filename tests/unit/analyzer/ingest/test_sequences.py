from hypothesis import given
from hypothesis import strategies as st

from analyzer.ingest.sequences import Sequences


def test_sequences_in_order_are_one_mark() -> None:
    sequences = Sequences()
    assert sequences.high == 0
    assert [sequences.add(n) for n in (1, 2, 3)] == [True, True, True]
    assert (sequences.high, sequences.ranges, sequences.missing) == (3, [], 0)


def test_sequences_with_a_gap_name_the_ranges_above() -> None:
    sequences = Sequences()
    for number in (1, 2, 5, 6, 9):
        sequences.add(number)
    assert (sequences.high, sequences.ranges, sequences.missing) == (2, [(5, 6), (9, 9)], 4)


def test_sequences_without_the_first_have_no_mark() -> None:
    sequences = Sequences()
    sequences.add(2)
    assert (sequences.high, sequences.ranges, sequences.missing) == (0, [(2, 2)], 1)


@given(st.lists(st.integers(1, 40)))
def test_sequences_equal_a_plain_set(numbers: list[int]) -> None:
    sequences, seen = Sequences(), set[int]()
    for number in numbers:
        assert sequences.add(number) == (number not in seen)
        seen.add(number)
    assert all((n in sequences) == (n in seen) for n in range(42))
    high = next(n for n in range(42) if n + 1 not in seen)
    assert sequences.high == high
    inside = {n for low, top in sequences.ranges for n in range(low, top + 1)}
    assert inside == {n for n in seen if n > high}
    assert sequences.missing == max(seen, default=0) - len(seen)
