from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from analyzer.telemetry.columns import batch_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Slice
from benchmarks.fleet.batches import messages
from benchmarks.fleet.lines import text_blocks, write_recording
from benchmarks.fleet.packs import make_rules
from benchmarks.fleet.parquet import parquet_folder
from benchmarks.fleet.shape import END_US, SHARES, START_US, Shape
from benchmarks.fleet.store import Fleet, open_fleet
from rules.reference import matches
from rules.telemetry.ndjson import decode_line, encode_row
from rules.telemetry.recording import read_recording
from rules.telemetry.wire import decode

SHAPE = Shape(events=6_000, hosts=3, violating=100)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return open_fleet(SHAPE, tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module")
def slices(fleet: Fleet) -> list[Slice]:
    return fleet.loaded(fleet.pieces(max_events=1_000))


def test_same_shape_makes_the_same_files(fleet: Fleet, tmp_path: Path) -> None:
    again = open_fleet(SHAPE, tmp_path)
    files = sorted(path.name for path in fleet.folder.iterdir() if path.is_file())
    assert files == sorted(path.name for path in again.folder.iterdir())
    for name in files:
        assert (fleet.folder / name).read_bytes() == (again.folder / name).read_bytes()


def test_another_seed_makes_another_day(fleet: Fleet, tmp_path: Path) -> None:
    other = open_fleet(Shape(events=6_000, hosts=3, violating=100, seed=8), tmp_path)
    name = "connection.ts_us"
    assert (fleet.folder / name).read_bytes() != (other.folder / name).read_bytes()


def test_kinds_have_their_shares(slices: list[Slice]) -> None:
    counts = Counter[str]()
    for piece in slices:
        counts.update({kind: len(table) for kind, table in piece.tables.items()})
    assert counts.total() == SHAPE.events
    assert counts == {kind: int(SHAPE.events * share) for kind, share in SHARES.items()}


def test_slices_hold_each_host_gaplessly_in_order(slices: list[Slice], fleet: Fleet) -> None:
    for agent_id in fleet.agents:
        own = [piece for piece in slices if piece.agent_id == agent_id]
        ends = [START_US, *(piece.to_us for piece in own)]
        assert [piece.from_us for piece in own] == ends[:-1]
        assert ends[-1] == END_US
        for piece in own:
            assert len(piece) <= 1_000
            for table in piece.tables.values():
                assert np.all(table.ts_us[1:] >= table.ts_us[:-1])
                assert piece.from_us <= table.ts_us[0]
                assert table.ts_us[-1] < piece.to_us


def test_slices_interleave_hosts_in_the_order_of_time(fleet: Fleet) -> None:
    ends = [piece.to_us for piece in fleet.pieces(max_events=100, order="time")]
    assert ends == sorted(ends)


def test_streamed_slices_are_the_loaded_ones(fleet: Fleet, slices: list[Slice]) -> None:
    streamed = list(fleet.streamed(fleet.pieces(max_events=1_000)))
    assert [list(piece.rows()) for piece in streamed] == [list(piece.rows()) for piece in slices]


def test_lines_are_the_canonical_rows(slices: list[Slice]) -> None:
    rows = [row for piece in slices for row in piece.rows()]
    lines = b"".join(text_blocks(slices)).splitlines()
    assert lines == [encode_row(row) for row in rows]
    assert [decode_line(line) for line in lines[::50]] == rows[::50]


def test_recording_is_valid(fleet: Fleet, slices: list[Slice], tmp_path: Path) -> None:
    path = tmp_path / "day.ndjson.zst"
    write_recording(path, fleet.agents, slices)
    recording = read_recording(path)
    assert recording.headers.keys() == set(fleet.agents)
    assert len(recording.rows) == SHAPE.events


def test_messages_hold_the_rows(slices: list[Slice]) -> None:
    dictionary = Dictionary()
    for piece, message in zip(slices, messages(slices), strict=True):
        batch = decode(message)
        tables = batch_columns(batch, dictionary)
        received = Slice(batch.header.agent_id, piece.from_us, piece.to_us, tables)
        assert list(received.rows()) == list(piece.rows())


def test_parquet_holds_the_rows(fleet: Fleet, slices: list[Slice]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = parquet_folder(fleet)
    rows = [row for piece in slices for row in piece.rows()]
    for kind in SHARES:
        table = parquet.read_table(folder / f"{kind}.parquet")
        read = [
            {name: value for name, value in row.items() if value is not None}
            for row in table.to_pylist()
        ]
        own = [row for row in rows if row["telemetry"] == kind]
        assert [{"telemetry": kind, **row} for row in read] == own


def test_one_event_in_so_many_breaks_a_rule_on_single_events(slices: list[Slice]) -> None:
    selectors = [rule.detection.select for rule in make_rules(40) if rule.detection.kind == "event"]
    violating = sum(
        any(matches(selector, row) for selector in selectors)
        for piece in slices
        for row in piece.rows()
    )
    expected = SHAPE.events / SHAPE.violating
    assert 0.5 * expected < violating < 2 * expected
