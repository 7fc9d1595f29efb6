import gzip
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from rules.errors import RecordingError
from rules.telemetry import Coverage
from rules.telemetry import recording as recording_module
from rules.telemetry.ndjson import Capture
from rules.telemetry.recording import (
    MAX_PROBLEMS,
    Recording,
    open_recording,
    parse_recording,
    read_recording,
)


def event(ts_us: int, **columns: Any) -> bytes:  # noqa: ANN401
    return json.dumps({"telemetry": "connection", "ts_us": ts_us} | columns).encode() + b"\n"


def header(agent_id: str = "i-1") -> bytes:
    return (
        b'{"telemetry":"capture","format":1,"agent_id":"%s","from_us":0,"to_us":9,"kinds":[]}\n'
        % agent_id.encode()
    )


def coverage(**fields: Any) -> bytes:  # noqa: ANN401
    whole = {"telemetry": "coverage", "sensor": "s", "kinds": [], "from_us": 0, "to_us": 9}
    return json.dumps(whole | {"state": "on"} | fields).encode() + b"\n"


def problems_of(lines: Iterable[bytes], **options: Any) -> list[tuple[int, str]]:  # noqa: ANN401
    with pytest.raises(RecordingError) as caught:
        parse_recording(lines, **options)
    return caught.value.problems


def times(recording: Recording) -> list[int]:
    return [row["ts_us"] for row in recording.rows]


def test_rows_get_derived_columns_and_keep_the_order_of_lines() -> None:
    recording = parse_recording(
        [
            event(9, agent_id="a", remote_address="10.0.0.1", remote_scope="public"),
            event(1, agent_id="b", remote_scope="public"),
        ]
    )
    assert times(recording) == [9, 1]
    assert [row["remote_scope"] for row in recording.rows] == ["private", "public"]
    assert recording.skipped == 0


def test_empty_lines_windows_lines_and_a_byte_order_mark_are_read() -> None:
    lines = [
        b"\xef\xbb\xbf" + event(1, agent_id="a"),
        b"\n",
        b"  \r\n",
        b"",
        event(2, agent_id="a"),
    ]
    lines[-1] = lines[-1].replace(b"\n", b"\r\n")
    assert times(parse_recording(lines)) == [1, 2]


def test_a_byte_order_mark_elsewhere_is_a_problem() -> None:
    assert problems_of([event(1, agent_id="a"), b"\xef\xbb\xbf" + event(2)])[0][0] == 2


def test_equal_rows_are_separate_events() -> None:
    assert len(parse_recording([event(1, agent_id="a")] * 3).rows) == 3


def test_an_empty_recording_is_one() -> None:
    assert parse_recording([]) == Recording()


def test_agent_may_be_left_out_where_there_is_exactly_one_header() -> None:
    """Lines, headers too, stand in any order."""
    recording = parse_recording(
        [event(1), coverage(), header(), event(2, agent_id="i-2"), coverage(agent_id="i-2")]
    )
    assert [row["agent_id"] for row in recording.rows] == ["i-1", "i-2"]
    row = Coverage("s", (), 0, 9, "on")
    assert sorted(agent_id for agent_id, _ in recording.coverage) == ["i-1", "i-2"]
    assert all(item == row for _, item in recording.coverage)
    assert recording.headers == {"i-1": Capture("i-1", 0, 9, ())}


@pytest.mark.parametrize("headers", [[], [header("i-1"), header("i-2")]])
def test_without_exactly_one_header_each_line_names_its_agent(headers: list[bytes]) -> None:
    lines = [*headers, coverage(), event(1), event(2, agent_id="i-2")]
    start = len(headers)
    problems = problems_of(lines)
    assert [number for number, _ in problems] == [start + 1, start + 2]
    assert all(text.startswith("agent_id is missing, and") for _, text in problems)
    recording = parse_recording(lines, lenient=True)
    assert times(recording) == [2]
    assert recording.coverage == []
    assert recording.skipped == 2


def test_a_second_header_of_a_host_is_a_problem() -> None:
    assert problems_of([header(), event(1), header()]) == [(3, "second header of agent 'i-1'")]


def test_at_most_twenty_problems_are_told_and_all_are_counted() -> None:
    lines = [header(), *[b"{}\n"] * 30, event(1)]
    with pytest.raises(RecordingError) as caught:
        parse_recording(lines, name="x.ndjson")
    assert [number for number, _ in caught.value.problems] == list(range(2, 2 + MAX_PROBLEMS))
    assert caught.value.total == 30
    text = str(caught.value).splitlines()
    assert text[0].startswith("x.ndjson:2: no telemetry kind")
    assert text[-1] == "x.ndjson: 10 more lines with problems"
    assert len(text) == MAX_PROBLEMS + 1


def test_lenient_skips_and_counts() -> None:
    recording = parse_recording([header(), b"{}\n", event(1), b"nonsense"], lenient=True)
    assert times(recording) == [1]
    assert recording.skipped == 2


def test_a_line_that_is_too_long_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "MAX_LINE_BYTES", 200)
    path = tmp_path / "x.ndjson"
    good = event(1, agent_id="a")
    path.write_bytes(good + event(2, process_name="x" * 900) + good + event(3, user="y" * 900)[:-1])
    with pytest.raises(RecordingError) as caught:
        read_recording(path)
    assert caught.value.problems == [(2, "longer than 200 bytes"), (4, "longer than 200 bytes")]
    assert times(read_recording(path, lenient=True)) == [1, 1]
    exact = good[:-1] + b" " * (200 - len(good)) + b"\n"
    path.write_bytes(exact + good)
    assert times(read_recording(path)) == [1, 1]


TEXT = header() + b"".join(event(number, user=f"user {number}") for number in range(2_000))


def zstd_of_unknown_size(text: bytes) -> bytes:
    packing = zstandard.ZstdCompressor().compressobj()
    return packing.compress(text) + packing.flush()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "zstd without size": zstd_of_unknown_size,
}


@pytest.mark.parametrize("form", PACKED)
def test_a_file_is_read_whatever_its_compression(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x.ndjson.any"
    path.write_bytes(PACKED[form](TEXT))
    assert times(read_recording(path)) == list(range(2_000))


@pytest.mark.parametrize("form", PACKED)
def test_an_open_recording_tells_how_far_it_is(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(PACKED[form](TEXT))
    with open_recording(path) as file:
        file.read()
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == path.stat().st_size


@pytest.mark.parametrize("form", PACKED)
def test_files_may_be_joined(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x.ndjson"
    middle = len(TEXT) // 2 + 7
    pack = PACKED[form]
    path.write_bytes(pack(TEXT[:middle]) + pack(b"") + pack(TEXT[middle:]))
    assert times(read_recording(path)) == list(range(2_000))


@pytest.mark.parametrize("form", ["gzip", "zstd", "zstd without size"])
@pytest.mark.parametrize("lenient", [False, True])
def test_a_truncated_file_is_refused(tmp_path: Path, form: str, *, lenient: bool) -> None:
    path = tmp_path / "x.ndjson.gz"
    whole = PACKED[form](TEXT)
    for size in (5, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(RecordingError, match="cannot be read on: "):
            read_recording(path, lenient=lenient)


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_a_broken_file_is_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x.ndjson.gz"
    whole = PACKED[form](TEXT)
    for broken in (
        whole[:30] + bytes([whole[30] ^ 0xFF]) + whole[31:],
        whole[: len(whole) // 2] + b"\0" * 50,
        whole + b"garbage",
    ):
        path.write_bytes(broken)
        with pytest.raises(RecordingError):
            read_recording(path)


def test_a_zstd_bomb_is_read_in_small_pieces(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstandard.ZstdCompressor(19).compress(bytes(64 * 1024 * 1024)))
    with pytest.raises(RecordingError, match="longer than"):
        read_recording(path)


def test_an_open_recording_closes_its_file(tmp_path: Path) -> None:
    for form, pack in PACKED.items():
        path = tmp_path / form
        path.write_bytes(pack(TEXT))
        with open_recording(path) as lines:
            assert lines.readline() == header()
        assert lines.closed


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_recording(tmp_path / "nothing.ndjson")
