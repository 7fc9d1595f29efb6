"""Counts by bucket against counting each time on its own."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rules.buckets import MAX_BUCKETS, MINUTE_US, WIDTHS_US, bucket_width_us, fold_minutes

starts = st.integers(-(10**15), 10**15)
spans = st.sampled_from([MINUTE_US, *(24 * width for width in WIDTHS_US), 50 * WIDTHS_US[-1]])
times = st.tuples(starts, spans).flatmap(
    lambda place: st.lists(st.integers(place[0], sum(place)), min_size=1, max_size=40)
)


@given(times)
def test_buckets_equal_counting_each_time(times_us: list[int]) -> None:
    by_width = {width: Counter(time // width * width for time in times_us) for width in WIDTHS_US}
    fitting = [
        width
        for width, counts in by_width.items()
        if (max(counts) - min(counts)) // width + 1 <= MAX_BUCKETS
    ]
    width_us = fitting[0] if fitting else WIDTHS_US[-1]

    minutes = Counter(time // MINUTE_US for time in times_us)

    assert bucket_width_us(min(times_us), max(times_us)) == width_us
    assert fold_minutes(minutes) == tuple(sorted(by_width[width_us].items()))
