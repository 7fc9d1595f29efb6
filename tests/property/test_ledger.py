"""Intervals are sets of microseconds; a ledger does not care in which order it is told."""

import random

from hypothesis import given
from hypothesis import strategies as st

from rules.telemetry import Coverage
from rules.telemetry.kinds import SENSOR_STATES
from rules.telemetry.ledger import Intervals, Ledger

FROM, TO = 0, 40
moments = st.integers(FROM - 5, TO + 5)
pairs = st.lists(st.tuples(moments, moments), max_size=6)


def moments_of(pairs: list[tuple[int, int]]) -> set[int]:
    return {moment for start, end in pairs for moment in range(start, end)}


@given(pairs, pairs)
def test_intervals_equal_sets_of_moments(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    a, b = Intervals(left), Intervals(right)
    whole, other = moments_of(left), moments_of(right)
    assert moments_of(list(a)) == whole
    assert moments_of(list(a | b)) == whole | other
    assert moments_of(list(a & b)) == whole & other
    assert moments_of(list(a - b)) == whole - other
    assert moments_of(list(a.gaps(FROM, TO))) == set(range(FROM, TO)) - whole
    assert a.total == len(whole)
    assert a.within(FROM, TO) == len(whole & set(range(FROM, TO)))
    assert bool(a) == bool(whole)
    assert (a == b) == (whole == other)
    assert all((moment in a) == (moment in whole) for moment in range(FROM - 6, TO + 6))


@given(pairs, st.randoms(use_true_random=False))
def test_intervals_do_not_depend_on_order_or_cuts(
    given_pairs: list[tuple[int, int]], rng: random.Random
) -> None:
    whole = Intervals(given_pairs)
    cut = [(moment, moment + 1) for moment in moments_of(given_pairs)]
    rng.shuffle(cut)
    assert Intervals(cut) == whole
    assert hash(Intervals(cut)) == hash(whole)
    one_by_one = Intervals()
    for pair in cut:
        one_by_one = Intervals([pair]) | one_by_one
    assert one_by_one == whole
    ends = [end for pair in whole for end in pair]
    assert ends == sorted(set(ends)), "sorted, disjoint, and never touching"


@st.composite
def coverage_rows(draw: st.DrawFn) -> Coverage:
    from_us, to_us = sorted((draw(moments), draw(moments)))
    return Coverage(
        sensor=draw(st.sampled_from(["perf", "sock_diag"])),
        kinds=tuple(draw(st.sets(st.sampled_from(["connection", "listener"])))),
        from_us=from_us,
        to_us=to_us,
        state=draw(st.sampled_from(SENSOR_STATES)),
        sampled_one_in=draw(st.sampled_from([1, 1, 10])),
        lost=draw(st.sampled_from([None, {}, {"ring": 0}, {"ring": 3}])),
    )


def watched_moments(rows: list[Coverage], kind: str, *, absence: bool) -> set[int]:
    """Say moment by moment what the contract says."""
    watched = set()
    for row in rows:
        lossy = row.sampled_one_in > 1 or sum((row.lost or {}).values()) > 0
        state = "degraded" if row.state == "on" and lossy else row.state
        if kind in row.kinds and state in ({"on"} if absence else {"on", "degraded"}):
            watched |= set(range(max(row.from_us, FROM), min(row.to_us, TO)))
    return watched


@given(
    rows=st.lists(coverage_rows(), min_size=1, max_size=6),
    absence=st.booleans(),
    late=st.sets(moments, max_size=3),
    rng=st.randoms(use_true_random=False),
)
def test_a_ledger_equals_the_contract_moment_by_moment(
    *,
    rows: list[Coverage],
    absence: bool,
    late: set[int],
    rng: random.Random,
) -> None:
    entries: list[Coverage | int] = [*rows, *late]
    ledgers = []
    for _ in range(2):
        ledger = Ledger(FROM, TO)
        rng.shuffle(entries)
        for entry in entries:
            if isinstance(entry, int):
                ledger.add_late("a", "connection", entry)
            else:
                ledger.add_coverage("a", entry)
        ledgers.append(ledger)
    stated = any("connection" in row.kinds for row in rows)
    expected = watched_moments(rows, "connection", absence=absence) if stated else set(range(TO))
    expected -= late if absence else set()
    for ledger in ledgers:
        watched = ledger.watched("a", "connection", absence=absence)
        assert moments_of(list(watched)) == expected
        assert ledger.share("a", "connection", absence=absence) == len(expected) / (TO - FROM)
    assert ledgers[0].lost("a") == ledgers[1].lost("a")
