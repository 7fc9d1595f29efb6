"""Agent, broker and analyzer are killed in turn while a run is on: nothing acknowledged is lost.

Real processes and the real command lines; only what the host does is a script.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.ingest.segments import read_segments
from analyzer.results.document import Result
from rules.telemetry.wire import decode
from tests.sites import site

CALM_S, WILD_S = 8, 40  # the wild run is long enough that its gap stays under five percent

pytestmark = [pytest.mark.timeout(300), pytest.mark.allow_blocking]


def judged(result: Result) -> set[tuple[str, str, str]]:
    """Return what every rule came to, and the groups of its findings."""
    groups = {(finding.rule, "group", repr(finding.group)) for finding in result.findings}
    return groups | {(item.rule, "outcome", item.outcome) for item in result.outcomes}


def check_sequences(data: Path, run_id: str) -> int:
    """Check that every batch stands in the log once and that none is missing; return how many."""
    seen = Counter[tuple[str, int]]()
    events = 0
    for stored in read_segments(data / "runs" / run_id / "segments"):
        seen[stored.record.boot_id, stored.record.sequence] += 1
        events += len(decode(stored.record.payload))
    assert set(seen.values()) == {1}
    for boot_id in {boot for boot, _ in seen}:
        numbers = sorted(number for boot, number in seen if boot == boot_id)
        assert numbers == list(range(1, len(numbers) + 1))
    return events


def test_findings_survive_the_death_of_every_process_in_turn(
    tmp_path: Path, service: Callable[[str], Path]
) -> None:
    service("nats-server")
    with site(tmp_path / "calm") as calm:
        undisturbed = calm.assess(CALM_S, lambda: None)

    with site(tmp_path / "wild") as wild:

        def kill_each() -> None:
            for name in ("agent", "broker", "analyzer"):
                time.sleep(1.5)
                wild.kill(name)

        disturbed = wild.assess(WILD_S, kill_each)

    assert judged(disturbed) == judged(undisturbed)
    assert ("insecure-client-login", "outcome", "findings") in judged(disturbed)
    stored = check_sequences(wild.data, disturbed.run.id)
    assert disturbed.summary.events > 0
    assert stored >= disturbed.summary.events
