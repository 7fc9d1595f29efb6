"""How events become batches: when, how large, and what each says of its interval."""

import pytest

from agent.batching import Batcher, Limits
from rules.telemetry.batch import Coverage, Event, Loss

SECOND = 1_000_000
KINDS = ("connection", "listener")


def _batcher(*, max_events: int = 10_000) -> Batcher:
    limits = Limits(max_events=max_events, max_age_s=2, idle_age_s=10)
    batcher = Batcher(agent_id="h-1", boot_id="b0", limits=limits)
    batcher.begin(from_us=0, runs=("r1",), wanted=KINDS, collected=KINDS)
    return batcher


def _event(ts_us: int, *, kind: str = "connection", port: int | str = 443) -> Event:
    return Event(kind, ts_us, None, {"remote_port" if kind == "connection" else "local_port": port})


def _row(
    *,
    state: str = "on",
    lost: dict[str, int] | None = None,
    kinds: tuple[str, ...] = ("connection",),
) -> Coverage:
    return Coverage(
        sensor="sockets",
        kinds=kinds,
        from_us=0,
        to_us=0,
        state=state,
        lost=lost,
        cpu_ms=9,
        rss_bytes=7,
    )


def test_batch_says_who_sends_it_and_what_it_covers() -> None:
    batcher = _batcher()
    batcher.add([_event(1), _event(2, kind="listener")], until_us=SECOND)
    (batch,) = batcher.cut([_row()])
    header = batch.header
    assert (header.agent_id, header.boot_id, header.stream, header.sequence) == (
        "h-1",
        "b0",
        "main",
        1,
    )
    assert (header.from_us, header.to_us) == (0, SECOND)
    assert (header.runs, header.kinds) == (("r1",), ("connection", "listener"))
    assert header.losses == ()
    assert [(row.from_us, row.to_us, row.cpu_ms) for row in header.coverage] == [(0, SECOND, 9)]
    assert sorted(batch.tables) == ["connection", "listener"]


def test_next_batch_begins_where_the_last_ended() -> None:
    batcher = _batcher()
    for until_us in (SECOND, 3 * SECOND):
        batcher.add([], until_us=until_us)
        (batch,) = batcher.cut([])
    assert (batch.header.sequence, batch.header.from_us) == (2, SECOND)


def test_nothing_is_cut_where_no_time_has_passed() -> None:
    batcher = _batcher()
    assert batcher.cut([]) == []
    batcher.add([], until_us=0)
    assert batcher.cut([]) == []


def test_event_beyond_the_interval_waits_for_the_next() -> None:
    batcher = _batcher()
    batcher.add([_event(SECOND - 1), _event(SECOND)], until_us=SECOND)
    (first,) = batcher.cut([])
    batcher.add([], until_us=2 * SECOND)
    (second,) = batcher.cut([])
    assert [list(batch.tables["connection"].ts_us) for batch in (first, second)] == [
        [SECOND - 1],
        [SECOND],
    ]


def test_event_beyond_the_end_of_a_span_is_not_collected() -> None:
    batcher = _batcher()
    batcher.add([_event(SECOND)], until_us=SECOND)
    batcher.cut([])
    batcher.begin(from_us=SECOND, runs=("r2",), wanted=("connection",), collected=KINDS)
    batcher.add([], until_us=2 * SECOND)
    (batch,) = batcher.cut([])
    assert len(batch) == 0


def test_events_are_put_into_the_order_of_time() -> None:
    batcher = _batcher()
    batcher.add([_event(5), _event(3), _event(4)], until_us=10)
    (batch,) = batcher.cut([])
    assert list(batch.tables["connection"].ts_us) == [3, 4, 5]


def test_age_of_the_first_event_asks_for_a_cut() -> None:
    batcher = _batcher()
    batcher.add([_event(SECOND)], until_us=3 * SECOND - 1)
    assert not batcher.is_due
    assert batcher.due_us == 3 * SECOND
    batcher.add([], until_us=3 * SECOND)
    assert batcher.is_due


def test_event_beyond_the_interval_gets_no_older_than_others() -> None:
    batcher = _batcher()
    batcher.add([_event(SECOND + 1)], until_us=SECOND)
    assert batcher.due_us == 3 * SECOND + 1
    batcher.add([], until_us=batcher.due_us)
    assert batcher.is_due
    (batch,) = batcher.cut([])
    assert len(batch) == 1


def test_idle_time_asks_for_a_cut_later() -> None:
    batcher = _batcher()
    batcher.add([], until_us=10 * SECOND - 1)
    assert not batcher.is_due
    batcher.add([_event(10 * SECOND - 1)], until_us=10 * SECOND)
    assert batcher.is_due


def test_size_asks_for_a_cut() -> None:
    batcher = _batcher(max_events=2)
    batcher.add([_event(1)], until_us=5)
    assert not batcher.is_due
    batcher.add([_event(6)], until_us=7)
    assert batcher.is_due


def test_more_events_than_fit_make_several_batches_without_a_hole() -> None:
    batcher = _batcher(max_events=2)
    batcher.add([_event(ts_us) for ts_us in (1, 2, 3, 4, 5)], until_us=10)
    batches = batcher.cut([_row(lost={"enobufs": 3})])
    spans = [(batch.header.from_us, batch.header.to_us, len(batch)) for batch in batches]
    assert spans == [(0, 3, 2), (3, 5, 2), (5, 10, 1)]
    rows = [row for batch in batches for row in batch.header.coverage]
    assert [(row.from_us, row.to_us) for row in rows] == [(0, 3), (3, 5), (5, 10)]
    # Nobody knows when it was lost: all of it is degraded, and the count stands once.
    assert [(row.state, row.lost, row.cpu_ms) for row in rows] == [
        ("degraded", None, None),
        ("degraded", None, None),
        ("on", {"enobufs": 3}, 9),
    ]
    assert [row.rss_bytes for row in rows] == [7, 7, 7]


def test_more_events_of_one_moment_than_fit_come_before_it_is_covered() -> None:
    batcher = _batcher(max_events=2)
    batcher.add([_event(0) for _ in range(5)], until_us=10)
    batches = batcher.cut([_row()])
    spans = [(batch.header.from_us, batch.header.to_us, len(batch)) for batch in batches]
    assert spans == [(0, 0, 2), (0, 0, 2), (0, 10, 1)]
    assert [len(batch.header.coverage) for batch in batches] == [0, 0, 1]


def test_other_runs_get_a_batch_of_their_own() -> None:
    batcher = _batcher()
    batcher.add([_event(1), _event(SECOND)], until_us=SECOND)
    with pytest.raises(ValueError, match="cut first"):
        batcher.switch(runs=("r2",), wanted=("connection",), collected=KINDS)
    (first,) = batcher.cut([])
    batcher.switch(runs=("r2",), wanted=("connection",), collected=KINDS)
    batcher.add([], until_us=2 * SECOND)
    (second,) = batcher.cut([])
    assert (first.header.runs, second.header.runs) == (("r1",), ("r2",))
    assert second.header.from_us == first.header.to_us
    assert len(second) == 1


def test_kind_that_nobody_wants_is_left_out() -> None:
    batcher = _batcher()
    batcher.switch(runs=("r1",), wanted=("listener",), collected=KINDS)
    batcher.add([_event(1), _event(2, kind="listener")], until_us=10)
    (batch,) = batcher.cut([_row(), _row(kinds=("connection", "listener"))])
    assert sorted(batch.tables) == ["listener"]
    assert [row.kinds for row in batch.header.coverage] == [("listener",)]


def test_event_that_its_kind_does_not_allow_is_counted_as_lost() -> None:
    batcher = _batcher()
    batcher.add([_event(1, port=-1), _event(2), _event(3, port="https")], until_us=10)
    (batch,) = batcher.cut([])
    assert list(batch.tables["connection"].ts_us) == [2]
    assert batch.header.losses == (Loss("malformed", 2, 0, 10),)
    batcher.add([], until_us=20)
    (batch,) = batcher.cut([])
    assert batch.header.losses == ()


def test_clock_that_steps_back_makes_no_overlap() -> None:
    batcher = _batcher()
    batcher.add([], until_us=SECOND)
    batcher.cut([])
    batcher.add([], until_us=SECOND // 2)
    assert batcher.cut([]) == []
    assert batcher.to_us == SECOND


def test_header_names_the_kinds_that_are_wanted_and_collected() -> None:
    batcher = _batcher()
    batcher.switch(runs=("r1",), wanted=("connection", "aws_call"), collected=KINDS)
    batcher.add([], until_us=10)
    (batch,) = batcher.cut([_row(kinds=("aws_call",), state="off")])
    assert batch.header.kinds == ("connection",)
    assert [row.kinds for row in batch.header.coverage] == [("aws_call",)]  # says why


def test_forced_cut_makes_a_batch_of_nothing() -> None:
    batcher = _batcher()
    batcher.add([], until_us=10)
    batcher.cut([])
    (batch,) = batcher.cut([], is_forced=True)
    assert (batch.header.from_us, batch.header.to_us, len(batch)) == (10, 10, 0)


def test_what_was_found_before_the_span_began_is_dated_to_its_beginning() -> None:
    batcher = _batcher()
    batcher.begin(from_us=SECOND, runs=("r1",), wanted=KINDS, collected=KINDS)
    batcher.add([_event(SECOND - 7), _event(SECOND + 1)], until_us=2 * SECOND)
    (batch,) = batcher.cut([])
    assert list(batch.tables["connection"].ts_us) == [SECOND, SECOND + 1]
