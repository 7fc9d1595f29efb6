from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.errors import AnalyzerError, SegmentReadError
from analyzer.ingest.segments import SegmentLog, SegmentRecord
from analyzer.model import Run
from analyzer.recording import read_recorded
from analyzer.replay.replayed import HostTelemetry, from_log, from_recording
from rules.telemetry import Batch, BatchBuilder, Coverage, Event, Header
from rules.telemetry.wire import encode
from tests.recordings import TWO_HOSTS

RUN = Run("0-abc", "t", 10, (), 0, from_us=100, to_us=200, agents=("i-1", "i-2"))
NAMES = {"i-1": "web-1", "i-2": "db-1", "i-9": "other"}


def batch(agent_id: str, sequence: int, from_us: int, to_us: int, *times_us: int) -> Batch:
    builder = BatchBuilder()
    for ts_us in times_us:
        builder.add(Event("connection", ts_us, None, {"remote_address": "10.0.0.9"}))
        builder.add(Event("listener", ts_us, None, {"local_port": 80}))
    coverage = (Coverage("perf", ("connection",), from_us, to_us, "on"),)
    kinds = ("connection", "listener")
    header = Header(
        agent_id, "boot", "main", sequence, from_us, to_us, (RUN.id,), kinds, (), coverage
    )
    return builder.build(header)


def write(folder: Path, *batches: Batch, payload: bytes | None = None) -> None:
    log = SegmentLog(folder)
    log.append_many(
        [
            SegmentRecord(
                agent_id=item.header.agent_id,
                boot_id=item.header.boot_id,
                stream=item.header.stream,
                sequence=item.header.sequence,
                received_us=0,
                payload=encode(item) if payload is None else payload,
            )
            for item in batches
        ]
    )
    log.close()


def read(folder: Path, host: str | None = "i-1", run: Run = RUN) -> HostTelemetry:
    return from_log(folder, run, hostnames=NAMES, host=host, kinds=("connection",))


def test_log_has_the_rows_of_one_host_inside_the_run(tmp_path: Path) -> None:
    write(
        tmp_path,
        batch("i-1", 7, 90, 150, 95, 120),
        batch("i-2", 1, 100, 200, 130),
        batch("i-1", 9, 170, 210, 180, 205),
        batch("i-1", 8, 150, 170, 160),
        batch("i-1", 8, 150, 170, 160),
    )

    found = read(tmp_path)

    assert (found.run, found.agent_id, found.hostname) == ("0-abc", "i-1", "web-1")
    assert list(found.rows_by_kind) == ["connection"]
    rows = found.rows_by_kind["connection"]
    assert [(row["ts_us"], row["remote_scope"]) for row in rows] == [
        (120, "private"),
        (160, "private"),
        (180, "private"),
    ]
    assert found.ledger.share("i-1", "connection") == 1


def test_host_may_be_named_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, batch("i-2", 1, 100, 200, 130))

    assert read(tmp_path, "db-1").agent_id == "i-2"
    assert read(tmp_path, None, replace(RUN, agents=("i-2",))).agent_id == "i-2"
    assert read(tmp_path, "i-1").rows_by_kind == {}


@pytest.mark.parametrize(
    ("host", "run", "message"),
    [
        ("web", RUN, "--host web is no host of run 0-abc; there are: i-1 (web-1), i-2 (db-1)"),
        (None, RUN, "name one host of run 0-abc with --host; there are: i-1 (web-1), i-2 (db-1)"),
        ("x", replace(RUN, agents=("i-7",)), "there are: i-7"),
        ("x", replace(RUN, agents=()), "there are: none"),
        ("web-1", replace(RUN, agents=("i-1", "i-1b")), "--host web-1 names several hosts"),
        ("x", replace(RUN, agents=tuple(f"i-{n}" for n in range(40))), "and 20 more"),
        ("i-1", replace(RUN, from_us=None), "run 0-abc has collected nothing: it is CREATED"),
    ],
)
def test_host_that_is_not_there(tmp_path: Path, host: str, run: Run, message: str) -> None:
    with pytest.raises(AnalyzerError) as caught:
        from_log(
            tmp_path,
            run,
            hostnames={**NAMES, "i-1b": "web-1"},
            host=host,
            kinds=("connection",),
        )
    assert message in str(caught.value)


def test_log_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="only its result is left: 'proctor runs show 0-abc'"):
        read(tmp_path / "none")


def test_log_with_a_broken_batch(tmp_path: Path) -> None:
    write(tmp_path, batch("i-1", 1, 100, 200), payload=b"no batch")

    with pytest.raises(SegmentReadError, match="cannot read the telemetry log"):
        read(tmp_path)


def test_recording_has_the_rows_of_one_host() -> None:
    recording = read_recorded(TWO_HOSTS)

    found = from_recording(recording, name="x.ndjson", host="i-db", kinds=("imds_request",))

    assert {kind: len(rows) for kind, rows in found.rows_by_kind.items()} == {"imds_request": 4}
    with pytest.raises(AnalyzerError, match="there are: i-db, i-web"):
        from_recording(recording, name="x.ndjson", host="i-x", kinds=())
