"""Recorded: the judgement of a recording.

In: rows, headers and coverage rows of a file, in any order of lines. Out: the same result, to the
byte, as for every other order of the same lines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING

from analyzer.digests import LinesDigest
from analyzer.engine import ReferenceEngine
from analyzer.results import Digests, Result, RunInfo, assemble
from analyzer.timeline import Slice
from rules.format import digest_of
from rules.loader import rules_digest
from rules.outcome import MAX_GROUPS
from rules.telemetry.ledger import Intervals, Ledger
from rules.telemetry.ndjson import encode_capture, encode_coverage, encode_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analyzer.engine import Engine
    from rules.loader import Package
    from rules.telemetry.batch import Row
    from rules.telemetry.recording import Recording

RUN_NAME = "check"


def judge_recording(
    recording: Recording,
    packages: Sequence[Package],
    *,
    lenient: bool = False,
    max_groups: int | None = MAX_GROUPS,
) -> Result:
    """Return what the rules of ``packages`` make of a recording.

    Args:
        recording: As it was read; its rows have their derived columns.
        packages: The rules.
        lenient: Whether bad lines were skipped; then the result says how many.
        max_groups: Findings of one rule on one host; None = no bound.

    Raises:
        OSError: A large recording needs temporary files, and there is no room for them.
    """
    ledger = ledger_of(recording)
    engine: Engine = ReferenceEngine(rule for package in packages for rule in package.rules)
    for piece in _slices(recording, ledger):
        engine.feed(piece)
    with LinesDigest() as events:
        events.update(_lines(recording))
        digests = Digests(
            events=events.hexdigest(),
            rules=rules_digest(packages),
            settings=digest_of({"lenient": lenient, "max_groups": max_groups}),
        )
    run = RunInfo(
        id=digests.run_id,
        name=RUN_NAME,
        state="COMPLETED",
        from_us=ledger.from_us,
        to_us=ledger.to_us,
        digests=digests,
    )
    return assemble(
        run=run,
        packages=packages,
        outcomes=engine.outcomes(ledger, ledger.agents, max_groups=max_groups),
        ledger=ledger,
        events=Counter(row["agent_id"] for row in recording.rows),
        skipped=recording.skipped if lenient else None,
    )


def ledger_of(recording: Recording) -> Ledger:
    """Return what was watched: the run is the hull of all headers and all events."""
    headers = recording.headers
    starts = [header.from_us for header in headers.values()]
    ends = [header.to_us for header in headers.values()]
    times = [row["ts_us"] for row in recording.rows]
    ledger = Ledger(min(starts + times, default=0), max(ends + times, default=0))
    for agent_id in {row["agent_id"] for row in recording.rows} - headers.keys():
        ledger.add_host(agent_id)
    for agent_id, header in headers.items():
        watched = Intervals([(header.from_us, header.to_us)])
        ledger.add_host(agent_id, watched=watched, kinds=header.kinds)
    for agent_id, row in recording.coverage:
        ledger.add_coverage(agent_id, row)
    return ledger


def _slices(recording: Recording, ledger: Ledger) -> Iterator[Slice]:
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in recording.rows:
        rows[row["agent_id"]].append(row)
    for agent_id, own in sorted(rows.items()):
        own.sort(key=itemgetter("ts_us"))
        yield Slice(agent_id, ledger.from_us, ledger.to_us + 1, tuple(own))


def _lines(recording: Recording) -> Iterator[bytes]:
    yield from map(encode_capture, recording.headers.values())
    for agent_id, row in recording.coverage:
        yield encode_coverage(agent_id, row)
    yield from map(encode_row, recording.rows)
