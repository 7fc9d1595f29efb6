"""A batch holds the same rows whether its events were added one at a time or many at once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.telemetry import BatchBuilder, Event, Header
from rules.telemetry.batch_builder import REFUSALS
from tests.strategies import events

_ODD = st.sampled_from([None, -1, 2**70, 1.5, "", "DEAD", "\udcff", b"x", ["a"], True])
_HEADER = Header(
    agent_id="h-1", boot_id="b", stream="main", sequence=1, from_us=0, to_us=1, runs=(), kinds=()
)


@st.composite
def _any_events(draw: st.DrawFn) -> Event:
    """Draw an event, some of whose values may be none that its kind allows."""
    event = draw(events)
    odd = draw(st.dictionaries(st.sampled_from(sorted(event.values) or ["state"]), _ODD))
    values: dict[str, Any] = event.values | odd
    return event._replace(values=values)


def _add_each(events: list[Event]) -> tuple[BatchBuilder, list[Event]]:
    builder, taken = BatchBuilder(), []
    for event in events:
        try:
            builder.add(event)
        except REFUSALS:
            continue
        taken.append(event)
    return builder, taken


@given(st.lists(st.lists(_any_events(), max_size=6), max_size=4))
def test_many_at_once_make_the_same_rows_as_one_at_a_time(chunks: list[list[Event]]) -> None:
    builder = BatchBuilder()
    one_by_one, taken = _add_each([event for chunk in chunks for event in chunk])
    for chunk in chunks:
        is_taken = builder.extend(chunk)
        assert is_taken == (len(_add_each(chunk)[1]) == len(chunk))
        if not is_taken:
            for event in _add_each(chunk)[1]:
                builder.add(event)
    assert len(builder) == len(one_by_one) == len(taken)
    batch, other = builder.build(_HEADER), one_by_one.build(_HEADER)
    assert sorted(map(repr, batch.rows())) == sorted(map(repr, other.rows()))
    assert set(batch.strings) <= set(other.strings)
