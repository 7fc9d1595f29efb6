"""Compiled code and the strict reader read the same out of every file, bad ones included."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.recording import parse_recorded
from rules.errors import RecordingError
from rules.telemetry.batch import Batch
from rules.telemetry.derive import derive
from rules.telemetry.kinds import INT64_MAX, INT64_MIN
from rules.telemetry.ndjson import canonical, encode_coverage, encode_row
from rules.telemetry.recording import parse_recording
from tests.strategies import batches, coverage_rows, ids

pytestmark = pytest.mark.timeout(120)  # the first example compiles

AGENTS = st.sampled_from(["i-1", "i-2", "ü"])
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\t:  ")])
ODD_VALUES: st.SearchStrategy[object] = st.sampled_from(
    [
        None,
        True,
        "",
        "x",
        "tcp",
        "opened",
        0,
        -1,
        7,
        65535,
        65536,
        1.5,
        1000.0,
        [],
        {},
        {"a": 1},
        INT64_MIN,
        INT64_MAX,
        INT64_MAX + 1,
        10**17,
        10**18,
        10**19,
        10**30,
        "::FFFF:10.0.0.1",
        "\\",
        '"',
        "\n",
        "\x00",
        "\x7f",
        "é",
        "\ud7ff",
        "\U0010ffff",
        "A" * 40,
        'a":"b',
    ]
)
ODD_NAMES = st.sampled_from(
    [
        "telemetry",
        "ts_us",
        "agent_id",
        "state",
        "local_scope",
        "remote_scope",
        "cert_remaining_s",
        "remote_address",
        "local_port",
        "pid",
        "user",
        "name",
        "nothing",
        "imds_version",
        "nx",
        "",
    ]
)
ODD_LINES = st.sampled_from(
    [
        b"",
        b" ",
        b"\t\r",
        b"{}",
        b"[]",
        b"null",
        b"{",
        b'{"a"',
        b"\xef\xbb\xbf",
        b"\xff",
        b"\x0b",
        b'{"telemetry":"process","ts_us":1,"agent_id":"i-1"}x',
        b'{"telemetry":"process","ts_us":1}',
        b'{"telemetry":"process","ts_us":-0}',
        b'{"telemetry":"process","ts_us":01}',
        b'{"telemetry":"process","ts_us":1,}',
        b'{"telemetry":"process" "ts_us":1}',
        b'{"telemetry":"\\u0070rocess","ts_us":1}',
        b'{"telemetry":"process","ts_us":1e0}',
        b'{"telemetry":"process","ts_us":1,"ts_us":1}',
        b'{"ts_us":1,"telemetry":"process" } \r',
        b'{"telemetry":"process","ts_us":1,"arguments":"\xc3("}',
        b'{"telemetry":"process","ts_us":1,"arguments":"\xed\xa0\x80"}',
        b'{"telemetry":"process","ts_us":1,"arguments":"\xf4\x90\x80\x80"}',
        b'{"telemetry":"process","ts_us":1,"arguments":"\xc0\xaf \xe0\x80\xaf"}',
    ]
)


@st.composite
def lines_of_batch(draw: st.DrawFn) -> list[bytes]:
    """Draw the rows of a batch as lines: canonical, or as others write JSON, or changed."""
    batch: Batch = draw(batches())
    lines = []
    for row in batch.rows():
        fields = dict(row)
        agent_id = draw(AGENTS | st.none())
        if agent_id is None:
            del fields["agent_id"]
        else:
            fields["agent_id"] = agent_id
        how = draw(st.sampled_from(["canonical", "derived", "foreign", "changed"]))
        if how == "canonical":
            lines.append(canonical(fields))
            continue
        if how == "derived":
            lines.append(encode_row(derive(fields | {"agent_id": "i-1"})))
            continue
        if how == "changed":
            fields[draw(ODD_NAMES)] = draw(ODD_VALUES)
        lines.append(foreign(draw, fields))
    return lines


def foreign(draw: st.DrawFn, fields: dict[str, Any]) -> bytes:
    """Return fields as another program may write them: keys in any order, spaces, escapes."""
    order = draw(st.permutations(sorted(fields)))
    text = json.dumps(
        {name: fields[name] for name in order},
        separators=draw(SEPARATORS),
        ensure_ascii=draw(st.booleans()),
    )
    return text.encode("utf-8", "surrogatepass")


@st.composite
def mutated(draw: st.DrawFn, lines: list[bytes]) -> list[bytes]:
    """Change single bytes of some lines."""
    changed = []
    for line in lines:
        if line and draw(st.integers(0, 3)) == 0:
            at = draw(st.integers(0, len(line) - 1))
            new = draw(
                st.binary(max_size=2) | st.sampled_from([b'"', b"\\", b"{", b"}", b",", b"0"])
            )
            changed.append(line[:at] + new.replace(b"\n", b"") + line[at + 1 :])
        else:
            changed.append(line)
    return changed


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw the bytes of a recording."""
    lines = draw(lines_of_batch())
    if draw(st.booleans()):
        lines = draw(mutated(lines))
    lines += draw(st.lists(ODD_LINES, max_size=3))
    others = [
        encode_coverage(draw(ids), row) for row in draw(st.lists(coverage_rows(), max_size=1))
    ]
    for agent_id in draw(st.lists(AGENTS, max_size=2)):
        header = {"telemetry": "capture", "format": 1, "agent_id": agent_id, "kinds": []}
        others.append(canonical(header | {"from_us": 0, "to_us": draw(st.integers(-1, 9))}))
    lines = draw(st.permutations([*lines, *others]))
    end = draw(st.sampled_from([b"\n", b"", b"\r\n"]))
    return b"\n".join(lines) + end


def strictly(data: bytes, *, lenient: bool) -> object:
    """Return what the strict reader reads."""
    try:
        read = parse_recording(io.BytesIO(data), lenient=lenient)
    except RecordingError as error:
        return (error.problems, error.total)
    rows = sorted(map(encode_row, read.rows))
    return rows, read.headers, sorted(map(repr, read.coverage)), read.skipped


def in_columns(data: bytes, *, lenient: bool, fast: bool) -> object:
    """Return the same of what the reader into columns reads."""
    try:
        read = parse_recorded(io.BytesIO(data), lenient=lenient, fast=fast)
    except RecordingError as error:
        return (error.problems, error.total)
    rows = []
    for table in read.tables:
        texts = read.dictionary.texts
        for row, agent in zip(table.columns.rows(""), table.agents.tolist(), strict=True):
            rows.append(encode_row(row | {"agent_id": texts[agent]}))
    return sorted(rows), read.headers, sorted(map(repr, read.coverage)), read.skipped


@given(files(), st.booleans())
def test_every_way_reads_the_same(data: bytes, lenient: bool) -> None:  # noqa: FBT001
    expected = strictly(data, lenient=lenient)
    assert in_columns(data, lenient=lenient, fast=False) == expected
    assert in_columns(data, lenient=lenient, fast=True) == expected
