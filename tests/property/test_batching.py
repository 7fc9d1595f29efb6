"""Batching covers time without hole or overlap and loses no event, for any drains."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.batching import Batcher, Limits
from rules.telemetry.batch import Batch, Coverage, Event

KINDS = ("connection", "listener")

# A drain: how far time moves, whether a cut is asked for, and events as (share of the time, kind).
# A share above 1 is an event that came while the drain was under way.
_EVENTS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(KINDS)), max_size=12)
_DRAINS = st.lists(st.tuples(st.integers(0, 40), st.booleans(), _EVENTS), max_size=12)


def _collect(
    drains: list[tuple[int, bool, list[tuple[int, str]]]],
) -> tuple[list[Batch], Counter[tuple[str, int]], int]:
    batcher = Batcher(agent_id="h-1", boot_id="b", limits=Limits(max_events=3, idle_age_s=1e-4))
    batcher.begin(from_us=1_000, runs=("r",), wanted=KINDS, collected=KINDS)
    batches: list[Batch] = []
    made: Counter[tuple[str, int]] = Counter()
    time_us = 1_000
    for step_us, is_cut, events in [*drains, (20, True, [])]:
        times = [(kind, time_us + share * max(step_us, 1) // 10) for share, kind in events]
        made.update(times)
        time_us += step_us
        batcher.add([Event(kind, ts_us, None, {}) for kind, ts_us in times], until_us=time_us)
        if is_cut or batcher.is_due:
            batches += batcher.cut([Coverage("s", KINDS, batcher.from_us, batcher.to_us, "on")])
    return batches, made, time_us


@given(_DRAINS)
def test_intervals_follow_each_other(
    drains: list[tuple[int, bool, list[tuple[int, str]]]],
) -> None:
    batches, _, end_us = _collect(drains)
    headers = [batch.header for batch in batches]
    assert headers[0].from_us == 1_000
    assert headers[-1].to_us == end_us
    assert all(left.to_us == right.from_us for left, right in pairwise(headers))
    assert all(header.from_us <= header.to_us for header in headers)
    assert [header.sequence for header in headers] == list(range(1, len(headers) + 1))
    for header in headers:
        rows = [(row.from_us, row.to_us) for row in header.coverage]
        assert rows == [(header.from_us, header.to_us)] * (header.from_us < header.to_us)


@given(_DRAINS)
def test_every_event_is_in_one_batch_and_none_is_late(
    drains: list[tuple[int, bool, list[tuple[int, str]]]],
) -> None:
    batches, made, _ = _collect(drains)
    sent: Counter[tuple[str, int]] = Counter()
    for batch in batches:
        assert len(batch) <= 3
        for table in batch.tables.values():
            times = list(table.ts_us)
            sent.update((table.kind, ts_us) for ts_us in times)
            assert times == sorted(times)
            assert all(batch.header.from_us <= ts_us <= batch.header.to_us for ts_us in times)
    assert sent == made
