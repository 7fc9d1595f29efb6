"""What can be replayed: a run of a server's data folder, a folder of segments.

In: the name of a run, or a path. Out: the log with everything that is known of its first verdict:
the result, the rules, what was taken and what came too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.errors import AssessmentError, JudgedError, SegmentReadError
from analyzer.ingest.segments import read_segments
from analyzer.replay.judged import Judged, read_judged, read_rules
from analyzer.replay.taken import SEGMENTS, Log, log_of
from rules.errors import WireError
from rules.loader import rules_digest
from rules.telemetry.records import segment_numbers
from rules.telemetry.wire import header_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from analyzer.model import Run
    from analyzer.results.document import Result
    from rules.loader import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """A log, and its first verdict as far as it is known.

    Attributes:
        log: The log.
        rules: The rules that judged it, None where no copy was kept.
        wanted: Ids of the rules packages it asked for; empty = all.
        result: What it came to.
    """

    log: Log
    rules: list[Package] | None = None
    wanted: tuple[str, ...] = ()
    result: Result | None = None


def stored_run(
    run: Run, *, folder: Path, result: Result | None, hostnames: Mapping[str, str]
) -> StoredLog:
    """Return the log of a run that has ended.

    Args:
        run: The run.
        folder: Holds its log, and what its verdict was made from.
        result: What it came to; None where it was not judged.
        hostnames: Names of hosts, as far as they are known.

    Raises:
        AssessmentError: It has not ended, or collected nothing.
        JudgedError: What its verdict was made from cannot be read.
        RuleFileError: The copy of its rules cannot be read.
    """
    if not run.state.is_final:
        raise AssessmentError(
            f"run {run.id} is still {run.state}; 'proctor runs watch {run.id}' waits for its end"
        )
    if run.to_us is None or not segment_numbers(folder / SEGMENTS):
        raise AssessmentError(f"run {run.id} has no telemetry in {folder / SEGMENTS}")
    judged = read_judged(folder) if result is not None else None
    if judged is not None:
        return StoredLog(log=log_of(folder, judged), rules=_rules(folder, judged), result=result)
    log = Log(
        folder=folder / SEGMENTS,
        name=run.name,
        state=run.state.value,
        from_us=run.interval[0],
        to_us=run.interval[1],
        hosts={agent_id: hostnames.get(agent_id) for agent_id in run.agents},
        duration_s=run.duration_s,
        verdict=None if result is None else result.run,
    )
    return StoredLog(log=log, wanted=run.packages, result=result)


def stored_folder(path: Path) -> StoredLog:
    """Return the log in a run's folder, or in a folder of segments alone.

    Of segments alone, the run is everything that the batches cover.

    Raises:
        AssessmentError: There are no segments.
        JudgedError: What the verdict was made from cannot be read.
        RuleFileError: The copy of the rules cannot be read.
        SegmentReadError: A file cannot be read, or was written by another version.
    """
    folder = path.parent if path.name == SEGMENTS else path
    judged = read_judged(folder)
    if judged is not None:
        return StoredLog(log=log_of(folder, judged), rules=_rules(folder, judged))
    segments = path if segment_numbers(path) else path / SEGMENTS
    if not segment_numbers(segments):
        raise AssessmentError(f"{path} holds no segments (.seg); name a run's folder, or files")
    return StoredLog(log=_described(segments))


def _rules(folder: Path, judged: Judged) -> list[Package] | None:
    packages = read_rules(folder)
    if packages is not None and rules_digest(packages) != judged.run.digests.rules:
        raise JudgedError(
            folder / "rules",
            "holds other rules than the run was judged by; copy them elsewhere to change them, "
            "and name the copy with --rules",
        )
    return packages


def _described(segments: Path) -> Log:
    from_us: int | None = None
    to_us = 0
    hosts: dict[str, None] = {}
    for _, record in read_segments(segments):
        try:
            header = header_of(record.payload)
        except WireError as error:
            raise SegmentReadError(segments, str(error)) from error
        from_us = header.from_us if from_us is None else min(from_us, header.from_us)
        to_us = max(to_us, header.to_us)
        hosts[header.agent_id] = None
    return Log(
        folder=segments,
        name="replay",
        state="COMPLETED",
        from_us=from_us or 0,
        to_us=to_us,
        hosts=hosts,
    )
