"""Export: the telemetry of a run from its log to Parquet.

In: the log of an assessment run. Out: a folder of Parquet files with the rows that were judged:
without doubles, without rows outside the run, and without those that came too late for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analyzer.errors import AnalyzerError
from analyzer.replay.replayed import logged_batches, require_log
from analyzer.replay.taken import judged_log, sealed_slices
from analyzer.sql.parquet import ParquetFolder
from analyzer.timeline.timeline import GRACE_US, Timeline
from rules.telemetry.clock import ManualClock

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from analyzer.model import Run
    from analyzer.telemetry.slices import Slice
    from rules.telemetry.ledger import Ledger

_SEAL_US: Final = 1_000_000  # of the time at which batches came, as the server seals
_SEAL_BATCHES: Final = 256  # however soon they came: bounds memory


def export_run(log: Path, run: Run, out: Path) -> Counter[str]:
    """Write the telemetry of a run, and return how many rows of each kind it has.

    Args:
        log: Where the log of the run is.
        run: The run; of one that goes on, what has come so far is written.
        out: Folder of the files.

    Raises:
        AnalyzerError: The run has no telemetry, its log cannot be read, or nothing be written.
    """
    sealed = SealedLog(log, run)
    try:
        with ParquetFolder(out) as folder:
            for piece in sealed:
                folder.write(piece)
    except OSError as error:
        raise AnalyzerError(
            f"cannot write {out}: {error.strerror or error}; name another folder with --out"
        ) from error
    return folder.rows


class SealedLog:
    """The slices of a run's hosts once more.

    Of a run with a verdict they are what it judged. Of another they are cut by the time at which
    batches came, which stands still at the end of the run: what came after it had been waited for.
    """

    def __init__(self, log: Path, run: Run) -> None:
        """Name the log of a run.

        Raises:
            AnalyzerError: The run has no telemetry, or what its verdict says cannot be read.
        """
        require_log(log, run)
        self._log = log
        self._judged = judged_log(log, run)
        from_us, to_us = run.interval
        if self._judged is not None:
            from_us, to_us = self._judged.from_us, self._judged.to_us
        self._clock = ManualClock(from_us)
        self._timeline = Timeline(
            run_from_us=from_us,
            run_to_us=to_us,
            clock=self._clock,
            agents=run.agents if self._judged is None else self._judged.hosts,
        )

    @property
    def ledger(self) -> Ledger:
        """Return what was watched, as far as the log has been read."""
        return self._timeline.ledger

    def __iter__(self) -> Iterator[Slice]:
        """Read the log, once, and yield its slices.

        Raises:
            SegmentReadError: A file of the log cannot be read.
        """
        if self._judged is None:
            return self._cut_by_arrival()
        return sealed_slices(self._judged, self._timeline)

    def _cut_by_arrival(self) -> Iterator[Slice]:
        clock, timeline = self._clock, self._timeline
        for number, (received_us, batch) in enumerate(logged_batches(self._log), start=1):
            now_us = max(clock.time_us, min(received_us, timeline.run_to_us))
            if now_us >= clock.time_us + _SEAL_US or number % _SEAL_BATCHES == 0:
                yield from timeline.seal()
                clock.time_us = now_us
            timeline.add_logged(batch)
        clock.time_us = timeline.run_to_us + GRACE_US
        yield from timeline.seal()
