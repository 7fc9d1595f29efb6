from hypothesis import given
from hypothesis import strategies as st

from analyzer.reports.charts import WIDTH, Segment, stacked


def test_segments_follow_each_other_and_leave_out_zeros() -> None:
    made = stacked([("High", 1), ("Low", 0), ("Medium", 2)], whole=3)
    assert made == (Segment("High", 0, WIDTH // 3), Segment("Medium", WIDTH // 3, 2 * WIDTH // 3))
    assert stacked([("High", 0)], whole=0) == ()


@given(st.lists(st.integers(0, 10**9), max_size=4))
def test_every_count_is_seen_and_the_bar_stays_in_its_drawing(counts: list[int]) -> None:
    names = ["High", "Medium", "Low", "Informational"]
    made = stacked(zip(names, counts, strict=False), whole=sum(counts))
    assert len(made) == sum(map(bool, counts))
    assert all(part.width >= 2 for part in made)
    assert sum(part.width for part in made) <= WIDTH + 8
