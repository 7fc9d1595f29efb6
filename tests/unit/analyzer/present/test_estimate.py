import pytest

from analyzer.present.estimate import Estimate


def test_nothing_is_estimated_before_there_is_a_pace() -> None:
    estimate = Estimate(100)
    assert estimate.total_s(1, 0.1) is None
    assert estimate.total_s(2, 0.2) is None
    assert estimate.total_s(3, 0.3) is None


def test_a_long_wait_at_the_start_does_not_count() -> None:
    estimate = Estimate(100)
    for done, elapsed_s in ((1, 0.1), (2, 0.2), (3, 28.0), (4, 28.5)):
        assert estimate.total_s(done, elapsed_s) is None
    estimate.total_s(5, 29.0)
    assert estimate.total_s(6, 29.5) == pytest.approx(29.5 + 94 * 1.7 / 5)


def test_steady_work_is_told_by_its_pace() -> None:
    estimate = Estimate(100)
    for step in range(1, 51):
        found = estimate.total_s(step, step / 10)
    assert found == pytest.approx(10)


def test_work_that_is_done_took_what_it_took() -> None:
    estimate = Estimate(4)
    assert estimate.total_s(4, 0.5) == 0.5
