"""A live run: what the server holds in memory of one assessment run that has not ended.

In: durable batches, in the order of the log. Out: when its agents began, its timeline, and what the
engine makes of the sealed slices. All of it can be made again from the run's log.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from analyzer.canonical.digests import BatchId
from analyzer.engine import FusedEngine
from analyzer.errors import SnapshotError
from analyzer.ingest.accept import RunWindow
from analyzer.model import MessageCount, Progress, Run, RunState
from analyzer.runs.message_types import count_messages
from analyzer.runs.recovery import Snapshot
from analyzer.timeline.takings import Takings, sealed_moments
from analyzer.timeline.timeline import Timeline
from rules.telemetry.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.ingest.receive import Stored
    from analyzer.model import Agent
    from analyzer.telemetry.slices import Slice
    from rules.format import Rule
    from rules.loader import Package
    from rules.outcome import Outcome
    from rules.telemetry import Clock

MAX_BEHIND_US: Final = 3_600_000_000  # a clock that is further behind holds up no run
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
        takings: What it has taken of its log.
        telemetry: Agent → type of message → what came of it.
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
        self.takings = Takings()
        self.telemetry: dict[str, dict[str, MessageCount]] = {}
        self._inbox: deque[Stored] = deque()  # filled by the event loop, emptied by ``seal``
        self._engine = FusedEngine(self.rules)
        self._count = 0
        self._known: dict[int, int] = {}  # records of each file that a snapshot has taken in
        self._late: dict[BatchId, int] = {}
        self._noted: set[BatchId] = set()
        self._behind_us: dict[str, int] = {}

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

    @property
    def behind_us(self) -> int:
        """Return how far the slowest clock of its hosts is behind ours."""
        return max(self._behind_us.values(), default=0)

    def note_offsets(self, agents: Mapping[str, Agent]) -> None:
        """Wait for hosts whose clocks are behind, as they reach the run's end later.

        A clock that is ahead changes nothing: it may just have been set, and a host must not be
        given up early for what it was. Not to be called while ``seal`` runs.
        """
        for agent_id in self.run.agents:
            if agent_id in agents and self.timeline is not None:
                behind_us = min(max(0, -agents[agent_id].clock_offset_us), MAX_BEHIND_US)
                self._behind_us[agent_id] = behind_us
                self.timeline.set_offset(agent_id, -behind_us)

    def snapshot(self) -> Snapshot | None:
        """Return what it knows, for ``restore``; None before anything was judged.

        Not to be called while ``seal`` runs; ``add`` may be called meanwhile.
        """
        if self.timeline is None or not any(self.events.values()):
            return None
        return Snapshot.of(
            taken={each.number: each.records for each in self.takings.segments},
            late=self.takings.late,
            first_us=self.first_us.copy(),
            interval=(self.timeline.run_from_us, self.timeline.run_to_us),
            hosts=self.timeline.state(),
            engine=self._engine.snapshot(),
            telemetry=self.telemetry,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Take up a snapshot; to be called after ``begin`` and before anything is added.

        Raises:
            SnapshotError: It is of other rules or another interval, and nothing was taken up.
        """
        if self.timeline is None or snapshot.interval != self.run.interval:
            raise SnapshotError("the snapshot is of another interval")
        dictionary = self._engine.restore(snapshot.engine)
        self.timeline.load(snapshot.hosts_of(dictionary), dictionary)
        self.first_us = dict(snapshot.first_us)
        self.telemetry = dict(snapshot.telemetry)
        self._known = dict(snapshot.taken)
        self._late = sealed_moments(snapshot.late)

    def has_taken(self, batch: BatchId, *, segment: int, sha256: bytes) -> bool:
        """Tell whether the next record of the log is in the snapshot; if so, note it.

        To be called for every record of the log in its order, before ``add``.
        """
        if not self._known.get(segment):
            return False
        self._known[segment] -= 1
        self._count += 1
        self.takings.record(segment, sha256)
        if batch not in self._noted:
            self._noted.add(batch)
            self.takings.take(batch, sha256, late_before_us=self._late.get(batch))
        return True

    def add(self, stored: Stored) -> None:
        """Take the next batch of its log; one that came before is ignored."""
        header = stored.batch.header
        earlier = self.first_us.get(header.agent_id, header.from_us)
        self.first_us[header.agent_id] = min(earlier, header.from_us)
        self._count += 1
        self._inbox.append(stored)

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
        if self.timeline is not None:
            self._place_all(self.timeline)
            self._feed(self.timeline.seal())

    def finish(self) -> None:
        """Take what came until now and seal everything, whatever is missing: for the verdict."""
        if self.timeline is not None:
            self._place_all(self.timeline)
            self._feed(self.timeline.seal_to())

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

    def outcomes(self) -> list[Outcome]:
        """Return the outcome of every rule on every host, from what is sealed."""
        return self._engine.outcomes(self.ledger, list(self.run.agents))

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

    def _place_all(self, timeline: Timeline) -> None:
        while self._inbox:
            self._place(timeline, self._inbox.popleft())

    def _feed(self, slices: Iterable[Slice]) -> None:
        for piece in slices:
            self._engine.feed(piece)

    def _place(self, timeline: Timeline, stored: Stored) -> None:
        self.takings.record(stored.segment, stored.sha256)
        sealed_us = timeline.add_logged(stored.batch)
        if sealed_us is not None:
            header = stored.batch.header
            before = self.telemetry.get(header.agent_id, {})
            self.telemetry[header.agent_id] = count_messages(stored.batch, before)
            batch = BatchId(header.agent_id, header.boot_id, header.stream, header.sequence)
            late_before_us = sealed_us if sealed_us > timeline.run_from_us else None
            self.takings.take(batch, stored.sha256, late_before_us=late_before_us)


def chosen_packages(packages: Iterable[Package], wanted: tuple[str, ...]) -> list[Package]:
    """Return the packages whose ids are wanted; all of them where nothing is named."""
    return [package for package in packages if not wanted or package.id in wanted]
