"""Rows, headers and coverage rows come back from text as they went in; other text is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import EventError
from rules.telemetry import Batch, Coverage
from rules.telemetry.ndjson import (
    Capture,
    decode_line,
    decode_tagged,
    encode_capture,
    encode_coverage,
    encode_row,
)
from rules.telemetry.recording import parse_recording
from tests.strategies import batches, coverage_rows, kind_names, ordered_pairs, texts


@given(batches())
def test_rows_come_back_from_their_line(batch: Batch) -> None:
    for row in batch.rows():
        line = encode_row(row)
        assert decode_tagged(line) == (batch.header.agent_id, row)
        assert encode_row(json.loads(line)) == line


@given(texts, coverage_rows())
def test_coverage_rows_come_back_from_their_line(agent_id: str, row: Coverage) -> None:
    stated, again = decode_tagged(encode_coverage(agent_id, row))
    assert stated == agent_id
    assert isinstance(again, Coverage)
    assert encode_coverage(agent_id, again) == encode_coverage(agent_id, row)
    assert again.lost == (row.lost or {})


@given(texts, ordered_pairs, st.sets(kind_names))
def test_headers_come_back_from_their_line(agent_id: str, span: list[int], kinds: set[str]) -> None:
    header = Capture(agent_id, span[0], span[1], tuple(sorted(kinds)))
    assert decode_line(encode_capture(header)) == header


@given(batches(), st.sampled_from([b"\n", b"\r\n", b"\n\n"]))
def test_a_recording_holds_every_row_of_its_lines(batch: Batch, end: bytes) -> None:
    rows = list(batch.rows())
    text = b"".join(encode_row(row) + end for row in rows)
    recording = parse_recording(text.splitlines(keepends=True))
    assert len(recording.rows) == len(rows)
    for before, after in zip(rows, recording.rows, strict=True):
        assert before.items() <= after.items()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(["telemetry", "ts_us", "agent_id", "format", "kinds", "lost", "state"])
        | st.text(max_size=6),
        _json | st.sampled_from(["capture", "coverage", "connection"]),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_other_text_is_refused(line: bytes) -> None:
    with pytest.raises(EventError):
        decode_line(line)
