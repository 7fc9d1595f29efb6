"""Check: the assessment of this host by this process, without a broker.

In: a collector and rules packages. Out: a result, as a run over a broker would give it: the same
batches go through the same timeline and engine.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.batching import Batcher, Limits
from agent.collect import HostCollector
from agent.config import load_settings
from agent.errors import ConfigError
from agent.identity import find_agent_id, hostname
from analyzer.canonical.digests import EventsDigest
from analyzer.engine import FusedEngine
from analyzer.errors import AnalyzerError
from analyzer.present.progress import RunStatus
from analyzer.results.document import Digests, Result, RunInfo, assemble
from analyzer.telemetry.many_hosts import of_piece
from analyzer.timeline.timeline import Timeline
from rules.format import digest_of
from rules.loader import rules_digest
from rules.outcome import MAX_GROUPS
from rules.telemetry.header import Coverage
from rules.telemetry.ledger import Intervals, Ledger
from rules.telemetry.ndjson import encode_coverage
from rules.watched import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.collect import Collector, SensorReport
    from analyzer.engine import Engine
    from rules.loader import Package
    from rules.telemetry.clock import Clock

RUN_NAME: Final = "check"
STEP_S: Final = 0.5  # between two looks at the collector
_LIMITS: Final = Limits(max_age_s=1.0, idle_age_s=1.0)


@dataclass(frozen=True, slots=True)
class Host:
    """Who is assessed."""

    agent_id: str
    hostname: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What an assessment came to."""

    result: Result
    processes: int
    """Distinct processes that events named."""
    interrupted: bool


def this_host(environ: Mapping[str, str], clock: Clock) -> tuple[Host, HostCollector]:
    """Return this host and what observes it, by the settings of its agent.

    Raises:
        AnalyzerError: The agent's settings cannot be read.
    """
    try:
        settings = load_settings(environ=environ).settings
    except ConfigError as error:
        raise AnalyzerError(str(error)) from error
    name = hostname()
    try:
        agent_id = find_agent_id(
            configured=settings.agent_id,
            state_dir=Path(settings.state_dir),
            random=name.encode(),
        )
    except ConfigError:  # nothing gives this host an id, and none may be stored
        agent_id = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:128] or "this-host"
    return Host(agent_id, name), HostCollector(clock, settings)


class Assessment:
    """One assessment of this host."""

    def __init__(
        self,
        collector: Collector,
        *,
        clock: Clock,
        host: Host,
        packages: Sequence[Package],
        duration_s: float,
        max_groups: int | None = MAX_GROUPS,
    ) -> None:
        """Prepare; nothing is observed before ``start``.

        Args:
            collector: What observes this host; started and stopped here.
            clock: The clock of this host.
            host: Its id and name in the result.
            packages: The rules.
            duration_s: How long to observe, from readiness on.
            max_groups: Findings of one rule; None = no bound.
        """
        self._collector = collector
        self._clock = clock
        self._host = host
        self._packages = packages
        self._duration_s = duration_s
        self._max_groups = max_groups
        self._rules = [rule for package in packages for rule in package.rules]
        self._kinds = frozenset(kind for rule in self._rules for kind in rule.telemetry)
        self._engine: Engine = FusedEngine(self._rules, clock=clock)
        self._batcher = Batcher(
            agent_id=host.agent_id, boot_id=os.urandom(16).hex(), limits=_LIMITS
        )
        self._processes: set[int] = set()  # ids of the timeline's dictionary
        self._events = 0
        self._timeline = self._timeline_from(clock.now_us())

    @property
    def reports(self) -> list[SensorReport]:
        """Return what to know of each sensor."""
        return self._collector.reports()

    async def start(self) -> None:
        """Return once the host is being observed; the assessment's time counts from here."""
        await self._collector.start(self._kinds)
        from_us = self._clock.now_us()
        self._timeline = self._timeline_from(from_us)
        self._batcher.begin(
            from_us=from_us, runs=(), wanted=self._kinds, collected=self._collector.collected()
        )

    def blind_rules(self) -> dict[str, str]:
        """Return the rules that cannot be evaluated here, however long it takes, and why."""
        ledger = Ledger(0, 1)
        agent_id = self._host.agent_id
        ledger.add_host(agent_id, watched=Intervals([(0, 1)]), kinds=self._collector.collected())
        for report in self._collector.reports():
            row = Coverage(report.name, report.kinds, 0, 1, report.state, method=report.method)
            ledger.add_coverage(agent_id, row)
        reasons = {
            rule.id: watched(rule.detection, agent_id, ledger).reason for rule in self._rules
        }
        return {name: reason for name, reason in reasons.items() if reason is not None}

    async def run(self, stop: asyncio.Event, on_status: Callable[[RunStatus], None]) -> Checked:
        """Observe until the time is over or ``stop`` is set, then judge.

        Args:
            stop: Ends the assessment early; what was seen until then is judged.
            on_status: Told now and then how far it is.

        Raises:
            OSError: A very large run needs temporary files, and there is no room for them.
        """
        with EventsDigest() as digest:
            try:
                on_status(self._status())
                while not stop.is_set() and self._left_s > 0:
                    await self._collector.wait(min(STEP_S, self._left_s))
                    await self._take()
                    if self._batcher.is_due:
                        await self._cut(digest)
                    on_status(self._status())
            finally:
                await self._collector.stop()
            await self._take()
            await self._cut(digest)
            self._timeline.stop(self._batcher.to_us)
            self._seal(digest)
            return Checked(self._result(digest), self._count_processes(), stop.is_set())

    def _timeline_from(self, from_us: int) -> Timeline:
        return Timeline(
            run_from_us=from_us,
            run_to_us=from_us + round(self._duration_s * 1e6),
            clock=self._clock,
            agents=[self._host.agent_id],
        )

    @property
    def _left_s(self) -> float:
        return (self._timeline.run_to_us - self._clock.now_us()) / 1e6

    async def _take(self) -> None:
        # Read before the drain: later events may be missing from it, earlier ones are not.
        until_us = min(self._clock.now_us(), self._timeline.run_to_us)
        await self._collector.catch_up()
        events = self._collector.drain()
        self._events += len(events)
        self._batcher.add(events, until_us=until_us)

    async def _cut(self, digest: EventsDigest) -> None:
        from_us, to_us = self._batcher.from_us, self._batcher.to_us
        coverage = await asyncio.to_thread(self._collector.coverage, from_us, to_us)
        for batch in self._batcher.cut(coverage):
            self._timeline.add(batch)
            digest.add_others(
                encode_coverage(self._host.agent_id, row) for row in batch.header.coverage
            )
        self._seal(digest)

    def _seal(self, digest: EventsDigest) -> None:
        for piece in self._timeline.seal():
            self._engine.feed(piece)
            digest.add_events(of_piece(piece))
            for table in piece.tables.values():
                self._processes.update(np.unique(table.process).tolist())

    def _count_processes(self) -> int:
        known = self._timeline.dictionary.processes
        named = (known[process] for process in self._processes)
        return len({process[:3] for process in named if process.pid is not None})

    def _status(self) -> RunStatus:
        outcomes = self._engine.provisional(self._timeline.ledger, [self._host.agent_id])
        return RunStatus(
            phase="Collecting",
            elapsed_s=self._duration_s - max(0.0, self._left_s),
            total_s=self._duration_s,
            events=self._events,
            findings=sum(len(outcome.groups) for outcome in outcomes),
        )

    def _result(self, digest: EventsDigest) -> Result:
        timeline = self._timeline
        from_us, to_us = timeline.run_from_us, timeline.run_to_us
        settings = {"from_us": from_us, "max_groups": self._max_groups, "to_us": to_us}
        digests = Digests(
            events=digest.hexdigest(),
            rules=rules_digest(self._packages),
            settings=digest_of(settings),
        )
        agents = [self._host.agent_id]
        return assemble(
            run=RunInfo(
                id=digests.run_id,
                name=RUN_NAME,
                state="COMPLETED",
                from_us=from_us,
                to_us=to_us,
                digests=digests,
            ),
            packages=self._packages,
            outcomes=self._engine.outcomes(timeline.ledger, agents, max_groups=self._max_groups),
            ledger=timeline.ledger,
            events=timeline.events,
            hostnames={self._host.agent_id: self._host.hostname},
        )
