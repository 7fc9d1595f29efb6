"""What the events contract says of coverage, statement by statement."""

from typing import Any

import pytest

from rules.telemetry import Coverage
from rules.telemetry.ledger import Intervals, Ledger, rounded_share

AGENT = "i-1"
CONNECTION, TLS = "connection", "tls_session"


def row(from_us: int, to_us: int, state: str = "on", **changes: Any) -> Coverage:  # noqa: ANN401
    given: dict[str, Any] = {"sensor": "perf", "kinds": (CONNECTION,)} | changes
    return Coverage(from_us=from_us, to_us=to_us, state=state, **given)


def ledger_of(*rows: Coverage, **header: Any) -> Ledger:  # noqa: ANN401
    ledger = Ledger(0, 100)
    ledger.add_host(AGENT, **header)
    for item in rows:
        ledger.add_coverage(AGENT, item)
    return ledger


def watched(ledger: Ledger, kind: str = CONNECTION, **options: Any) -> list[tuple[int, int]]:  # noqa: ANN401
    return list(ledger.watched(AGENT, kind, **options))


def test_a_host_without_header_was_watched_all_the_time_for_every_kind() -> None:
    ledger = ledger_of()
    assert ledger.collected(AGENT, CONNECTION)
    assert watched(ledger) == [(0, 100)]
    assert watched(ledger, absence=True) == [(0, 100)]
    assert ledger.share(AGENT, TLS) == 1


def test_with_a_header_its_own_interval_is_watched() -> None:
    ledger = ledger_of(watched=Intervals([(-5, 30)]), kinds=[CONNECTION])
    ledger.add_host(AGENT, watched=Intervals([(50, 500)]), kinds=[TLS])
    assert watched(ledger) == [(0, 30), (50, 100)]
    assert ledger.share(AGENT, TLS) == 0.8


def test_a_kind_that_the_header_does_not_name_was_not_collected() -> None:
    ledger = ledger_of(watched=Intervals([(0, 100)]), kinds=[CONNECTION])
    assert ledger.collected(AGENT, CONNECTION)
    assert not ledger.collected(AGENT, TLS)
    assert watched(ledger, TLS) == []
    assert ledger.share(AGENT, TLS) == 0


def test_where_a_kind_has_coverage_rows_they_alone_count() -> None:
    ledger = ledger_of(
        row(10, 20), row(90, 300), watched=Intervals([(0, 100)]), kinds=[CONNECTION, TLS]
    )
    assert watched(ledger) == [(10, 20), (90, 100)]
    assert watched(ledger, TLS) == [(0, 100)], "other kinds keep what the header says"
    undeclared = ledger_of(row(10, 20), watched=Intervals([(0, 5)]), kinds=[])
    assert undeclared.collected(AGENT, CONNECTION)
    assert watched(undeclared) == [(10, 20)]


@pytest.mark.parametrize(
    ("item", "counts", "counts_for_absence"),
    [
        (row(0, 50), True, True),
        (row(0, 50, "degraded"), True, False),
        (row(0, 50, "off"), False, False),
        (row(0, 50, sampled_one_in=2), True, False),
        (row(0, 50, lost={"ring": 1}), True, False),
        (row(0, 50, lost={"ring": 0}), True, True),
        (row(0, 50, lost={}), True, True),
        (row(0, 50, "off", lost={"ring": 1}), False, False),
    ],
)
def test_degraded_sampled_and_lossy_moments_do_not_prove_absence(
    item: Coverage, *, counts: bool, counts_for_absence: bool
) -> None:
    ledger = ledger_of(item)
    assert watched(ledger) == ([(0, 50)] if counts else [])
    assert watched(ledger, absence=True) == ([(0, 50)] if counts_for_absence else [])
    assert ledger.collected(AGENT, CONNECTION) is counts


def test_a_moment_is_watched_if_any_sensor_was_on() -> None:
    ledger = ledger_of(
        row(0, 60, "degraded"), row(40, 80, sensor="sock_diag"), row(0, 100, "off", sensor="x")
    )
    assert watched(ledger) == [(0, 80)]
    assert watched(ledger, absence=True) == [(40, 80)]


def test_a_sensor_counts_only_where_it_can_see_the_rows() -> None:
    ledger = ledger_of(row(0, 100, sensor="probe", kinds=(TLS,)))
    inbound = {"direction": frozenset({"inbound"})}
    for pinned, seen in ((None, True), (inbound, True), ({}, False)):
        assert ledger.collected(AGENT, TLS, pinned=pinned) is seen
        assert bool(watched(ledger, TLS, pinned=pinned)) is seen
        assert ledger.share(AGENT, TLS, pinned=pinned) == float(seen)


def test_late_events_count_as_lost_and_degrade_their_moment() -> None:
    ledger = ledger_of()
    ledger.add_late(AGENT, CONNECTION, 10)
    ledger.add_late(AGENT, CONNECTION, 10)
    assert ledger.lost(AGENT) == {"late": 2}
    assert watched(ledger) == [(0, 100)]
    assert watched(ledger, absence=True) == [(0, 10), (11, 100)]
    assert watched(ledger, TLS, absence=True) == [(0, 100)]


def test_losses_add_up_by_cause() -> None:
    ledger = ledger_of(row(0, 9, lost={"ring": 2, "a": 1}), row(9, 20, lost={"ring": 3}))
    ledger.add_lost(AGENT, "spool_full", 7)
    assert list(ledger.lost(AGENT).items()) == [("a", 1), ("ring", 5), ("spool_full", 7)]
    assert ledger.lost("i-2") == {}


def test_reasons_name_what_was_not_fully_on() -> None:
    ledger = ledger_of(
        row(0, 9),
        row(0, 9, "off", sensor="perf", method="no permission"),
        row(9, 20, "off", sensor="perf", method="no permission"),
        row(0, 9, "degraded", sensor="sock_diag"),
        row(0, 9, "off", sensor="packets", kinds=(TLS,)),
    )
    assert ledger.off_reasons(AGENT, CONNECTION) == [
        "perf off (no permission)",
        "sock_diag degraded",
    ]
    assert ledger.sensors(AGENT, CONNECTION) == ["perf", "sock_diag"]
    assert ledger.sensors(AGENT, TLS) == ["packets"]


def test_agents_are_sorted_and_a_run_has_at_least_one_moment() -> None:
    ledger = Ledger(5, 5)
    ledger.add_host("b")
    ledger.add_lost("a", "x", 1)
    assert ledger.agents == ["a", "b"]
    assert (ledger.from_us, ledger.to_us) == (5, 6)
    assert ledger.share("b", CONNECTION) == 1


@pytest.mark.parametrize(
    ("part", "whole", "share"),
    [(0, 3, 0), (1, 3, 0.333333), (2, 3, 0.666666), (3, 3, 1), (10**9 - 1, 10**9, 0.999999)],
)
def test_shares_have_six_digits_and_round_down(part: int, whole: int, share: float) -> None:
    assert rounded_share(part, whole) == share


def test_intervals_show_and_compare_as_sets() -> None:
    both = Intervals([(5, 9), (1, 5), (20, 20), (8, 3)])
    assert repr(both) == "Intervals([(1, 9)])"
    assert both == Intervals([(1, 9)])
    assert hash(both) == hash(Intervals([(1, 9)]))
    assert both != [(1, 9)]
    assert 1 in both
    assert 9 not in both
    assert not Intervals([(5, 5)])
    assert list(Intervals() - both) == []
    assert list(both.gaps(0, 10)) == [(0, 1), (9, 10)]
    assert both.total == 8
