"""The digest of events: the same lines have the same digest, whatever way they came."""

import hashlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.canonical.digests import EventsDigest
from analyzer.canonical.lines import ordered_lines
from analyzer.canonical.rendering import Renderer
from analyzer.telemetry.columns import row_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.many_hosts import HostRows, host_slices, of_piece, windows
from rules.telemetry.batch import Batch, Row
from rules.telemetry.derive import derive
from rules.telemetry.ndjson import encode_row
from tests.strategies import batches

pytestmark = pytest.mark.timeout(120)  # the first example compiles

AGENTS = ("i-1", "i-2", "i-10")
LINES = st.lists(st.binary(max_size=5), max_size=5)
FEW = st.integers(1, 5)


def few_moments(batch: Batch) -> list[Row]:
    """Return the rows of a batch, now of a few hosts and moments, so that many share one."""
    return [
        derive(row | {"ts_us": row["ts_us"] % 5, "agent_id": AGENTS[row["ts_us"] % 3]})
        for row in batch.rows()
    ]


def tables(rows: list[Row]) -> list[HostRows]:
    dictionary = Dictionary()
    by_kind = {
        row["telemetry"]: [own for own in rows if own["telemetry"] == row["telemetry"]]
        for row in rows
    }
    return [
        HostRows(
            row_columns(own, dictionary)[kind],
            dictionary.text_ids([row["agent_id"] for row in own])[1:],
        )
        for kind, own in by_kind.items()
    ]


ROWS = batches().map(few_moments)


@given(ROWS, LINES, FEW, st.randoms())
def test_digest_is_that_of_the_lines_in_order(
    rows: list[Row], others: list[bytes], window_rows: int, random: Random
) -> None:
    lines = [line for _, line in sorted((row["ts_us"], encode_row(row)) for row in rows)]
    ends = sorted(line + b"\n" for line in others)
    expected = b"".join([*(line + b"\n" for line in lines), *ends])
    random.shuffle(rows)
    random.shuffle(others)
    with EventsDigest(window_rows=window_rows) as digest:
        digest.add_others(others)
        digest.add_events(tables(rows))
        assert digest.hexdigest() == hashlib.sha256(expected).hexdigest()


@given(ROWS)
def test_compiled_code_makes_the_same_lines(rows: list[Row]) -> None:
    own = tables(rows)
    if own:
        renderer = Renderer(own[0].columns.dictionary)
        for some in (own, own[:1], own):
            assert bytes(renderer.ordered_lines(some)) == ordered_lines(some)


@given(ROWS, FEW)
def test_windows_and_slices_hold_every_row_once(rows: list[Row], size: int) -> None:
    lines = sorted(map(encode_row, rows))
    before_us = -1
    seen = []
    for window in windows(tables(rows), rows=size):
        times = [ts_us for table in window for ts_us in table.columns.ts_us.tolist()]
        assert min(times) > before_us
        assert len(times) <= size or len(set(times)) == 1
        before_us = max(times)
        for table in window:
            texts = table.columns.dictionary.texts
            for row, agent in zip(table.columns.rows(""), table.agents.tolist(), strict=True):
                seen.append(encode_row(row | {"agent_id": texts[agent]}))
    assert sorted(seen) == lines
    pieces = list(host_slices(tables(rows), from_us=0, to_us=5, rows=size))
    assert sorted(encode_row(row) for piece in pieces for row in piece.rows()) == lines
    for piece in pieces:
        for columns in piece.tables.values():
            assert piece.from_us <= columns.ts_us[0] <= columns.ts_us[-1] < piece.to_us
    by_host = {
        piece.agent_id: [own for own in pieces if own.agent_id == piece.agent_id]
        for piece in pieces
    }
    for own in by_host.values():
        assert [own[0].from_us, *(piece.to_us for piece in own)] == [
            *(piece.from_us for piece in own),
            5,
        ]


@given(ROWS)
def test_one_host_gives_the_same_digest_piece_by_piece(rows: list[Row]) -> None:
    rows = [row | {"agent_id": "i-1"} for row in rows]
    with EventsDigest() as whole, EventsDigest() as pieces:
        whole.add_events(tables(rows))
        for piece in host_slices(tables(rows), from_us=0, to_us=5, rows=2):
            pieces.add_events(of_piece(piece))
        assert pieces.hexdigest() == whole.hexdigest()
