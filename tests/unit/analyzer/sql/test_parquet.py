from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analyzer.sql.parquet import ParquetFolder
from analyzer.telemetry.columns import row_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Slice
from rules.loader import load_packages
from rules.reference import group_rows
from rules.telemetry.batch import Row
from rules.telemetry.kinds import KINDS
from tests.duck import by_reference, by_sql
from tests.judging import row


def piece(*rows: Row, agent_id: str = "i-1") -> Slice:
    return Slice(agent_id, 0, 1, row_columns(rows, Dictionary()))


def rows_of(folder: Path, kind: str) -> list[Row]:
    return [
        {name: value for name, value in read.items() if value is not None}
        for read in pq.read_table(folder / f"{kind}.parquet").to_pylist()
    ]


def test_folder_has_a_file_for_every_kind(tmp_path: Path) -> None:
    with ParquetFolder(tmp_path / "new" / "out") as folder:
        folder.write(piece(row(1), row(2, "listener", local_port=80)))
        folder.write(piece(row(1, process_name="nc"), agent_id="i-2"))

    assert folder.rows == {"connection": 2, "listener": 1}
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(
        f"{kind}.parquet" for kind in KINDS
    )
    assert rows_of(tmp_path / "new" / "out", "listener") == [
        {"agent_id": "i-1", "ts_us": 2, "local_port": 80}
    ]
    assert [
        (read["agent_id"], read["process_name"], read["remote_scope"])
        for read in rows_of(tmp_path / "new" / "out", "connection")
    ] == [("i-1", "telnet", "private"), ("i-2", "nc", "private")]
    assert rows_of(tmp_path / "new" / "out", "aws_call") == []


def test_columns_are_typed_and_described(tmp_path: Path) -> None:
    with ParquetFolder(tmp_path):
        pass

    schema = pq.read_schema(tmp_path / "connection.parquet")

    assert {str(schema.field(name).type) for name in ("remote_port", "ts_us", "user")} == {
        "uint16",
        "int64",
        "string",
    }
    assert schema.field("remote_port").metadata[b"description"] == b"Port of the peer."


def test_rows_are_written_in_groups(tmp_path: Path) -> None:
    with ParquetFolder(tmp_path, group_rows=3) as folder:
        for ts_us in range(8):
            folder.write(piece(row(ts_us)))

    metadata = pq.read_metadata(tmp_path / "connection.parquet")
    groups = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    assert groups == [3, 3, 2]


def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with ParquetFolder(tmp_path) as folder:
        folder.write(piece(row(1)))

    def write_and_fail() -> None:
        with ParquetFolder(tmp_path) as folder:
            folder.write(piece(row(2), row(3)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()

    assert [read["ts_us"] for read in rows_of(tmp_path, "connection")] == [1]
    assert len(list(tmp_path.iterdir())) == len(KINDS)


def test_sql_reads_what_was_written(tmp_path: Path) -> None:
    """All tests of all shipped rules at once, each on hosts of its own."""
    rules = [rule for package in load_packages() for rule in package.rules]
    rows = [
        {**each, "agent_id": f"{each['agent_id']}-{rule.id}-{number}"}
        for rule in rules
        for number, case in enumerate(rule.tests)
        for event in case.events
        for each in event.rows()
    ]
    with ParquetFolder(tmp_path) as folder:
        for agent_id, by_kind in group_rows(rows).items():
            own = [each for kind_rows in by_kind.values() for each in kind_rows]
            folder.write(piece(*own, agent_id=agent_id))

    for rule in rules:
        found = by_sql(rule, folder=str(tmp_path))
        assert found
        assert found == by_reference(rule, rows)
