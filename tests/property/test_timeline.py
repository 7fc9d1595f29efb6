"""However batches arrive and whenever slices are cut, rows and ledger are the same.

Two things must be so. Of a boot before a restart, something arrives first: otherwise nobody can
know that there is anything to wait for. No row lies beyond the interval of its batch, unless at
its very end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from analyzer.timeline.timeline import Timeline
from rules.telemetry.batch import Batch, Loss
from rules.telemetry.clock import ManualClock
from rules.telemetry.ndjson import encode_row
from tests.telemetry_batches import batch, connection, watching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.telemetry.ledger import Ledger

RUN_FROM_US, RUN_TO_US = 100, 400
STATES = st.sampled_from(["on", "degraded", "off"])
LOST = st.sampled_from([None, {"enobufs": 0}, {"enobufs": 2}, {"enobufs": 1, "queue": 3}])
KINDS = st.sampled_from([(), ("connection",), ("listener",), ("connection", "listener")])


class Span(NamedTuple):
    """What one batch says."""

    length_us: int
    rows: list[tuple[int, int]]
    """Moment after the start of the interval, and port."""
    kinds: tuple[str, ...]
    state: str
    lost: dict[str, int] | None
    malformed: int
    dropped: bool
    """Whether the spool dropped it; then the next batch says so."""


ROWS = st.lists(st.tuples(st.integers(-3, 65), st.integers(20, 25)), max_size=4)
MALFORMED = st.sampled_from([0, 0, 0, 2])
DROPPED = st.sampled_from([False, False, False, True])
SPANS = st.builds(Span, st.integers(0, 60), ROWS, KINDS, STATES, LOST, MALFORMED, DROPPED)
BOOTS = st.lists(SPANS, min_size=1, max_size=6)


def sent_by(agent_id: str, boot_id: str, start_us: int, spans: list[Span]) -> list[Batch]:
    """Return the batches of one boot: their intervals follow each other."""
    batches = []
    losses: list[Loss] = []
    for sequence, span in enumerate(spans, start=1):
        covered = (start_us, start_us + span.length_us)
        start_us = covered[1]
        if span.dropped:
            losses.append(Loss("spool_full", 5, *covered))
            continue
        if span.malformed:
            losses.append(Loss("malformed", span.malformed, *covered))
        batches.append(
            batch(
                sequence,
                covered,
                [
                    connection(min(covered[0] + after, covered[1]), remote_port=port)
                    for after, port in span.rows
                ],
                agent_id=agent_id,
                boot_id=boot_id,
                losses=tuple(losses),
                coverage=(watching(*covered, kinds=span.kinds, state=span.state, lost=span.lost),),
            )
        )
        losses.clear()
    return batches


@st.composite
def telemetry(draw: st.DrawFn) -> list[Batch]:
    """Return what two hosts send; the first may restart in between."""
    first = sent_by("i-1", "b0", draw(st.integers(80, 120)), draw(BOOTS))
    restarted_us = 500 + draw(st.integers(1, 20))
    if first:
        restarted_us = first[-1].header.to_us + draw(st.integers(1, 20))
    again = sent_by("i-1", "b1", restarted_us, draw(st.just([]) | BOOTS))
    other = sent_by("i-2", "b0", 90, draw(st.just([]) | BOOTS))
    return first + again + other


def run(batches: Sequence[Batch], cuts: set[int]) -> tuple[dict[str, list[Any]], Ledger]:
    """Return all rows by host, sorted, and the ledger; slices are cut after those in ``cuts``."""
    clock = ManualClock()
    timeline = Timeline(run_from_us=RUN_FROM_US, run_to_us=RUN_TO_US, clock=clock)
    pieces = []
    for index, item in enumerate(batches):
        timeline.add(item)
        if index in cuts:
            pieces += timeline.seal()
    clock.time_us = RUN_TO_US + timeline.grace_us
    assert timeline.is_complete()
    pieces += timeline.seal()
    rows: dict[str, list[Any]] = {agent_id: [] for agent_id in timeline.agents}
    sealed_us = dict.fromkeys(timeline.agents, RUN_FROM_US)
    for piece in pieces:
        assert piece.from_us == sealed_us[piece.agent_id]
        assert all(piece.from_us <= row["ts_us"] < piece.to_us for row in piece.rows())
        sealed_us[piece.agent_id] = piece.to_us
        for table in piece.tables.values():
            assert sorted(table.ts_us) == list(table.ts_us)
        rows[piece.agent_id] += map(encode_row, piece.rows())
    assert set(sealed_us.values()) <= {RUN_TO_US}
    return {agent_id: sorted(own) for agent_id, own in rows.items()}, timeline.ledger


def statements(ledger: Ledger) -> list[Any]:
    """Return everything that a ledger can be asked."""
    return [
        (
            agent_id,
            kind,
            ledger.lost(agent_id),
            ledger.collected(agent_id, kind),
            [ledger.watched(agent_id, kind, absence=absence) for absence in (False, True)],
            ledger.off_reasons(agent_id, kind),
        )
        for agent_id in ledger.agents
        for kind in ("connection", "listener", "tls_session")
    ]


@given(st.data())
def test_order_of_arrival_and_cuts_do_not_matter(data: st.DataObject) -> None:
    batches = data.draw(telemetry())
    rows, ledger = run(batches, cuts=set())
    duplicates = [item for item in batches if data.draw(st.booleans())]
    arrival = [*batches[:1], *data.draw(st.permutations(batches[1:] + duplicates))]
    cuts = {index for index in range(len(arrival)) if data.draw(st.booleans())}
    other_rows, other_ledger = run(arrival, cuts)
    assert other_rows == rows
    assert statements(other_ledger) == statements(ledger)


@given(telemetry())
def test_every_row_is_sealed_or_late_or_outside(batches: list[Batch]) -> None:
    rows, ledger = run(batches, cuts=set())
    inside = [
        row for item in batches for row in item.rows() if RUN_FROM_US <= row["ts_us"] < RUN_TO_US
    ]
    late = sum(ledger.lost(agent_id).get("late", 0) for agent_id in ledger.agents)
    assert sum(map(len, rows.values())) + late == len(inside)
