from analyzer.timeline.frontier import TAIL_US, Arrival, Boot, Frontier
from rules.telemetry.ledger import Intervals

BOOT = Boot("b0", "main")
LATER = Boot("b1", "main")


def frontier_of(*numbers: int, run_from_us: int = 0, first_us: int = 5) -> Frontier:
    """Return a frontier after batches that each cover ten moments, the first from ``first_us``."""
    frontier = Frontier(run_from_us)
    for number in numbers:
        from_us = first_us + 10 * (number - 1)
        frontier.add(BOOT, number, arrival=Arrival(from_us, from_us + 10, at_us=100 * number))
    return frontier


def test_host_that_never_reported_is_at_the_start_of_the_run() -> None:
    assert Frontier(7).at(1_000) == 7


def test_batches_in_order_move_the_frontier() -> None:
    assert frontier_of(1).at(0) == 15
    assert frontier_of(1, 2, 3).at(0) == 35


def test_missing_batch_holds_the_frontier_until_it_comes() -> None:
    assert frontier_of(1, 3).at(0) == 15
    assert frontier_of(1, 3, 2).at(0) == 35
    assert frontier_of(2).at(0) == 0


def test_batch_from_before_the_run_says_that_nothing_is_missing_before_it() -> None:
    assert frontier_of(37, first_us=-361).at(0) == 9
    assert frontier_of(38, first_us=-370).at(0) == 0


def test_settled_batches_are_not_waited_for() -> None:
    frontier = frontier_of(3)
    frontier.settle(BOOT, low=1, high=2)
    assert frontier.at(0) == 35
    assert frontier.has(BOOT, 2)
    assert not frontier.has(BOOT, 4)


def test_settled_batches_may_be_announced_before_they_are_reached() -> None:
    frontier = Frontier(0)
    frontier.settle(BOOT, low=2, high=1_000_000_000)
    assert frontier.at(0) == 0
    frontier.add(BOOT, 1, arrival=Arrival(5, 15, at_us=0))
    frontier.add(BOOT, 1_000_000_001, arrival=Arrival(15, 25, at_us=0))
    assert frontier.at(0) == 25


def test_hole_that_was_dropped_by_the_spool_is_stepped_over() -> None:
    frontier = frontier_of(1)
    arrival = Arrival(25, 35, at_us=0)
    frontier.add(BOOT, 3, arrival=arrival, dropped=Intervals([(15, 24)]))
    assert frontier.at(0) == 15
    frontier.add(BOOT, 4, arrival=Arrival(35, 45, at_us=0), dropped=Intervals([(24, 25)]))
    assert frontier.at(0) == 45


def test_hole_is_given_up_when_it_has_been_noticed_long_enough() -> None:
    frontier = frontier_of(1, 3, 4, 6)
    frontier.give_up(before_us=299)
    assert frontier.at(0) == 15
    frontier.give_up(before_us=300)
    assert frontier.at(0) == 45
    frontier.give_up(before_us=600)
    assert frontier.at(0) == 65
    assert frontier.has(BOOT, 2)


def test_restart_continues_where_the_new_boot_begins() -> None:
    frontier = frontier_of(1)
    frontier.add(LATER, 1, arrival=Arrival(20, 30, at_us=1_000))
    assert frontier.at(1_000 + TAIL_US) == 30


def test_last_batches_before_a_restart_are_waited_for_a_moment() -> None:
    frontier = frontier_of(1)
    frontier.add(LATER, 1, arrival=Arrival(30, 40, at_us=1_000))
    assert frontier.at(1_000) == 15
    frontier.add(BOOT, 2, arrival=Arrival(15, 25, at_us=1_001))
    assert frontier.at(1_001) == 25
    assert frontier.at(1_000 + TAIL_US) == 40


def test_hole_before_a_restart_holds_the_frontier() -> None:
    frontier = frontier_of(1, 3)
    frontier.add(LATER, 1, arrival=Arrival(40, 50, at_us=1_000))
    assert frontier.at(1_000 + TAIL_US) == 15


def test_older_boot_that_arrives_last_is_put_before_the_newer_one() -> None:
    frontier = Frontier(0)
    frontier.add(LATER, 1, arrival=Arrival(40, 50, at_us=0))
    frontier.add(BOOT, 1, arrival=Arrival(5, 15, at_us=1))
    assert frontier.at(1) == 15
    assert frontier.at(1 + TAIL_US) == 50


def test_slowest_stream_decides() -> None:
    frontier = frontier_of(1, 2)
    frontier.add(Boot("b0", "packets"), 1, arrival=Arrival(5, 10, at_us=0))
    assert frontier.at(0) == 10
