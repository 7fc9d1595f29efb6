from rules.outcome import Counted, Group, capped, first_and_last, group_of, make_group
from rules.telemetry.batch import Row


def row(ts_us: int, name: str | None = "a") -> Row:
    return {"telemetry": "connection", "ts_us": ts_us, "agent_id": "i-1", "process_name": name}


def test_group_counts_rows_and_takes_their_times() -> None:
    group = make_group({"process_name": "a"}, [row(5), row(2), row(9)])

    assert (group.count, group.first_seen_us, group.last_seen_us, group.and_more) == (3, 2, 9, 0)
    assert [shown["ts_us"] for shown in group.evidence] == [2, 5, 9]
    assert not group.is_closing


def test_evidence_is_the_first_ten_and_the_last_ten() -> None:
    group = make_group({}, [row(time) for time in reversed(range(30))])

    assert [shown["ts_us"] for shown in group.evidence] == [*range(10), *range(20, 30)]
    assert group.and_more == 10


def test_equal_times_are_ordered_by_canonical_json() -> None:
    rows = [row(1, name) for name in "cab"]

    assert [shown["process_name"] for shown in first_and_last(rows)] == ["a", "b", "c"]


def test_equal_times_are_ordered_where_evidence_is_cut() -> None:
    names = [f"{number:02}" for number in range(40)]
    rows = [row(7, name) for name in reversed(names)]

    shown = [str(evidence["process_name"]) for evidence in first_and_last(rows)]

    assert shown == names[:10] + names[-10:]


def test_null_columns_are_left_out_of_evidence() -> None:
    assert first_and_last([row(1, None)]) == (
        {"telemetry": "connection", "ts_us": 1, "agent_id": "i-1"},
    )


def test_rows_of_evidence_may_be_others_than_those_that_count() -> None:
    group = make_group({}, [row(5)], shown=[row(1), row(5)])

    assert (group.count, group.first_seen_us, len(group.evidence)) == (1, 5, 2)


def test_group_says_when_its_rows_came_and_what_decided() -> None:
    whole = make_group({}, [row(70_000_000), row(5), row(9)])
    decided = make_group({}, [row(5), row(9)], window=(-1, 9), measured=2)

    assert (whole.window, whole.measured) == ((5, 70_000_000), None)
    assert whole.buckets == ((0, 2), (60_000_000, 1))
    assert (decided.window, decided.measured) == ((-1, 9), 2)


def test_group_of_numbers_equals_the_group_of_all_rows() -> None:
    rows = [row(time) for time in range(30)]
    ends = rows[:10] + rows[-10:]

    group = group_of({}, Counted(30, 0, 29, {0: 30}), ends, shown_count=30, measured=30)

    assert group == make_group({}, rows, measured=30)


def groups(*times: int) -> list[Group]:
    return [make_group({"process_name": str(time)}, [row(time)]) for time in times]


def test_groups_are_ordered_by_first_time_and_key() -> None:
    both = [make_group({"process_name": name}, [row(1)]) for name in ("b", None, "a")]

    assert [group.key["process_name"] for group in capped([*both, *groups(0)])] == [
        "0",
        "a",
        "b",
        None,
    ]


def test_groups_above_the_cap_are_counted_in_a_closing_one() -> None:
    ordered = capped(groups(*range(7)), 5)

    assert [group.first_seen_us for group in ordered] == [0, 1, 2, 3, 4, 5]
    assert ordered[-1] == Group({}, 2, 5, 6, (), 2, (5, 6))
    assert ordered[-1].is_closing


def test_as_many_groups_as_the_cap_need_no_closing_one() -> None:
    assert len(capped(groups(*range(5)), 5)) == 5
    assert not any(group.is_closing for group in capped(groups(*range(101)), None))
    assert len(capped(groups(*range(101)))) == 101
