"""One world, four evaluators: reference, compiled loops, their numpy twins, SQL.

The engines must equal the reference in whole outcomes, SQL in everything but evidence and buckets,
which it does not return.
"""

from random import Random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from rules.telemetry.batch import Row
from tests.duck import by_sql, found_of, load
from tests.evaluators import AGENTS, by_fused, by_reference, rules_of, two_hosts
from tests.rule_documents import Plain
from tests.small_worlds import (
    RUN_US,
    detections,
    periodics,
    steady_worlds,
    worlds,
)

pytestmark = pytest.mark.timeout(120)  # a statement takes milliseconds, a loaded machine more

cuts = st.lists(st.integers(1, RUN_US), max_size=4).map(sorted)
randoms = st.randoms(use_true_random=False)
steady = periodics.map(lambda plain: {**plain, "select": {"telemetry": "connection"}})


def check(plains: list[Plain], rows: list[Row], edges: list[int]) -> None:
    """Judge the same by all four."""
    rules = rules_of(plains)
    expected = by_reference(rules, rows, None)
    event(f"fires: {any(outcome.groups for outcome in expected)}")
    assert by_fused(rules, rows, edges, use_numba=True, max_groups=None) == expected
    assert by_fused(rules, rows, edges, use_numba=False, max_groups=None) == expected
    load(rows)
    for place, rule in enumerate(rules):
        outcomes = expected[place * len(AGENTS) : (place + 1) * len(AGENTS)]
        assert by_sql(rule) == found_of(rule, outcomes)


@settings(max_examples=settings().max_examples // 2)  # each is up to twelve judgements
@given(st.lists(detections, min_size=1, max_size=3), worlds, cuts, randoms)
def test_four_evaluators_agree(
    plains: list[Plain], rows: list[Row], edges: list[int], random: Random
) -> None:
    check(plains, two_hosts(rows, random), edges)


@settings(max_examples=settings().max_examples // 2)
@given(steady, steady_worlds, cuts)
def test_four_evaluators_agree_on_a_steady_pace(
    plain: Plain, rows: list[Row], edges: list[int]
) -> None:
    check([plain], rows, edges)
