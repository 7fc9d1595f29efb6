"""The targets of coverage-guided fuzzing work, and survive random bytes too."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.__main__ import NAMES
from tests.fuzz.targets import EXPECTED, TARGETS

SEEDS = [(name, seed) for name, target in TARGETS.items() for seed in target.seeds]


def run(name: str, data: bytes) -> None:
    with contextlib.suppress(*EXPECTED):
        TARGETS[name].run(data)


def test_every_target_is_run() -> None:
    assert tuple(TARGETS) == NAMES


@pytest.mark.parametrize(("name", "seed"), SEEDS)
def test_seeds_are_read_or_refused(name: str, seed: bytes) -> None:
    run(name, seed)


@given(st.sampled_from(NAMES), st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    run(name, data)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=6),
)
def test_damaged_seeds_are_read_or_refused(
    start: tuple[str, bytes], changes: list[tuple[int, int]]
) -> None:
    name, seed = start
    damaged = bytearray(seed)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    run(name, bytes(damaged))
