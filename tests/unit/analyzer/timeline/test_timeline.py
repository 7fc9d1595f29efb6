import pytest

from analyzer.timeline.frontier import Boot
from analyzer.timeline.timeline import Timeline
from rules.telemetry.batch import Event, Loss
from rules.telemetry.clock import ManualClock
from rules.telemetry.ledger import Intervals
from tests.telemetry_batches import batch, connection, watching

GRACE_US = 1_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def timeline(clock: ManualClock) -> Timeline:
    return Timeline(run_from_us=0, run_to_us=100, clock=clock, grace_us=GRACE_US, agents=["i-1"])


def sealed(timeline: Timeline, agent_id: str = "i-1") -> list[int]:
    """Return the times of the rows that are sealed now."""
    return [
        row["ts_us"]
        for piece in timeline.seal()
        if piece.agent_id == agent_id
        for row in piece.rows()
    ]


def test_slices_follow_each_other(timeline: Timeline) -> None:
    timeline.add(batch(1, (0, 10), [connection(3)]))
    timeline.add(batch(2, (10, 20)))
    timeline.add(batch(3, (20, 30), [connection(20), connection(29)]))
    (first,) = timeline.seal()
    assert (first.from_us, first.to_us) == (0, 30)
    assert [row["ts_us"] for row in first.rows()] == [3, 20, 29]
    timeline.add(batch(4, (30, 100)))
    (second,) = timeline.seal()
    assert (second.from_us, second.to_us, len(second)) == (30, 100, 0)
    assert timeline.seal() == []
    assert timeline.is_complete()


def test_rows_have_their_derived_columns(timeline: Timeline) -> None:
    timeline.add(batch(1, (0, 10), [connection(3)]))
    (piece,) = timeline.seal()
    (row,) = piece.rows()
    assert row["remote_scope"] == "private"
    assert row["process_name"] == "curl"


def test_rows_are_ordered_by_time_whatever_batch_brought_them(timeline: Timeline) -> None:
    timeline.add(batch(2, (10, 20), [connection(15), connection(12)]))
    timeline.add(batch(1, (0, 10), [connection(9), connection(13, remote_port=21)]))
    (piece,) = timeline.seal()
    assert [(row["ts_us"], row["remote_port"]) for row in piece.rows()] == [
        (9, 23),
        (12, 23),
        (13, 21),
        (15, 23),
    ]


def test_row_beyond_the_interval_of_its_batch_waits(timeline: Timeline) -> None:
    timeline.add(batch(1, (0, 10), [connection(10), connection(12)]))
    assert sealed(timeline) == []
    timeline.add(batch(2, (10, 20)))
    assert sealed(timeline) == [10, 12]


def test_duplicates_are_ignored(timeline: Timeline) -> None:
    for _ in range(2):
        timeline.add(batch(1, (0, 10), [connection(3)], losses=(Loss("spool", 2, 0, 1),)))
    assert sealed(timeline) == [3]
    assert timeline.ledger.lost("i-1") == {"spool": 2}


def test_rows_outside_the_run_are_left_out(timeline: Timeline) -> None:
    timeline.add(batch(8, (-10, 10), [connection(-1), connection(0)]))
    timeline.add(batch(9, (10, 120), [connection(99), connection(100)]))
    assert sealed(timeline) == [0, 99]
    assert timeline.ledger.lost("i-1") == {}
    assert timeline.events == {"i-1": 2}


def test_row_before_the_interval_of_its_batch_is_late(timeline: Timeline) -> None:
    timeline.add(batch(1, (0, 10)))
    timeline.add(batch(2, (10, 20), [connection(9), connection(15)]))
    assert sealed(timeline) == [15]
    ledger = timeline.ledger
    assert ledger.lost("i-1") == {"late": 1}
    assert ledger.watched("i-1", "connection") == Intervals([(0, 20)])
    assert ledger.watched("i-1", "connection", absence=True) == Intervals([(0, 9), (10, 20)])


def test_missing_batch_is_waited_for_during_the_grace(
    timeline: Timeline, clock: ManualClock
) -> None:
    timeline.add(batch(1, (0, 10)))
    timeline.add(batch(3, (20, 30), [connection(25)]))
    clock.time_us = GRACE_US - 1
    assert sealed(timeline) == []
    timeline.add(batch(2, (10, 20), [connection(15)]))
    assert sealed(timeline) == [15, 25]


def test_batch_that_comes_after_it_was_given_up_is_late(
    timeline: Timeline, clock: ManualClock
) -> None:
    timeline.add(batch(1, (0, 10)))
    timeline.add(batch(3, (20, 30), [connection(25)]))
    clock.time_us = GRACE_US
    assert sealed(timeline) == [25]
    timeline.add(batch(2, (10, 20), [connection(15), connection(15)]))
    assert sealed(timeline) == []
    ledger = timeline.ledger
    assert ledger.lost("i-1") == {"late": 2}
    assert ledger.watched("i-1", "connection") == Intervals([(0, 30)])
    assert ledger.watched("i-1", "connection", absence=True) == Intervals([(0, 10), (20, 30)])


def test_too_many_waiting_events_end_the_waiting(clock: ManualClock) -> None:
    timeline = Timeline(run_from_us=0, run_to_us=100, clock=clock, max_pending=2)
    timeline.add(batch(2, (10, 20), [connection(15), connection(16)]))
    assert sealed(timeline) == []
    timeline.add(batch(3, (20, 30), [connection(25)]))
    assert sealed(timeline) == [15, 16, 25]


def test_stated_loss_is_not_waited_for_and_not_watched(timeline: Timeline) -> None:
    timeline.add(batch(1, (0, 10)))
    timeline.add(batch(3, (20, 30), [connection(25)], losses=(Loss("spool_full", 7, 10, 20),)))
    assert sealed(timeline) == [25]
    ledger = timeline.ledger
    assert ledger.lost("i-1") == {"spool_full": 7}
    assert ledger.watched("i-1", "connection") == Intervals([(0, 10), (20, 30)])


def test_settled_batches_are_not_waited_for(timeline: Timeline) -> None:
    timeline.settle("i-1", Boot("b0", "main"), high=36)
    timeline.add(batch(37, (5, 15), [connection(7)]))
    assert sealed(timeline) == [7]


def test_sensor_that_lost_events_counts_as_degraded(timeline: Timeline) -> None:
    timeline.add(batch(1, (0, 10)))
    lossy = watching(10, 20, lost={"enobufs": 3})
    timeline.add(batch(2, (10, 20), coverage=(lossy,)))
    timeline.add(batch(3, (20, 30), coverage=(watching(20, 30, lost={"enobufs": 0}),)))
    ledger = timeline.ledger
    assert ledger.lost("i-1") == {"enobufs": 3}
    assert ledger.watched("i-1", "listener") == Intervals([(0, 30)])
    assert ledger.watched("i-1", "listener", absence=True) == Intervals([(0, 10), (20, 30)])


def test_host_that_never_reported_has_watched_nothing(
    timeline: Timeline, clock: ManualClock
) -> None:
    ledger = timeline.ledger
    assert ledger.agents == ["i-1"]
    assert not ledger.collected("i-1", "connection")
    assert ledger.share("i-1", "connection") == 0
    assert not timeline.is_complete(["i-1"])
    clock.time_us = 100 + GRACE_US
    assert timeline.is_complete(["i-1"])
    (piece,) = timeline.seal()
    assert (piece.from_us, piece.to_us, len(piece)) == (0, 100, 0)


def test_run_closes_after_the_grace_on_the_clock_of_the_host(
    timeline: Timeline, clock: ManualClock
) -> None:
    timeline.set_offset("i-1", -50)
    timeline.add(batch(1, (0, 10)))
    clock.time_us = 100 + GRACE_US
    assert timeline.watermark("i-1") == 10
    clock.time_us += 50
    assert timeline.watermark("i-1") == 100


def test_unknown_host_is_at_the_start(timeline: Timeline) -> None:
    assert timeline.watermark("i-2") == 0
    assert timeline.agents == ["i-1"]
    assert not timeline.is_complete(["i-1", "i-2"])


def test_stopping_early_ends_the_run_and_its_ledger(timeline: Timeline) -> None:
    timeline.add(batch(1, (0, 50), [connection(20), connection(45)]))
    timeline.stop(40)
    assert sealed(timeline) == [20]
    assert timeline.is_complete()
    assert timeline.ledger.to_us == 40
    assert timeline.ledger.share("i-1", "connection") == 1
    timeline.stop(30)
    assert timeline.run_to_us == 40


@pytest.mark.parametrize("early", [[35], [35, 45], [45], [20, 45]])
def test_rows_behind_a_stop_leave_no_doubt(clock: ManualClock, early: list[int]) -> None:
    """Whether the end of the run was known when they came, as in a replay, or not yet."""
    ledgers = []
    for first_end_us in (100, 40):
        timeline = Timeline(run_from_us=0, run_to_us=first_end_us, clock=clock, grace_us=GRACE_US)
        timeline.add(batch(1, (0, 50)))
        timeline.add(batch(2, (50, 60), [connection(ts_us) for ts_us in early]))
        timeline.stop(40)
        ledgers.append(timeline.ledger)
    live, replayed = [
        (
            ledger.off_reasons("i-1", "connection"),
            ledger.watched("i-1", "connection", absence=True),
            ledger.lost("i-1"),
        )
        for ledger in ledgers
    ]
    assert live == replayed


def test_hosts_do_not_wait_for_each_other(timeline: Timeline) -> None:
    timeline.add(batch(1, (0, 10), [connection(3)], agent_id="i-2"))
    timeline.add(batch(2, (10, 20), [connection(13)]))
    assert [piece.agent_id for piece in timeline.seal()] == ["i-2"]
    assert timeline.agents == ["i-1", "i-2"]


def test_ledger_is_new_only_when_something_was_added(timeline: Timeline) -> None:
    ledger = timeline.ledger
    assert timeline.ledger is ledger
    timeline.add(batch(1, (0, 10)))
    assert timeline.ledger is not ledger


def test_late_events_beyond_a_bound_are_only_counted(
    timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyzer.timeline.watched.MAX_LATE", 2)
    timeline.add(batch(1, (0, 10)))
    late: list[Event] = [connection(ts_us) for ts_us in (1, 3, 5)]
    timeline.add(batch(2, (10, 20), late))
    assert timeline.ledger.lost("i-1") == {"late": 3}
