"""Replayed: the telemetry of one host, read again as a rule sees it.

In: the log of an assessment run, or a recording. Out: rows by kind and the coverage ledger, as they
were judged. Of a run that has no verdict yet, whatever reached the log is on time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError, SegmentReadError
from analyzer.ingest.segments import read_segments
from analyzer.recording.judgement import ledger_of
from analyzer.replay.taken import judged_log, sealed_slices
from analyzer.telemetry.many_hosts import of_hosts
from analyzer.timeline.timeline import GRACE_US, Timeline
from rules.errors import WireError
from rules.reference import group_rows
from rules.telemetry.clock import ManualClock
from rules.telemetry.wire import decode_any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from analyzer.model import Run
    from analyzer.recording import Recorded
    from analyzer.replay.taken import Log
    from analyzer.telemetry.slices import Slice
    from rules.matching import RowsByKind
    from rules.telemetry.batch import Batch, Row
    from rules.telemetry.ledger import Ledger

_MAX_NAMED = 20  # hosts in a message


@dataclass(frozen=True, slots=True)
class HostTelemetry:
    """What one host reported in a run.

    Attributes:
        run: Id of the run, or name of the recording.
        hostname: None where nothing says it.
        rows_by_kind: Rows of the wanted kinds, with derived columns.
    """

    run: str
    agent_id: str
    hostname: str | None
    rows_by_kind: RowsByKind
    ledger: Ledger


def from_recording(
    recording: Recorded, *, name: str, host: str | None, kinds: Collection[str]
) -> HostTelemetry:
    """Return what one host of a recording reported.

    Args:
        recording: As it was read.
        name: What it is called.
        host: An agent id; None = the only host.
        kinds: Telemetry kinds that are wanted.

    Raises:
        AnalyzerError: There is no such host.
    """
    ledger = ledger_of(recording)
    agent_id = _chosen(host, dict.fromkeys(ledger.agents, ""), where=name)
    tables = [table for table in recording.tables if table.columns.kind in kinds]
    rows = group_rows(
        row for table in of_hosts(tables, [agent_id]) for row in table.columns.rows(agent_id)
    )
    return HostTelemetry(name, agent_id, None, rows.get(agent_id, {}), ledger)


def from_log(
    folder: Path,
    run: Run,
    *,
    hostnames: Mapping[str, str],
    host: str | None,
    kinds: Collection[str],
) -> HostTelemetry:
    """Return what one host of a run reported.

    Args:
        folder: Where the log of the run is.
        run: The run; of one that goes on, what has come so far is read.
        hostnames: Names of agents, as far as they are known.
        host: An agent id or a name; None = the only host.
        kinds: Telemetry kinds that are wanted.

    Raises:
        AnalyzerError: There is no such host, or no log.
        SegmentReadError: A file of the log cannot be read.
    """
    require_log(folder, run)
    names = {agent_id: hostnames.get(agent_id, "") for agent_id in run.agents}
    agent_id = _chosen(host, names, where=f"run {run.id}")
    judged = judged_log(folder, run)
    timeline = _timeline(run, agent_id, judged)
    rows: dict[str, list[Row]] = defaultdict(list)
    if judged is None:
        for _, batch in logged_batches(folder, agent_id=agent_id):
            timeline.add_logged(batch)
        slices: Iterable[Slice] = timeline.seal()
    else:
        slices = sealed_slices(judged, timeline)
    for piece in slices:
        for kind in piece.tables.keys() & kinds:
            rows[kind] += piece.tables[kind].rows(agent_id)
    return HostTelemetry(run.id, agent_id, names[agent_id] or None, rows, timeline.ledger)


def require_log(folder: Path, run: Run) -> None:
    """Make sure that a run has telemetry.

    Raises:
        AnalyzerError: It has collected nothing, or its log is gone.
    """
    if run.from_us is None or run.to_us is None:
        raise AnalyzerError(
            f"run {run.id} has collected nothing: it is {run.state}; 'proctor runs list' shows "
            "every run"
        )
    if not folder.is_dir():
        raise AnalyzerError(
            f"the telemetry of run {run.id} is not in {folder}; of a run whose log was deleted "
            f"only its result is left: 'proctor runs show {run.id}'"
        )


def logged_batches(folder: Path, *, agent_id: str | None = None) -> Iterator[tuple[int, Batch]]:
    """Yield the batches of a log as they came: when, by the analyzer's clock, and what.

    Args:
        folder: Where the log of the run is.
        agent_id: Whose batches; None = everybody's.

    Raises:
        SegmentReadError: A file of the log cannot be read.
    """
    for _, record in read_segments(folder):
        if agent_id is None or record.agent_id == agent_id:
            try:
                yield record.received_us, decode_any(record.payload)
            except WireError as error:
                raise SegmentReadError(folder, str(error)) from error


def _timeline(run: Run, agent_id: str, judged: Log | None) -> Timeline:
    from_us, to_us = run.interval if judged is None else (judged.from_us, judged.to_us)
    return Timeline(
        run_from_us=from_us,
        run_to_us=to_us,
        clock=ManualClock(to_us + GRACE_US),
        agents=[agent_id],
    )


def _chosen(host: str | None, names: Mapping[str, str], *, where: str) -> str:
    """Return the agent that is meant, by id or name."""
    if host is None:
        found = list(names)
    else:
        found = [agent_id for agent_id, name in names.items() if host in (agent_id, name)]
    if len(found) == 1:
        return found[0]
    known = [f"{agent_id} ({name})" if name else agent_id for agent_id, name in names.items()]
    if len(known) > _MAX_NAMED:
        known[_MAX_NAMED:] = [f"and {len(known) - _MAX_NAMED} more"]
    hosts = ", ".join(known) or "none"
    if host is None:
        raise AnalyzerError(f"name one host of {where} with --host; there are: {hosts}")
    what = "names several hosts" if found else "is no host"
    raise AnalyzerError(f"--host {host} {what} of {where}; there are: {hosts}")
