import pytest

from rules.buckets import MINUTE_US, bucket_width_us, fold_minutes

MINUTE, HOUR, DAY = 1, 60, 1440


@pytest.mark.parametrize(
    ("first", "last", "width"),
    [
        (0, 0, 1),
        (5, 28, 1),
        (5, 29, 5),
        (4, 119, 5),
        (4, 120, 15),
        (0, 24 * HOUR - 1, HOUR),
        (0, 24 * HOUR, 6 * HOUR),
        (0, 24 * DAY - 1, DAY),
        (0, 400 * DAY, DAY),
    ],
)
def test_width_is_the_smallest_of_at_most_24_buckets(first: int, last: int, width: int) -> None:
    """Times in minutes; a whole bucket counts, however little of it is in the span."""
    assert bucket_width_us(first * MINUTE_US, last * MINUTE_US) == width * MINUTE_US


def test_minutes_fold_into_buckets_at_multiples_of_the_width() -> None:
    assert fold_minutes({7: 2, 4: 1, 31: 3}) == (
        (0, 1),
        (5 * MINUTE_US, 2),
        (30 * MINUTE_US, 3),
    )


def test_buckets_start_before_the_time_they_hold_in_1969_too() -> None:
    assert fold_minutes({-1: 1, 30: 1}) == ((-5 * MINUTE_US, 1), (30 * MINUTE_US, 1))
