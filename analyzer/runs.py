"""The desk for runs: what a command line does with the runs of a server, through its store.

In: a store. Out: runs started, found, followed, stopped.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from analyzer import assessments
from analyzer.errors import AssessmentError
from analyzer.present.progress import ProgressView, RunStatus
from analyzer.present.runs import show_result
from analyzer.results import Result, from_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.data_folder import DataFolder
    from analyzer.model import Run
    from analyzer.present.terminal import Terminal
    from analyzer.store import Store
    from rules.telemetry import Clock

_POLL_S = 0.5  # how often a followed run is looked at
_PHASES = {
    "CREATED": "Waiting for agents",
    "START_DATA_COLLECTION_PENDING": "Starting",
    "START_DATA_COLLECTION_IN_PROGRESS": "Starting",
    "COLLECTING_DATA": "Collecting",
    "STOP_DATA_COLLECTION_PENDING": "Draining",
    "DATA_COLLECTED": "Evaluating",
    "EVALUATING_RULES": "Evaluating",
}


class RunDesk:
    """Reads and changes runs in the store that a server works from."""

    def __init__(self, store: Store, folder: DataFolder, *, clock: Clock) -> None:
        """Use a store that is open."""
        self._store = store
        self._folder = folder
        self._clock = clock

    async def start(self, *, name: str, duration_s: int, packages: Sequence[str]) -> Run:
        """Return a new run that the server will take up.

        Raises:
            AssessmentError: What was asked for cannot be.
        """
        now_us = self._clock.now_us()
        moment = datetime.fromtimestamp(now_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        run = assessments.create_run(
            name=name or f"Run - {moment}Z",
            duration_s=duration_s,
            packages=packages,
            now_us=now_us,
            active=await self._store.active_runs(),
        )
        await self._store.add_run(run)
        return run

    async def runs(self) -> list[Run]:
        """Return every run, newest first."""
        return await self._store.runs()

    async def find(self, name: str) -> Run:
        """Return the run with this id, with an id that starts so, or the last one.

        Raises:
            AssessmentError: There is none, or more than one.
        """
        runs = await self._store.runs()
        found = runs[:1] if name == "last" else [run for run in runs if run.id.startswith(name)]
        if len(found) == 1:
            return found[0]
        if not runs:
            raise AssessmentError(
                f"there is no run yet; 'proctor runs start --data {self._folder.path}' starts one"
            )
        what = "is the start of several ids" if found else "is no run"
        raise AssessmentError(f"{name!r} {what}; 'proctor runs list' shows every run")

    async def result(self, run: Run) -> Result | None:
        """Return what an ended run came to, or None."""
        document = await self._store.result(run.id)
        return None if document is None else from_json(document)

    async def stop(self, run: Run, *, evaluate: bool) -> None:
        """Ask the server to stop a run.

        Raises:
            AssessmentError: It has ended already.
        """
        action: Literal["START_EVALUATION", "SKIP_EVALUATION"]
        action = "START_EVALUATION" if evaluate else "SKIP_EVALUATION"
        if not await self._store.request_stop(run.id, action):
            raise AssessmentError(f"run {run.id} has ended already: {run.state}")

    async def follow(
        self, run_id: str, terminal: Terminal, *, form: str = "table", evidence: bool = False
    ) -> int:
        """Show progress until the run has ended, then its result; return the exit code."""
        with ProgressView(terminal) as view:
            while not (run := await self._read(run_id)).state.is_final:
                view.update(self._status(run))
                await asyncio.sleep(_POLL_S)
        result = await self.result(run)
        show_result(terminal, run, result, form=form, evidence=evidence)
        return 1 if result is None else 0

    async def _read(self, run_id: str) -> Run:
        run = await self._store.run(run_id)
        if run is None:
            raise AssessmentError(f"run {run_id} is gone")
        return run

    def _status(self, run: Run) -> RunStatus:
        begun_us = run.from_us if run.from_us is not None else self._clock.now_us()
        return RunStatus(
            phase=_PHASES.get(run.state, "Running"),
            elapsed_s=max(0.0, (self._clock.now_us() - begun_us) / 1e6),
            total_s=float(run.duration_s),
            events=run.progress.events,
            findings=sum(run.progress.findings.values()),
        )
