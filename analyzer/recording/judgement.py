"""Recorded: the judgement of a recording.

In: tables, headers and coverage rows of a file, in any order of lines. Out: the same result, to the
byte, as for every other order of the same lines.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from analyzer.canonical.digests import EventsDigest
from analyzer.canonical.lines import ordered_lines
from analyzer.engine import FusedEngine
from analyzer.results.document import Digests, Result, RunInfo, assemble
from analyzer.telemetry.many_hosts import (
    WINDOW_ROWS,
    events_by_host,
    host_slices,
    of_hosts,
    span_us,
)
from rules.format import digest_of
from rules.loader import rules_digest
from rules.outcome import MAX_GROUPS
from rules.telemetry.ledger import Intervals, Ledger
from rules.telemetry.ndjson import encode_capture, encode_coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from analyzer.engine import Engine
    from analyzer.recording import Recorded
    from analyzer.telemetry.many_hosts import HostRows
    from analyzer.telemetry.slices import Slice
    from rules.loader import Package

RUN_NAME = "check"
_MANY_ROWS = 100_000  # from here on it pays to load compiled code


def judge_recording(
    recorded: Recorded,
    packages: Sequence[Package],
    *,
    lenient: bool = False,
    max_groups: int | None = MAX_GROUPS,
    digests: Digests | None = None,
    agents: Collection[str] | None = None,
    on_piece: Callable[[int, int], None] | None = None,
) -> Result:
    """Return what the rules of ``packages`` make of a recording.

    Args:
        recorded: As it was read.
        packages: The rules.
        lenient: Whether bad lines were skipped; then the result says how many.
        max_groups: Findings of one rule on one host; None = no bound.
        digests: Those of ``digests_of``, where they are known already.
        agents: The hosts to judge, with ``digests``; None = all. The run is the same whichever
            they are.
        on_piece: Told now and then how many rows are judged, as what is done and as events.

    Raises:
        OSError: A large recording needs temporary files, and there is no room for them.
    """
    ledger = ledger_of(recorded, agents=agents)
    tables = recorded.tables if agents is None else of_hosts(recorded.tables, agents)
    engine: Engine = FusedEngine(rule for package in packages for rule in package.rules)
    with ThreadPoolExecutor(1) as beside:  # hashing leaves the other core to the engine
        made = beside.submit(
            lambda: (
                digests or digests_of(recorded, packages, lenient=lenient, max_groups=max_groups)
            )
        )
        _feed(engine, tables, ledger, on_piece)
        outcomes = engine.outcomes(ledger, ledger.agents, max_groups=max_groups)
        digests = made.result()
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
        outcomes=outcomes,
        ledger=ledger,
        events=events_by_host(tables),
        skipped=recorded.skipped if lenient else None,
    )


def digests_of(
    recorded: Recorded, packages: Sequence[Package], *, lenient: bool, max_groups: int | None
) -> Digests:
    """Return the digests of a recording, of rules, and of the settings they are judged with.

    Raises:
        OSError: A large recording needs temporary files, and there is no room for them.
    """
    with EventsDigest(make_lines=_lines_of(recorded)) as events:
        events.add_events(recorded.tables)
        events.add_others(_other_lines(recorded))
        return Digests(
            events=events.hexdigest(),
            rules=rules_digest(packages),
            settings=digest_of({"lenient": lenient, "max_groups": max_groups}),
        )


def hosts_of(recorded: Recorded) -> set[str]:
    """Return the hosts that a recording speaks of."""
    named = events_by_host(recorded.tables).keys()
    return {*named, *recorded.headers, *(agent_id for agent_id, _ in recorded.coverage)}


class SealedRecording:
    """A recording as slices of its hosts.

    Attributes:
        ledger: What was watched.
        tables: Its rows by kind.
    """

    def __init__(self, recorded: Recorded) -> None:
        """Seal what was read."""
        self.ledger = ledger_of(recorded)
        self.tables = recorded.tables

    def __iter__(self) -> Iterator[Slice]:
        """Yield the slices of the hosts."""
        ledger = self.ledger
        return iter(host_slices(self.tables, from_us=ledger.from_us, to_us=ledger.to_us + 1))


def ledger_of(recorded: Recorded, *, agents: Collection[str] | None = None) -> Ledger:
    """Return what was watched: the run is the hull of all headers and all events.

    Args:
        recorded: As it was read.
        agents: The hosts to enter; None = all.
    """
    headers = recorded.headers
    times_us = span_us(recorded.tables)
    ledger = Ledger(
        min([*(header.from_us for header in headers.values()), *times_us], default=0),
        max([*(header.to_us for header in headers.values()), *times_us], default=0),
    )
    wanted = hosts_of(recorded) if agents is None else set(agents)
    for agent_id in wanted - headers.keys():
        ledger.add_host(agent_id)
    for agent_id in wanted & headers.keys():
        header = headers[agent_id]
        watched = Intervals([(header.from_us, header.to_us)])
        ledger.add_host(agent_id, watched=watched, kinds=header.kinds)
    for agent_id, row in recorded.coverage:
        if agent_id in wanted:
            ledger.add_coverage(agent_id, row)
    return ledger


def _feed(
    engine: Engine,
    tables: Sequence[HostRows],
    ledger: Ledger,
    on_piece: Callable[[int, int], None] | None,
) -> None:
    done = told = 0
    for piece in host_slices(tables, from_us=ledger.from_us, to_us=ledger.to_us + 1):
        engine.feed(piece)
        done += len(piece)
        if on_piece is not None and done - told >= WINDOW_ROWS:
            told = done
            on_piece(done, done)


def _lines_of(recorded: Recorded) -> Callable[[Sequence[HostRows]], bytes | memoryview]:
    """Return what makes the lines of a recording."""
    if sum(map(len, recorded.tables)) < _MANY_ROWS:
        return ordered_lines
    from analyzer.canonical.rendering import Renderer  # loads the compiler

    return Renderer(recorded.dictionary).ordered_lines


def _other_lines(recorded: Recorded) -> Iterator[bytes]:
    yield from map(encode_capture, recorded.headers.values())
    for agent_id, row in recorded.coverage:
        yield encode_coverage(agent_id, row)
