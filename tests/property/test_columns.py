"""Columns hold what rows hold."""

from __future__ import annotations

from hypothesis import given

from analyzer.telemetry.columns import batch_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Slice, joined
from rules.telemetry import Batch
from rules.telemetry.derive import derive
from rules.telemetry.ndjson import encode_row
from tests.strategies import batches


def _lines(batch: Batch) -> list[bytes]:
    return sorted(encode_row(derive(row)) for row in batch.rows())


@given(batches())
def test_columns_of_a_batch_are_its_rows_with_derived_columns(batch: Batch) -> None:
    agent_id = batch.header.agent_id
    piece = Slice(agent_id, 0, 1, batch_columns(batch, Dictionary()))
    assert sorted(map(encode_row, piece.rows())) == _lines(batch)
    assert len(piece) == len(batch)


@given(batches(), batches())
def test_joined_parts_are_all_rows_by_time(one: Batch, other: Batch) -> None:
    dictionary = Dictionary()
    parts = [batch_columns(batch, dictionary) for batch in (one, other)]
    for kind in {kind for part in parts for kind in part}:
        own = [part[kind] for part in parts if kind in part]
        whole = joined(own)
        assert whole.ts_us.tolist() == sorted(t for part in own for t in part.ts_us.tolist())
        rows = sorted(map(encode_row, whole.rows("i-1")))
        assert rows == sorted(encode_row(row) for part in own for row in part.rows("i-1"))
