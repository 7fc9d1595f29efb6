"""Logs judged again: the segments of a run, and what its verdict says of them, to a result.

In: a folder of segments. Out: the same result, to the byte, as the run itself stored, whatever the
order in which batches came and however many processes share the work.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from analyzer.engine import FusedEngine
from analyzer.errors import LogMismatchError
from analyzer.ingest.segments import summarize_segments
from analyzer.ingest.sequences import Sequences
from analyzer.replay.index import IndexDraft, LogIndex
from analyzer.replay.judged import settings_digest
from analyzer.replay.taken import Log, batch_id, sealed_slices, taken_records
from analyzer.results.document import Digests, Result, RunInfo, assemble, merged, to_json
from analyzer.timeline.takings import SegmentTaken, Takings
from analyzer.timeline.timeline import Timeline
from rules.loader import rules_digest
from rules.telemetry.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from analyzer.engine import Engine
    from analyzer.engine.workers import Workers
    from rules.loader import Package


@dataclass(slots=True)
class LogCheck:
    """What a log holds now.

    Attributes:
        events: Digest of its batches.
        index: Where they stand.
        sizes: Bytes of telemetry by host.
        problem: In what it is not the log that was judged; empty where it is.
    """

    events: str
    index: LogIndex
    sizes: Counter[str] = field(default_factory=Counter)
    problem: str = ""


def replay_log(
    log: Log,
    packages: Sequence[Package],
    *,
    workers: Workers,
    max_groups: int | None,
    unverified: bool = False,
) -> Result:
    """Return what the rules of ``packages`` make of a log.

    The run's own id and ARN stand in the result if it is the run's own; else an id made of the
    digests, for a backtest is no run.

    Args:
        log: The log.
        packages: The rules.
        workers: Who judges.
        max_groups: Findings of one rule on one host; None = no bound.
        unverified: Judge what is there, even if it is not what was judged before.

    Raises:
        LogMismatchError: The log does not hold what was judged before.
        SegmentReadError: It cannot be read.
    """
    check = check_log(log)
    if check.problem and not unverified:
        raise LogMismatchError(log.folder, check.problem)
    digests = Digests(
        events=check.events,
        rules=rules_digest(packages),
        settings=settings_digest(duration_s=log.duration_s, max_groups=max_groups),
    )
    own = log.verdict if log.verdict is not None and log.verdict.digests == digests else None
    run = RunInfo(
        id=digests.run_id if own is None else own.id,
        name=log.name,
        state=log.state,
        from_us=log.from_us,
        to_us=log.to_us,
        digests=digests,
        arn=None if own is None else own.arn,
    )
    judge = partial(judge_log, log=log, packages=tuple(packages), run=run, max_groups=max_groups)
    sizes = {agent_id: check.sizes[agent_id] for agent_id in log.hosts}
    return merged(
        workers.judge(lambda agents: partial(judge, agents, check.index.of(agents)), sizes)
    )


def check_log(log: Log) -> LogCheck:
    """Return what a log holds, compared with what was judged.

    Raises:
        SegmentReadError: A file cannot be read, or was written by another version.
    """
    takings, draft = Takings(), IndexDraft()
    sizes: Counter[str] = Counter()
    known: dict[tuple[str, str, str], Sequences] = defaultdict(Sequences)
    for position, record in taken_records(log):
        sha256 = hashlib.sha256(record.payload).digest()
        takings.record(position.segment, sha256)
        draft.add(position, record)
        batch = batch_id(record)
        if known[batch[:3]].add(batch.sequence):
            takings.take(batch, sha256)
            sizes[record.agent_id] += len(record.payload)
    return LogCheck(takings.events_digest(), draft.index(), sizes, _problem(log, takings))


def judge_log(
    agents: Collection[str],
    index: LogIndex,
    *,
    log: Log,
    packages: Sequence[Package],
    run: RunInfo,
    max_groups: int | None,
) -> bytes:
    """Return the result document of some hosts of a log; a plain function of files and values.

    Args:
        agents: The hosts.
        index: Where their batches stand.
        log: The log.
        packages: The rules.
        run: The run that the document is of.
        max_groups: Findings of one rule on one host; None = no bound.

    Raises:
        SegmentReadError: A file cannot be read, or was written by another version.
    """
    timeline = Timeline(
        run_from_us=log.from_us, run_to_us=log.to_us, clock=ManualClock(), agents=agents
    )
    engine: Engine = FusedEngine(rule for package in packages for rule in package.rules)
    for piece in sealed_slices(log, timeline, index):
        engine.feed(piece)
    hosts = timeline.agents
    result = assemble(
        run=run,
        packages=packages,
        outcomes=engine.outcomes(timeline.ledger, hosts, max_groups=max_groups),
        ledger=timeline.ledger,
        events=timeline.events,
        hostnames={host: name for host in hosts if (name := log.hosts.get(host)) is not None},
    )
    return to_json(result)


def _problem(log: Log, takings: Takings) -> str:
    """Return in which files a log is not the one that was judged; empty where it is."""
    if log.taken is None or takings.segments == log.taken:
        return ""
    found = {item.number: item for item in takings.segments}
    damaged = {item.number: item.damaged for item in summarize_segments(log.folder)}
    return "; ".join(_file_problems(log.taken, found, damaged))


def _file_problems(
    taken: Iterable[SegmentTaken], found: Mapping[int, SegmentTaken], damaged: Mapping[int, int]
) -> Iterator[str]:
    for item in taken:
        now = found.get(item.number)
        if now == item:
            continue
        name = f"{item.number:08d}.seg"
        if item.number not in damaged:
            yield f"{name} is missing"
        elif now is None or now.records < item.records:
            records = 0 if now is None else now.records
            broken = f", {damaged[item.number]} are damaged" if damaged[item.number] else ""
            yield f"{name} holds {records} of {item.records} batches{broken}"
        else:
            yield f"{name} holds other batches than were judged"
