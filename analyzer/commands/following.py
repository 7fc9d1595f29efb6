"""Following: what a command shows of a run from now to its end.

In: a run of a server. Out: its progress on a terminal, then its result.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from analyzer.present.progress import ProgressView, RunStatus
from analyzer.present.runs import show_result

if TYPE_CHECKING:
    from analyzer.model import Run
    from analyzer.present.output import Output
    from analyzer.present.terminal import Terminal
    from analyzer.runs.desk import RunDesk
    from rules.telemetry import Clock

_POLL_S: Final = 0.5  # how often a followed run is looked at
_PHASES: Final = {
    "CREATED": "Waiting for agents",
    "START_DATA_COLLECTION_PENDING": "Starting",
    "START_DATA_COLLECTION_IN_PROGRESS": "Starting",
    "COLLECTING_DATA": "Collecting",
    "STOP_DATA_COLLECTION_PENDING": "Draining",
    "DATA_COLLECTED": "Evaluating",
    "START_EVALUATING_RULES_PENDING": "Evaluating",
    "EVALUATING_RULES": "Evaluating",
}


async def follow(
    desk: RunDesk, run: Run, terminal: Terminal, *, output: Output, clock: Clock
) -> int:
    """Show progress until the run has ended, then its result; return the exit code.

    Raises:
        AssessmentError: The run was deleted meanwhile.
    """
    with ProgressView(terminal) as view:
        while not (run := await desk.read(run)).state.is_final:
            view.update(_status(run, clock))
            await asyncio.sleep(_POLL_S)
    result = await desk.result(run)
    show_result(terminal, run, result, desk.packages(run), output=output)
    return 1 if result is None else 0


def _status(run: Run, clock: Clock) -> RunStatus:
    begun_us = run.from_us if run.from_us is not None else clock.now_us()
    return RunStatus(
        phase=_PHASES.get(run.state, "Running"),
        elapsed_s=max(0.0, (clock.now_us() - begun_us) / 1e6),
        total_s=float(run.duration_s),
        events=run.progress.events,
        findings=sum(run.progress.findings.values()),
    )
