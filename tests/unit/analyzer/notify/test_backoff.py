from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from analyzer.notify.backoff import CEILING_S, delay_s


@given(failures=st.integers(-1, 10**9), seed=st.integers(), ceiling_s=st.floats(1, 10_000))
def test_delay_lies_between_half_and_whole(failures: int, seed: int, ceiling_s: float) -> None:
    delay = delay_s(failures, rng=Random(seed), ceiling_s=ceiling_s)
    assert 0.5 <= delay <= ceiling_s


def test_delay_doubles_up_to_the_ceiling() -> None:
    class Longest(Random):
        def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 (its own signature)
            return b

    delays = [delay_s(failures, rng=Longest()) for failures in (1, 2, 3, 10, 11, 12, 99)]
    assert delays == [1, 2, 4, 512, CEILING_S, CEILING_S, CEILING_S]
