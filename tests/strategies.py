"""Hypothesis strategies of the telemetry vocabulary: events, headers, batches of every kind."""

from typing import Any

from hypothesis import strategies as st

from rules.telemetry import Batch, BatchBuilder, Column, ColumnType, Event, Kind, Process
from rules.telemetry.batch import Coverage, Header, Loss
from rules.telemetry.kinds import INT64_MAX, INT64_MIN, KINDS, PORT_MAX, SENSOR_STATES

int64s = st.one_of(st.integers(INT64_MIN, INT64_MAX), st.integers(-300, 70_000))
counts = st.integers(0, INT64_MAX)
texts = st.text(max_size=12)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
kind_names = st.sampled_from(sorted(KINDS))
addresses = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map(lambda address: f"::ffff:{address}"),
    texts,
)


def values_of(column: Column) -> st.SearchStrategy[Any]:
    """Return every value, null left out, that a column may hold."""
    if column.type is ColumnType.CODE:
        return st.sampled_from(column.closed)
    if column.type is ColumnType.INTEGER:
        return st.sampled_from(column.numbers) if column.numbers else int64s
    if column.type is ColumnType.PORT:
        return st.integers(0, PORT_MAX)
    if column.type is ColumnType.BOOLEAN:
        return st.booleans()
    return addresses if column.type is ColumnType.ADDRESS else texts


processes = st.builds(
    Process,
    pid=st.none() | int64s,
    start_us=st.none() | int64s,
    name=st.none() | texts,
    path=st.none() | texts,
    parent_pid=st.none() | int64s,
    uid=st.none() | int64s,
    user=st.none() | texts,
    container_id=st.none() | texts,
)


def events_of(kind: Kind) -> st.SearchStrategy[Event]:
    """Return events of one kind with any of its columns null."""
    values = st.fixed_dictionaries(
        {}, optional={column.name: values_of(column) for column in kind.sent}
    )
    return st.builds(
        Event, kind=st.just(kind.name), ts_us=int64s, process=st.none() | processes, values=values
    )


events = st.one_of([events_of(kind) for kind in KINDS.values()])
ordered_pairs = st.tuples(int64s, int64s).map(sorted)


@st.composite
def coverage_rows(draw: st.DrawFn) -> Coverage:
    """Draw one coverage row."""
    from_us, to_us = draw(ordered_pairs)
    return Coverage(
        sensor=draw(names),
        kinds=tuple(draw(st.lists(kind_names, unique=True))),
        from_us=from_us,
        to_us=to_us,
        state=draw(st.sampled_from(SENSOR_STATES)),
        method=draw(texts),
        sampled_one_in=draw(st.integers(1, 1_000)),
        lost=draw(st.none() | st.dictionaries(names, counts, max_size=3)),
        cpu_ms=draw(st.none() | counts),
        rss_bytes=draw(st.none() | counts),
    )


@st.composite
def losses(draw: st.DrawFn) -> Loss:
    """Draw one statement of loss."""
    from_us, to_us = draw(ordered_pairs)
    return Loss(draw(names), draw(counts), from_us, to_us)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """Draw a header that makes sense."""
    from_us, to_us = draw(ordered_pairs)
    return Header(
        agent_id=draw(ids),
        boot_id=draw(ids),
        stream=draw(ids),
        sequence=draw(st.integers(1, INT64_MAX)),
        from_us=from_us,
        to_us=to_us,
        runs=tuple(draw(st.lists(names, max_size=3))),
        kinds=tuple(draw(st.lists(kind_names, unique=True))),
        losses=tuple(draw(st.lists(losses(), max_size=2))),
        coverage=tuple(draw(st.lists(coverage_rows(), max_size=2))),
    )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Draw a batch with events of several kinds, or of none."""
    builder = BatchBuilder()
    for event in draw(st.lists(events, max_size=12)):
        builder.add(event)
    return builder.build(draw(headers()))
