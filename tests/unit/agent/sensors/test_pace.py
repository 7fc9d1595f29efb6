import pytest

from agent.sensors.pace import TICK_S, Pace, at_tick


def spent(*costs_s: float) -> Pace:
    pace = Pace(shortest_s=1, longest_s=30, share=0.01)
    for cost_s in costs_s:
        pace.spend(100, cost_s)
    return pace


def test_first_poll_is_due_at_once() -> None:
    assert spent().due_s(is_changed=False) < 0


def test_cheap_polls_follow_after_the_shortest_interval() -> None:
    assert spent(0.001).due_s(is_changed=True) == 101


def test_costly_polls_keep_their_share() -> None:
    pace = spent(*[0.1] * 20)

    assert pace.due_s(is_changed=True) == pytest.approx(110, abs=0.1)


def test_no_interval_is_longer_than_the_longest() -> None:
    assert spent(*[10.0] * 20).due_s(is_changed=True) == 130


def test_unchanged_table_waits_for_the_longest_interval() -> None:
    assert spent(0.001).due_s(is_changed=False) == 130


def test_unusual_cost_does_not_count() -> None:
    pace = spent(0.001)
    pace.spend(100, 20, is_usual=False)

    assert pace.due_s(is_changed=True) == 101


@pytest.mark.parametrize(
    ("due_s", "tick_s"), [(0.0, 0.0), (0.3, 0.5), (0.5, 0.5), (0.59, 0.5), (0.61, 1.0), (100, 100)]
)
def test_what_can_wait_is_done_at_a_tick(due_s: float, tick_s: float) -> None:
    assert at_tick(due_s) == tick_s


def test_what_is_due_an_interval_after_a_late_tick_skips_none() -> None:
    assert at_tick(100.04 + TICK_S) == 100 + TICK_S
