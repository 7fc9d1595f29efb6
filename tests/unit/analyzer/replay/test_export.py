from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analyzer.errors import AnalyzerError, SegmentReadError
from analyzer.ingest.segments import SegmentLog, SegmentRecord
from analyzer.model import Run
from analyzer.replay.export import SealedLog, export_run
from rules.telemetry import Batch
from tests.run_logs import write_log
from tests.telemetry_batches import SECOND_US as S
from tests.telemetry_batches import batch, connection

FROM_US, TO_US = 1_000 * S, 1_100 * S
RUN = Run("0-abc", "t", 100, (), 0, from_us=FROM_US, to_us=TO_US, agents=("i-1", "i-2"))


def sent(
    sequence: int, covered_s: tuple[int, int], *times_s: float, agent_id: str = "i-1"
) -> Batch:
    """Return a batch with times in seconds from the start of the run."""
    from_us, to_us = (FROM_US + second * S for second in covered_s)
    events = [connection(FROM_US + round(second * S)) for second in times_s]
    return batch(sequence, (from_us, to_us), events, agent_id=agent_id)


def write(log: Path, came: Iterable[tuple[int, Batch]]) -> Path:
    """Write batches with the second of the run at which each came."""
    return write_log(log, ((FROM_US + second * S, sent_then) for second, sent_then in came))


def seconds(log: Path, agent_id: str = "i-1") -> list[float]:
    return [
        (row["ts_us"] - FROM_US) / S
        for piece in SealedLog(log, RUN)
        for row in piece.rows()
        if row["agent_id"] == agent_id
    ]


def test_rows_are_those_of_the_run_each_once_and_in_order(tmp_path: Path) -> None:
    first = sent(7, (-10, 10), -5, 0, 5)
    write(
        tmp_path,
        [
            (10, first),
            (11, sent(1, (0, 100), 50, agent_id="i-2")),
            (30, sent(9, (20, 120), 25, 99.5, 100, 110)),
            (31, first),
            (32, sent(8, (10, 20), 15)),
        ],
    )

    assert seconds(tmp_path) == [0, 5, 15, 25, 99.5]
    assert seconds(tmp_path, "i-2") == [50]


def test_what_came_after_it_had_been_given_up_is_left_out(tmp_path: Path) -> None:
    write(
        tmp_path,
        [
            (10, sent(1, (0, 10), 1)),
            (25, sent(3, (20, 25), 21)),  # number 2 is missed from now on
            (86, sent(1, (0, 90), 60, agent_id="i-2")),
            (88, sent(4, (25, 88), 30)),
            (89, sent(2, (10, 20), 11)),
        ],
    )

    assert seconds(tmp_path) == [1, 21, 30]


def test_what_came_after_the_run_had_been_waited_for(tmp_path: Path) -> None:
    """A server that was down for an hour judges what its agents kept meanwhile."""
    write(
        tmp_path,
        [
            (10, sent(1, (0, 10), 1)),
            (3_600, sent(2, (10, 60), 20)),
            (7_200, sent(3, (60, 100), 70)),
        ],
    )

    assert seconds(tmp_path) == [1, 20, 70]


def test_slices_are_cut_while_the_log_is_read(tmp_path: Path) -> None:
    """Memory is bounded, also where a whole log came at one moment."""
    came = [(90, sent(number, (number - 1, number), number - 0.5)) for number in range(1, 100)]
    slow = write(tmp_path / "slow", [(number, item) for number, (_, item) in enumerate(came)])
    burst = write(
        tmp_path / "burst",
        [(100, sent(number, (0, 1), 0.5)) for number in range(1, 1_000)],
    )

    assert max(map(len, SealedLog(slow, RUN))) <= 3
    assert max(map(len, SealedLog(burst, RUN))) <= 300
    assert seconds(slow) == [number - 0.5 for number in range(1, 100)]


def test_export_writes_files_and_counts_rows(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [(10, sent(1, (0, 10), 1, 2, 3))])

    assert export_run(log, RUN, tmp_path / "out") == {"connection": 3}
    assert pq.read_table(tmp_path / "out" / "connection.parquet").num_rows == 3


def test_run_without_telemetry_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="log was deleted"):
        export_run(tmp_path / "none", RUN, tmp_path / "out")
    with pytest.raises(AnalyzerError, match="has collected nothing"):
        export_run(tmp_path, replace(RUN, from_us=None, to_us=None), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    log = write(tmp_path / "log", [(10, sent(1, (0, 10), 1))])
    (tmp_path / "out").write_text("a file")

    with pytest.raises(AnalyzerError, match="out: File exists; name another"):
        export_run(log, RUN, tmp_path / "out")


def test_damaged_log_leaves_no_files(tmp_path: Path) -> None:
    segments = SegmentLog(tmp_path / "log")
    segments.append_many(
        [
            SegmentRecord(
                agent_id="i-1",
                boot_id="b0",
                stream="main",
                sequence=1,
                received_us=FROM_US,
                payload=b"no batch",
            )
        ]
    )
    segments.close()

    with pytest.raises(SegmentReadError):
        export_run(tmp_path / "log", RUN, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
