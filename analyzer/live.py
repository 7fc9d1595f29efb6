"""A live run: what the server holds in memory of one assessment run that has not ended.

In: durable batches, in the order of the log. Out: when its agents began, its timeline, and what the
engine makes of the sealed slices. All of it can be made again from the run's log.
"""

from __future__ import annotations

from collections import Counter, deque
from contextlib import ExitStack
from typing import TYPE_CHECKING

from analyzer.digests import LinesDigest
from analyzer.engine import ReferenceEngine
from analyzer.frontier import Boot
from analyzer.ingest.accept import RunWindow
from analyzer.model import Progress, Run, RunState
from analyzer.timeline import Timeline
from rules.telemetry.ledger import Ledger
from rules.telemetry.ndjson import encode_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analyzer.engine import Engine
    from rules.format import Rule
    from rules.loader import Package
    from rules.outcome import Outcome
    from rules.telemetry import Batch, Clock

_TAKING = frozenset(
    {
        RunState.START_DATA_COLLECTION_IN_PROGRESS,
        RunState.COLLECTING_DATA,
        RunState.STOP_DATA_COLLECTION_PENDING,
    }
)


class LiveRun:
    """One run in progress.

    Attributes:
        run: Its latest state; the server replaces it.
        first_us: Agent → the first moment of the run that a durable batch of it covers.
        grace_from_us: Grace is not counted before this moment.
    """

    def __init__(
        self, run: Run, *, packages: list[Package], clock: Clock, grace_from_us: int = 0
    ) -> None:
        """Hold a run that judges by ``packages``."""
        self.run = run
        self.packages = packages
        self.first_us: dict[str, int] = {}
        self.grace_from_us = grace_from_us
        self.timeline: Timeline | None = None
        self._clock = clock
        self._inbox: deque[Batch] = deque()  # filled by the event loop, emptied by ``seal``
        self._boots: dict[str, set[Boot]] = {}
        self._engine: Engine = ReferenceEngine(self.rules)
        self._open = ExitStack()
        self._digest = self._open.enter_context(LinesDigest())
        self._count = 0

    @property
    def rules(self) -> list[Rule]:
        """Return the rules it judges by."""
        return [rule for package in self.packages for rule in package.rules]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the telemetry kinds that its rules need, sorted."""
        return tuple(sorted({kind for rule in self.rules for kind in rule.telemetry}))

    @property
    def takes_telemetry(self) -> bool:
        """Tell whether batches for it are accepted now."""
        return self.run.state in _TAKING

    @property
    def is_complete(self) -> bool:
        """Tell whether every agent's telemetry has reached the end."""
        return self.timeline is not None and self.timeline.is_complete(self.run.agents)

    def add(self, batch: Batch) -> None:
        """Take one durable batch; one that came before is ignored."""
        header = batch.header
        earlier = self.first_us.get(header.agent_id, header.from_us)
        self.first_us[header.agent_id] = min(earlier, header.from_us)
        self._count += 1
        self._inbox.append(batch)

    def begin(self) -> None:
        """Open the timeline, now that the run has its interval."""
        from_us, to_us = self.run.interval
        self.timeline = Timeline(
            run_from_us=from_us, run_to_us=to_us, clock=self._clock, agents=self.run.agents
        )

    def seal(self) -> None:
        """Put what came into its place, and give the engine what is complete by now.

        May run in a thread while the event loop goes on to ``add``; nothing else may.
        """
        if self.timeline is None:
            return
        while self._inbox:
            self._place(self.timeline, self._inbox.popleft())
        for piece in self.timeline.seal():
            self._engine.feed(piece)
            self._digest.update(encode_row(row) for row in piece.rows)

    @property
    def ledger(self) -> Ledger:
        """Return what was watched; of a run that never began, nothing."""
        if self.timeline is not None:
            return self.timeline.ledger
        return Ledger(*self.run.interval)

    @property
    def events(self) -> dict[str, int]:
        """Return how many rows are sealed, by host."""
        return self.timeline.events if self.timeline else {}

    def events_digest(self) -> str:
        """Return the hash of every sealed row, whatever the order they came in."""
        return self._digest.hexdigest()

    def outcomes(self) -> list[Outcome]:
        """Return the outcome of every rule on every host, from what is sealed."""
        return self._engine.outcomes(self.ledger, list(self.run.agents))

    def close(self) -> None:
        """Let go of temporary files."""
        self._open.close()

    def progress(self, *, rejected: int) -> Progress:
        """Return how far it is, with provisional findings by severity."""
        events = sum(self.events.values())
        severities = {rule.id: str(rule.severity) for rule in self.rules}
        findings = Counter[str]()
        if self.timeline is not None:
            for outcome in self._engine.provisional(self.timeline.ledger, list(self.run.agents)):
                findings[severities[outcome.rule_id]] += len(outcome.groups)
        return Progress(
            events=events, batches=self._count, rejected=rejected, findings=dict(+findings)
        )

    def window(self) -> RunWindow:
        """Return what the accept rules need to know."""
        return RunWindow(frozenset(self.run.agents), self.run.from_us, self.run.to_us)

    def _place(self, timeline: Timeline, batch: Batch) -> None:
        header = batch.header
        boot = Boot(header.boot_id, header.stream)
        boots = self._boots.setdefault(header.agent_id, set())
        if not boots and header.sequence > 1:
            # What this agent sent before is no part of the run: do not wait for it.
            timeline.settle(header.agent_id, boot, high=header.sequence - 1)
        boots.add(boot)
        timeline.add(batch)


def chosen_packages(packages: Iterable[Package], wanted: tuple[str, ...]) -> list[Package]:
    """Return the packages whose ids are wanted; all of them where nothing is named."""
    return [package for package in packages if not wanted or package.id in wanted]
