from hypothesis import given
from hypothesis import strategies as st

from analyzer.ingest.segments import SegmentRecord
from analyzer.replay.index import IndexDraft, LogIndex
from rules.telemetry.records import Position

TO_US = 1_000


def record(agent_id: str, from_us: int) -> SegmentRecord:
    return SegmentRecord(
        agent_id=agent_id,
        boot_id="b0",
        stream="main",
        sequence=1,
        received_us=0,
        payload=b"",
        from_us=from_us,
    )


def index_of(batches: list[tuple[str, int]]) -> LogIndex:
    draft = IndexDraft()
    for number, (agent_id, from_us) in enumerate(batches):
        draft.add(Position(number // 3, number * 10), record(agent_id, from_us))
    return draft.index()


def test_batches_of_some_hosts_keep_their_order() -> None:
    index = index_of([("i-b", 5), ("i-a", 4), ("i-c", 3), ("i-b", 2)])
    assert list(index.positions()) == [(0, 0), (0, 10), (0, 20), (1, 30)]
    own = index.of(["i-b", "i-c", "i-unknown"])
    assert list(own.positions()) == [(0, 0), (0, 20), (1, 30)]
    assert all(isinstance(number, int) for place in own.positions() for number in place)
    assert own.from_us.tolist() == [5, 3, 2]
    assert len(index.of([])) == 0


def test_log_without_batches_has_an_index() -> None:
    index = index_of([])
    assert list(index.of(["i-a"]).positions()) == []
    assert index.complete_until(TO_US).tolist() == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99))))
def test_host_is_complete_until_the_earliest_interval_to_come(
    batches: list[tuple[str, int]],
) -> None:
    expected = [
        min([later for other, later in batches[number + 1 :] if other == agent_id] + [TO_US])
        for number, (agent_id, _) in enumerate(batches)
    ]
    assert index_of(batches).complete_until(TO_US).tolist() == expected
