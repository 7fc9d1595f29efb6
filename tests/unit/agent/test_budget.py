"""Steps of the budget."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.budget import CALM_WINDOWS, WINDOW_S, Budget, Ceiling, Step

MEBIBYTE = 1 << 20


def steps(
    shares: Iterable[float], *, memory_mb: int = 30, ceiling: Ceiling | None = None
) -> list[Step]:
    """Return the step after each window of the given CPU share."""
    budget = Budget(ceiling or Ceiling())
    now_s = cpu_s = 0.0
    budget.look(now_s=now_s, cpu_s=cpu_s, memory_bytes=memory_mb * MEBIBYTE)
    found = []
    for share in shares:
        now_s += WINDOW_S
        cpu_s += share * WINDOW_S
        found.append(budget.look(now_s=now_s, cpu_s=cpu_s, memory_bytes=memory_mb * MEBIBYTE))
    return found


def test_within_the_ceiling_everything_stays_on() -> None:
    assert set(steps([0.049] * 50)) == {Step.FULL}


def test_windows_above_it_in_a_row_take_one_step_after_the_other() -> None:
    assert steps([0.2] * 7) == [0, 1, 1, 2, 2, 3, 3]
    assert steps([0.2] * 20)[-1] == Step.HEARTBEAT
    assert set(steps([0.2, 0.03] * 9)) == {Step.FULL}


def test_calm_windows_in_a_row_take_a_step_back() -> None:
    assert steps([0.2] * 2 + [0.01] * CALM_WINDOWS)[-2:] == [Step.SLOW, Step.FULL]
    broken = [0.2, 0.2, *[0.01] * (CALM_WINDOWS - 1), 0.04, *[0.01] * (CALM_WINDOWS - 1)]
    assert steps(broken)[-1] == Step.SLOW


def test_memory_alone_never_blinds_the_agent() -> None:
    assert steps([0.01] * 20, memory_mb=80)[-1] == Step.NO_PAYLOAD
    assert steps([0.01] * 20, memory_mb=60)[-1] == Step.FULL


def test_without_a_ceiling_nothing_is_taken_away() -> None:
    none = Ceiling(cpu_share=0, memory_bytes=0)
    assert set(steps([0.9] * 9, memory_mb=900, ceiling=none)) == {Step.FULL}


def test_looks_within_a_window_change_nothing() -> None:
    budget = Budget(Ceiling())
    for now_s in range(int(WINDOW_S)):
        step = budget.look(now_s=now_s, cpu_s=float(now_s), memory_bytes=None)
        assert step is Step.FULL


def test_every_step_but_the_first_has_words() -> None:
    assert [step for step in Step if not step.words] == [Step.FULL]


@given(st.lists(st.floats(0, 1), max_size=60))
def test_steps_change_by_one_and_come_back(shares: list[float]) -> None:
    found = [Step.FULL, *steps(shares)]
    assert all(abs(after - before) <= 1 for before, after in pairwise(found))
    assert steps([*shares, *[0.0] * CALM_WINDOWS * len(Step)])[-1:] in ([Step.FULL], [])
