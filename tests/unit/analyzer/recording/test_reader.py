"""Files that the property tests do not make: long lines, many blocks, broken compression."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING

import pytest
import zstandard

from analyzer.recording import Recorded, parse_recorded, read_recorded
from analyzer.recording.blocks import BLOCK_BYTES, read_blocks
from rules.errors import RecordingError
from rules.telemetry.recording import MAX_LINE_BYTES, MAX_PROBLEMS, open_recording, read_recording

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.timeout(120)  # the first one compiles

HEADER = b'{"telemetry":"capture","format":1,"agent_id":"i-1","from_us":0,"to_us":9,"kinds":[]}\n'


def started(ts_us: int, arguments: str = "") -> bytes:
    return (
        f'{{"telemetry":"process","ts_us":{ts_us},"pid":{ts_us % 99},"state":"started",'
        f'"arguments":"{arguments}"}}\n'
    ).encode()


def times(recorded: Recorded) -> list[int]:
    return [ts_us for table in recorded.tables for ts_us in table.columns.ts_us.tolist()]


def read(data: bytes, *, fast: bool | None = None, lenient: bool = False) -> Recorded:
    return parse_recorded(io.BytesIO(data), fast=fast, lenient=lenient)


def test_more_than_one_block_is_read_by_compiled_code() -> None:
    lines = [started(ts_us, "x" * 1000) for ts_us in range(2 * BLOCK_BYTES // 1000)]
    lines[5_000] = lines[5_000].replace(b"x", b"\\u0078")
    recorded = read(HEADER + b"".join(lines))
    assert sorted(times(recorded)) == list(range(len(lines)))
    assert len(recorded.dictionary.texts) == 3  # null, the arguments, the agent
    assert len(recorded.dictionary.processes) == 1 + 99


def test_many_kinds_of_text_and_process_are_made_room_for() -> None:
    lines = [
        started(ts_us, f"{ts_us:x}").replace(b'"pid":', b'"pid":1%d' % ts_us)
        for ts_us in range(20_000)
    ]
    recorded = read(HEADER + b"".join(lines), fast=True)
    (table,) = recorded.tables
    rows = list(table.columns.rows("i-1"))
    assert [row["arguments"] for row in rows] == [f"{ts_us:x}" for ts_us in range(20_000)]
    assert [row["pid"] for row in rows] == [int(f"1{t}{t % 99}") for t in range(20_000)]


@pytest.mark.parametrize("fast", [True, False])
def test_long_lines_are_told_and_skipped(fast: bool, tmp_path: Path) -> None:  # noqa: FBT001
    room = MAX_LINE_BYTES - len(started(2))
    longest, longer = started(2, "x" * room), started(3, "x" * (room + 1))
    longest_at_end = started(5, "x" * room).rstrip(b"\n")
    much_longer = started(4, "y" * (2 * BLOCK_BYTES + 7))
    data = b"".join((HEADER, longer, started(1), longest, much_longer, started(6), longest_at_end))
    recorded = read(data, fast=fast, lenient=True)
    assert sorted(times(recorded)) == [1, 2, 5, 6]
    assert recorded.skipped == 2
    path = tmp_path / "long.ndjson"
    path.write_bytes(data)
    with pytest.raises(RecordingError) as expected:
        read_recording(path)
    with pytest.raises(RecordingError) as caught:
        read(data, fast=fast)
    assert caught.value.problems == expected.value.problems


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("size", [1, 1_000, 7_000, 60_000])
@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_broken_compression_is_told_with_its_line(
    fast: bool,  # noqa: FBT001
    size: int,
    compress: object,
    tmp_path: Path,
) -> None:
    data = HEADER + b"".join(started(ts_us, hex(ts_us**9)) for ts_us in range(size))
    whole = compress(data)  # type: ignore[operator]
    path = tmp_path / "cut"
    path.write_bytes(whole[: -len(whole) // 3])
    with pytest.raises(RecordingError) as expected:
        read_recording(path)
    with open_recording(path) as file, pytest.raises(RecordingError) as caught:
        parse_recorded(file, fast=fast)
    assert caught.value.problems == expected.value.problems


@pytest.mark.parametrize("fast", [True, False])
def test_rows_without_agent_are_told_up_to_a_bound(fast: bool) -> None:  # noqa: FBT001
    data = b"".join(started(ts_us) for ts_us in range(50))
    with pytest.raises(RecordingError) as caught:
        read(b"bad\n" + data, fast=fast)
    assert caught.value.total == 51
    assert [number for number, _ in caught.value.problems] == list(range(1, MAX_PROBLEMS + 1))
    recorded = read(data, fast=fast, lenient=True)
    assert (recorded.tables, recorded.skipped) == ([], 50)


def test_progress_is_told_block_by_block(tmp_path: Path) -> None:
    path = tmp_path / "big.ndjson"
    path.write_bytes(HEADER + started(1, "x" * 100_000) * (3 * BLOCK_BYTES // 100_000))
    told: list[tuple[int, int]] = []
    read_recorded(path, on_block=lambda size, rows: told.append((size, rows)))
    assert len(told) >= 2
    assert told == sorted(told)
    assert told[-1][0] <= path.stat().st_size


def test_blocks_end_when_nobody_wants_them() -> None:
    blocks = read_blocks(io.BytesIO(started(1) * (5 * BLOCK_BYTES // 70)))
    block = next(blocks)
    assert block.size > BLOCK_BYTES // 2
    blocks.close()
