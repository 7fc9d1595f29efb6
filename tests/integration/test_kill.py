"""Real processes that are killed while they write: what they confirmed is there afterwards."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.spool import Spool
from analyzer.ingest.segments import read_segments
from rules.telemetry.clock import SystemClock

ROOT = Path(__file__).parents[2]
SPOOL = """
import sys
from pathlib import Path
from agent.spool import Acked, Entry, Spool
from rules.telemetry.clock import SystemClock

clock = SystemClock()
spool = Spool(Path(sys.argv[1]), max_bytes=1 << 30, max_age_s=3600, clock=clock)
sequence = 0
while True:
    sequence += 1
    now = clock.now_us()
    spool.append(Entry(boot_id=sys.argv[2], stream="main", sequence=sequence, events=1,
                       from_us=now, to_us=now + 1, payload=bytes(sequence * 37 % 5000)))
    print(sequence, flush=True)
"""
LOG = """
import sys
from pathlib import Path
from analyzer.ingest.segments import SegmentLog, SegmentRecord

log = SegmentLog(Path(sys.argv[1]), roll_bytes=100_000)
sequence = 0
while True:
    sequence += 1
    log.append_many([SegmentRecord(agent_id="a", boot_id=sys.argv[2], stream="main",
        sequence=sequence, received_us=1, payload=bytes(sequence * 37 % 5000))])
    print(sequence, flush=True)
"""


def _killed(script: str, folder: Path, boot: str, *, after_s: float) -> int:
    """Run a writer, kill it, and return the last sequence that it confirmed."""
    command = [sys.executable, "-c", script, str(folder), boot]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(after_s)
        writer.kill()
        lines = [first, *writer.stdout.read().splitlines()]
    return int(lines[-1])


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.3])
def test_spool_of_a_killed_agent_holds_all_it_took(tmp_path: Path, after_s: float) -> None:
    last = {boot: _killed(SPOOL, tmp_path, boot, after_s=after_s) for boot in ("b1", "b2")}
    spool = Spool(tmp_path, max_bytes=1 << 30, max_age_s=3600, clock=SystemClock())
    with contextlib.closing(spool):
        found: list[tuple[str, int]] = []
        after = None
        while batch := spool.pending(after=after, limit=1_000):
            after = batch[-1].position
            for _, entry in batch:
                assert len(entry.payload) == entry.sequence * 37 % 5000
                found.append((entry.boot_id, entry.sequence))
    _check(found, last)


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.3])
def test_log_of_a_killed_analyzer_holds_all_it_confirmed(tmp_path: Path, after_s: float) -> None:
    last = {boot: _killed(LOG, tmp_path, boot, after_s=after_s) for boot in ("b1", "b2")}
    stored = [item.record for item in read_segments(tmp_path)]
    _check([(record.boot_id, record.sequence) for record in stored], last)


def _check(found: list[tuple[str, int]], last: dict[str, int]) -> None:
    for boot, confirmed in last.items():
        sequences = [sequence for owner, sequence in found if owner == boot]
        assert sequences == list(range(1, len(sequences) + 1))
        assert confirmed <= len(sequences) <= confirmed + 1
    assert [boot for boot, _ in found] == sorted(boot for boot, _ in found)
