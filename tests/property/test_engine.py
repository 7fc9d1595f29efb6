"""The fused engine against the reference, on small worlds full of ties.

Outcomes are compared whole: groups, counts, evidence, windows and buckets, of every rule on every
host, however the telemetry is cut into slices.
"""

from collections.abc import Sequence
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.engine import FusedEngine, retained
from analyzer.telemetry.dictionary import Dictionary
from rules.telemetry.batch import Row
from tests.evaluators import (
    AGENTS,
    by_fused,
    by_reference,
    ledger_of,
    rules_of,
    slices_of,
    two_hosts,
)
from tests.rule_documents import Plain
from tests.small_worlds import (
    RUN_US,
    conditions,
    detections,
    groups_of_conditions,
    periodics,
    sequences,
    steady_worlds,
    thresholds,
    worlds,
)

cuts = st.lists(st.integers(1, RUN_US), max_size=4).map(sorted)


def check(
    plains: Sequence[Plain],
    rows: list[Row],
    edges: Sequence[int],
    *,
    use_numba: bool,
    max_groups: int | None = None,
    waits: bool = True,
) -> None:
    rules = rules_of(plains)
    found = by_fused(rules, rows, edges, use_numba=use_numba, max_groups=max_groups, waits=waits)
    assert found == by_reference(rules, rows, max_groups)


caps = st.one_of(st.none(), st.integers(1, 3))
many = st.lists(detections, min_size=1, max_size=6)
randoms = st.randoms(use_true_random=False)


@given(many, worlds, cuts, randoms, st.booleans(), caps, st.booleans())
def test_outcomes_equal_the_reference(  # noqa: PLR0917 (as @given names them)
    plains: list[Plain],
    rows: list[Row],
    edges: list[int],
    random: Random,
    use_numba: bool,  # noqa: FBT001 (hypothesis gives it by name)
    max_groups: int | None,
    waits: bool,  # noqa: FBT001
) -> None:
    worlds = two_hosts(rows, random)
    check(plains, worlds, edges, use_numba=use_numba, max_groups=max_groups, waits=waits)


@given(st.lists(thresholds, min_size=1, max_size=4), worlds, cuts, st.booleans(), st.booleans())
def test_thresholds_equal_the_reference(
    plains: list[Plain],
    rows: list[Row],
    edges: list[int],
    use_numba: bool,  # noqa: FBT001
    waits: bool,  # noqa: FBT001
) -> None:
    check(plains, rows, edges, use_numba=use_numba, waits=waits)


@given(st.lists(thresholds, min_size=1, max_size=4), worlds, cuts, st.booleans())
def test_rows_that_were_compressed_meanwhile_count_as_before(
    plains: list[Plain],
    rows: list[Row],
    edges: list[int],
    use_numba: bool,  # noqa: FBT001
) -> None:
    with patch.multiple(retained, WARM_BYTES=-1, IDLE=0):
        check(plains, rows, edges, use_numba=use_numba, waits=False)


@given(sequences, worlds, cuts, st.booleans(), st.booleans())
def test_sequence_equals_the_reference(
    plain: Plain,
    rows: list[Row],
    edges: list[int],
    use_numba: bool,  # noqa: FBT001
    waits: bool,  # noqa: FBT001
) -> None:
    check([plain], rows, edges, use_numba=use_numba, waits=waits)


@given(periodics, steady_worlds, cuts, st.booleans())
def test_periodic_equals_the_reference(
    plain: Plain,
    rows: list[Row],
    edges: list[int],
    use_numba: bool,  # noqa: FBT001
) -> None:
    everything = {**plain, "select": {"telemetry": "connection"}}
    check([everything], rows, edges, use_numba=use_numba)


@settings(max_examples=20)  # each reads many rules
@given(
    st.lists(groups_of_conditions, min_size=70, max_size=90, unique_by=repr),
    conditions,
    worlds,
    cuts,
    st.booleans(),
)
def test_more_conjunctions_than_bits_equal_the_reference(
    groups: list[Plain],
    parts: Plain,
    rows: list[Row],
    edges: list[int],
    use_numba: bool,  # noqa: FBT001
) -> None:
    """So that conjunctions share bits, and rows that have one must be checked."""
    shared = {"kind": "event", "group_by": ["pid"]}
    plains = [
        {**shared, "select": {"telemetry": "connection", "any_of": groups[start : start + 9]}}
        for start in range(0, len(groups), 9)
    ]
    plains.append({**shared, "select": {"telemetry": "connection", **parts}})
    check(plains, rows, edges, use_numba=use_numba)


def test_rule_without_conditions_among_many_selects_every_row() -> None:
    """What stands alone among its bits has no column to look at."""
    kinds = ({"where": {"local_port": port, "remote_port": {"ne": 1}}} for port in range(90))
    plains = [
        {"kind": "event", "group_by": ["pid"], "select": {"telemetry": "connection", **parts}}
        for parts in (*kinds, {})
    ]
    rows = [
        {"telemetry": "connection", "ts_us": 5, "agent_id": "i-1", "pid": pid} for pid in (1, 2)
    ]
    check(plains, rows, [], use_numba=False)
    check(plains, rows, [], use_numba=True)


@pytest.mark.parametrize("use_numba", [False, True])
def test_two_rules_with_windows_of_one_length_see_across_slices(
    use_numba: bool,  # noqa: FBT001 (pytest gives it by name)
) -> None:
    """What a host holds lately is asked for by both, and is counted once all the same."""
    shared = {"kind": "threshold", "group_by": [], "within": "2ms", "count": {"gt": 3}}
    plains = [
        {**shared, "select": {"telemetry": "connection", "where": where}}
        for where in ({"remote_port": 9}, {"direction": "inbound"})
    ]
    row = {"telemetry": "connection", "agent_id": "i-1", "direction": "inbound", "remote_port": 9}
    rows = [{**row, "ts_us": ts_us} for ts_us in (0, 3_500, 3_900, 4_100, 4_500, 9_000)]
    check(plains, rows, [4_000], use_numba=use_numba, waits=False)


@pytest.mark.parametrize("use_numba", [False, True])
def test_windows_of_several_groups_reach_back_into_the_slice_before(
    use_numba: bool,  # noqa: FBT001 (pytest gives it by name)
) -> None:
    """Rows that were not of interest when they came are found again, those of each group."""
    selects = {"telemetry": "connection"}
    shared = {"kind": "threshold", "select": selects, "within": "3ms"}
    plains = [
        {**shared, "group_by": ["pid"], "count": {"gt": 3}},
        {**shared, "group_by": ["pid", "local_port"], "sum": {"column": "bytes_sent", "gt": 3}},
    ]
    rows = [
        {
            "telemetry": "connection",
            "agent_id": agent_id,
            "pid": pid,
            "local_port": 80,
            "bytes_sent": 1,
            "ts_us": ts_us,
        }
        for agent_id in ("i-1", "i-2")
        for pid in (1, 2, 3)
        for ts_us in (1_000, 3_000 + pid, 3_500, 4_500, 5_500, 11_000)
    ]
    check(plains, rows, [4_000], use_numba=use_numba, waits=False)


@given(many, worlds, cuts, randoms, st.integers(0, 10), st.booleans())
def test_restored_engine_goes_on(  # noqa: PLR0917 (as @given names them)
    plains: list[Plain],
    rows: list[Row],
    edges: list[int],
    random: Random,
    taken_after: int,
    use_numba: bool,  # noqa: FBT001
) -> None:
    rules, rows = rules_of(plains), two_hosts(rows, random)
    dictionary = Dictionary()
    engine = FusedEngine(rules, use_numba=use_numba, dictionary=dictionary)
    pieces = slices_of(rows, edges, dictionary)
    for piece in pieces[:taken_after]:
        engine.feed(piece)
    restored = FusedEngine(rules, use_numba=not use_numba)
    dictionary = restored.restore(engine.snapshot())
    for piece in slices_of(rows, edges, dictionary)[taken_after:]:
        restored.feed(piece)
    found = restored.outcomes(ledger_of(), AGENTS, max_groups=None)
    assert found == by_reference(rules, rows, None)
