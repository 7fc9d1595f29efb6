"""A run whose telemetry cannot be read any more ends in ERROR, alone, and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.data_folder import DataFolder
from analyzer.ingest.segments import segments_of
from analyzer.model import Run, RunState
from analyzer.store import open_store
from tests.sites import Site, site, wait_for

pytestmark = [pytest.mark.timeout(300), pytest.mark.allow_blocking]


async def test_run_with_a_damaged_log_ends_in_error_and_the_next_one_does_not(
    tmp_path: Path, service: Callable[[str], Path]
) -> None:
    service("nats-server")
    with site(tmp_path / "site") as place:
        ended = await asyncio.to_thread(_damaged_run, place)
        run, exclusions, rows = await _stored(place, ended)
        assert run.state is RunState.ERROR
        assert [change.state for change in run.changes][-2:] == ["COLLECTING_DATA", "ERROR"]
        assert "segment" in run.message or "log" in run.message
        assert run.message in exclusions
        assert rows == 0  # neither a finding nor "no potential issues": nothing was judged
        # Its host is free again.
        result = await asyncio.to_thread(place.assess, 5, lambda: None)
        assert "insecure-client-login" in {finding.rule for finding in result.findings}


def _damaged_run(place: Site) -> str:
    """Return the id of a run that was collecting when its log was damaged."""
    folder = DataFolder(place.data)
    wait_for(lambda: folder.read_note() is not None, "the server")
    run_id = place.begin(600)
    segments = segments_of(folder.runs, run_id)
    wait_for(lambda: any(segments.glob("*")), "telemetry")
    wait_for(lambda: place.state_of(run_id) == "COLLECTING_DATA", "collection")
    child = place.children["analyzer"]
    child.kill()
    child.wait()
    for path in segments.iterdir():
        with path.open("r+b") as file:
            file.write(b"something else than a segment")
    place.start("analyzer")
    wait_for(lambda: place.state_of(run_id) == "ERROR", "the end of the run")
    return run_id


async def _stored(place: Site, run_id: str) -> tuple[Run, str, int]:
    """Return a run, what its exclusions say, and how many findings it has."""
    store = await open_store(DataFolder(place.data).database())
    try:
        run = await store.run(run_id)
        assert run is not None
        async with store.reading() as rows:
            page = await rows.exclusions.page(run.arn, after=None, limit=100)
        found = await store.findings(run_id)
    finally:
        await store.close()
    return run, "\n".join(exclusion.description for _, exclusion in page), len(found)
