"""Timeline: batches of many hosts in any order, in; sealed slices in the order of time, out.

The way from ingest to the engine. It also keeps the ledger of the run: what was watched of each
host, what was lost, and what came too late.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from analyzer.telemetry.columns import batch_columns
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.slices import Slice, joined
from analyzer.timeline.frontier import Arrival, Boot, Frontier
from analyzer.timeline.watched import Watched
from rules.telemetry.ledger import Intervals, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analyzer.telemetry.slices import Columns
    from rules.telemetry.batch import Batch, Header
    from rules.telemetry.clock import Clock

GRACE_US = 60_000_000  # how long a missing batch, or a host at the end of the run, is waited for
MAX_PENDING = 1_000_000  # events of one host that may wait for a missing batch


class Timeline:
    """The telemetry of one run [run_from_us, run_to_us), host by host.

    How slices are cut depends on when ``seal`` is called. Their rows together, and the ledger, do
    not depend on it, nor on the order in which batches arrive, as long as no batch is missing for
    longer than ``grace_us``. A row is late if the interval of its own batch begins after it, or
    if its batch came after it had been given up.
    """

    def __init__(
        self,
        *,
        run_from_us: int,
        run_to_us: int,
        clock: Clock,
        grace_us: int = GRACE_US,
        agents: Iterable[str] = (),
        max_pending: int = MAX_PENDING,
    ) -> None:
        """Open the timeline of a run.

        Args:
            run_from_us: Start of the interval that is judged.
            run_to_us: Its end.
            clock: Clock of the analyzer.
            grace_us: How long to wait for what is missing.
            agents: Hosts of the run; each stands in the ledger even if it never reports.
            max_pending: Events of one host that may wait for a missing batch; with more of them
                the batch is given up at once.
        """
        self.run_from_us = run_from_us
        self.run_to_us = run_to_us
        self.grace_us = grace_us
        self.dictionary = Dictionary()
        self._clock = clock
        self._max_pending = max_pending
        self._hosts: dict[str, _Host] = {}
        self._ledger: Ledger | None = None
        for agent_id in agents:
            self._host(agent_id)

    @property
    def agents(self) -> list[str]:
        """Return the hosts of the run, sorted."""
        return sorted(self._hosts)

    @property
    def events(self) -> dict[str, int]:
        """Return how many rows have been sealed, by host."""
        return {agent_id: host.sealed_rows for agent_id, host in sorted(self._hosts.items())}

    @property
    def ledger(self) -> Ledger:
        """Return what was watched so far: a new object whenever something was added."""
        if self._ledger is None:
            self._ledger = Ledger(self.run_from_us, self.run_to_us)
            for agent_id, host in sorted(self._hosts.items()):
                host.watched.enter(self._ledger, agent_id)
        return self._ledger

    def add(self, batch: Batch, *, sealed_us: int | None = None) -> int | None:
        """Take one batch; one that came before is ignored, and so are rows outside the run.

        Args:
            batch: In any order.
            sealed_us: Up to where the host counts as sealed for this batch; None = as far as it
                is. A replay says what was so when the batch came.

        Returns:
            None for a batch that came before, else the moment before which its rows came too
            late; the start of the run where that is true of none.
        """
        header = batch.header
        host = self._host(header.agent_id)
        boot = Boot(header.boot_id, header.stream)
        if not host.receive(boot, header.sequence):
            return None
        if not host.frontier.has(boot, header.sequence):
            host.frontier.add(
                boot,
                header.sequence,
                arrival=Arrival(header.from_us, header.to_us, self._clock.now_us()),
                dropped=Intervals(
                    (loss.from_us, loss.to_us)
                    for loss in header.losses
                    if loss.to_us <= header.from_us
                ),
            )
        host.watched.add(header)
        tables = batch_columns(batch, self.dictionary)
        sealed_us = host.sealed_us if sealed_us is None else sealed_us
        host.take(header, tables, sealed_us=sealed_us, run_to_us=self.run_to_us)
        self._ledger = None
        is_late = any(int(table.ts_us.min()) < sealed_us for table in tables.values())
        return sealed_us if is_late else self.run_from_us

    def add_logged(self, batch: Batch) -> int | None:
        """Take the next batch of a run's log; returns what ``add`` returns.

        What an agent sent before its first batch there is no part of the run: it is not waited for.
        """
        header = batch.header
        host = self._host(header.agent_id)
        if not host.has_batches and header.sequence > 1:
            boot = Boot(header.boot_id, header.stream)
            self.settle(header.agent_id, boot, high=header.sequence - 1)
        return self.add(batch)

    def settle(self, agent_id: str, boot: Boot, *, low: int = 1, high: int) -> None:
        """Do not wait for batches ``low`` to ``high``: rejected, or sent before the run began.

        Without this, a host whose first batch of the run is not number 1 waits for ``grace_us``.
        """
        self._host(agent_id).frontier.settle(boot, low=low, high=high)

    def set_offset(self, agent_id: str, offset_us: int) -> None:
        """Note how far the host's clock is ahead of ours; it moves the host's deadline."""
        self._host(agent_id).offset_us = offset_us

    def stop(self, to_us: int) -> None:
        """End the run early, but not before what has been sealed already."""
        sealed_us = max((host.sealed_us for host in self._hosts.values()), default=to_us)
        self.run_to_us = min(self.run_to_us, max(to_us, sealed_us))
        self._ledger = None

    def seal(self) -> list[Slice]:
        """Return the next slice of every host that got further, by host."""
        now_us = self._clock.now_us()
        slices = []
        for agent_id, host in sorted(self._hosts.items()):
            is_full = host.pending_rows > self._max_pending
            host.frontier.give_up(before_us=now_us if is_full else now_us - self.grace_us)
            to_us = self.watermark(agent_id)
            if to_us > host.sealed_us:
                from_us = host.sealed_us
                slices.append(Slice(agent_id, from_us, to_us, host.cut(to_us)))
        return slices

    def seal_to(self, moments: Mapping[str, int] | None = None) -> list[Slice]:
        """Return the next slice of hosts up to given moments, whatever may be missing.

        Args:
            moments: Agent → up to where; None = every host up to the end of the run.
        """
        slices = []
        for agent_id, host in sorted(self._hosts.items()):
            to_us = self.run_to_us if moments is None else moments.get(agent_id, 0)
            from_us, to_us = host.sealed_us, min(to_us, self.run_to_us)
            if to_us > from_us:
                slices.append(Slice(agent_id, from_us, to_us, host.cut(to_us)))
        return slices

    def watermark(self, agent_id: str) -> int:
        """Return the moment before which nothing of this host is waited for."""
        host = self._hosts.get(agent_id)
        if host is None:
            return self.run_from_us
        now_us = self._clock.now_us()
        if now_us + host.offset_us >= self.run_to_us + self.grace_us:
            return self.run_to_us
        return min(self.run_to_us, max(host.sealed_us, host.frontier.at(now_us)))

    def is_complete(self, agents: Iterable[str] | None = None) -> bool:
        """Tell whether no host has anything to wait for: the run may close after a last ``seal``.

        Args:
            agents: The hosts that matter; all that are known if left out.
        """
        wanted = self._hosts if agents is None else agents
        return all(self.watermark(agent_id) >= self.run_to_us for agent_id in wanted)

    @property
    def silent(self) -> list[str]:
        """Return the hosts whose telemetry does not reach the end of the run, sorted."""
        now_us = self._clock.now_us()
        return [
            agent_id
            for agent_id, host in sorted(self._hosts.items())
            if host.frontier.at(now_us) < self.run_to_us
        ]

    def state(self) -> dict[str, Any]:
        """Return what is known of each host as plain values and columns, for ``load``."""
        return {agent_id: host.state() for agent_id, host in self._hosts.items()}

    def load(self, state: dict[str, Any], dictionary: Dictionary) -> None:
        """Take up what another timeline of the same run knew.

        Args:
            state: As ``state`` returned it.
            dictionary: What the ids of its columns mean.
        """
        self.dictionary = dictionary
        self._ledger = None
        for agent_id, host in state.items():
            self._host(agent_id).load(host)

    def _host(self, agent_id: str) -> _Host:
        host = self._hosts.get(agent_id)
        if host is None:
            host = self._hosts[agent_id] = _Host(self.run_from_us)
            self._ledger = None
        return host


class _Host:
    def __init__(self, run_from_us: int) -> None:
        self.frontier = Frontier(run_from_us)
        self.watched = Watched()
        self.sealed_us = run_from_us
        self.sealed_rows = 0
        self.offset_us = 0
        self.pending_rows = 0
        self._received: dict[Boot, Intervals] = {}
        self._parts: dict[str, list[tuple[int, Columns]]] = defaultdict(list)
        """By kind, in the order of arrival: the time of the first row, and rows of one batch."""

    @property
    def has_batches(self) -> bool:
        """Tell whether any batch came."""
        return bool(self._received)

    def state(self) -> dict[str, Any]:
        """Return everything; ``parts`` holds columns, the rest is plain."""
        return {
            "frontier": self.frontier.state(),
            "watched": self.watched.state(),
            "sealed_us": self.sealed_us,
            "sealed_rows": self.sealed_rows,
            "offset_us": self.offset_us,
            "received": [[*boot, list(numbers)] for boot, numbers in self._received.items()],
            "parts": [part for parts in self._parts.values() for part in parts],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` returned."""
        self.frontier.load(state["frontier"])
        self.watched = Watched.of(state["watched"])
        self.sealed_us, self.sealed_rows = state["sealed_us"], state["sealed_rows"]
        self.offset_us = state["offset_us"]
        self._received = {
            Boot(boot_id, stream): Intervals.of(numbers)
            for boot_id, stream, numbers in state["received"]
        }
        self._parts.clear()
        for first_us, table in state["parts"]:
            self._parts[table.kind].append((first_us, table))
        self.pending_rows = sum(len(table) for _, table in state["parts"])

    def receive(self, boot: Boot, number: int) -> bool:
        """Note that a batch came; tell whether it is the first time."""
        received = self._received.get(boot, Intervals())
        if number in received:
            return False
        self._received[boot] = received | Intervals([(number, number + 1)])
        return True

    def take(
        self, header: Header, tables: Mapping[str, Columns], *, sealed_us: int, run_to_us: int
    ) -> None:
        """Keep the rows that are on time, count those that are late."""
        passed_us = max(header.from_us, sealed_us)
        late = [
            self._take_table(table, passed_us=passed_us, run_to_us=run_to_us)
            for table in tables.values()
        ]
        times = [ts_us for part in late for ts_us in part]
        # Rows of before the interval are late whenever they come, and a run that is stopped may end
        # before some of them: so what is doubted does not depend on which is the last.
        early = [ts_us for ts_us in times if ts_us < header.from_us]
        if early:
            self.watched.doubt(min(early), header.from_us)
        given_up = [ts_us for ts_us in times if ts_us >= header.from_us]
        if given_up:  # they came after their slice was sealed
            self.watched.doubt(min(given_up), max(given_up) + 1)
            self.watched.doubt(header.from_us, min(header.to_us, sealed_us))

    def cut(self, to_us: int) -> dict[str, Columns]:
        """Return the rows before ``to_us`` that were not returned before, by kind and time."""
        ready = {}
        for kind, parts in self._parts.items():
            due = [table for first_us, table in parts if first_us < to_us]
            if due:
                self._parts[kind] = [part for part in parts if part[0] >= to_us]
                ready[kind] = self._cut_kind(joined(due), to_us)
        rows = sum(map(len, ready.values()))
        self.pending_rows -= rows
        self.sealed_rows += rows
        self.sealed_us = to_us
        return ready

    def _take_table(self, table: Columns, *, passed_us: int, run_to_us: int) -> list[int]:
        """Keep the rows of one kind from ``passed_us`` on; return the times of those too late."""
        first_us = int(table.ts_us.min())
        late: list[int] = []
        if first_us < passed_us:
            before = table.ts_us[table.ts_us < passed_us]
            of_the_run = before[(before >= self.frontier.run_from_us) & (before < run_to_us)]
            late = of_the_run.tolist()
            self.watched.add_late(table.kind, late)
            if len(before) == len(table):
                return late
            table = table.take(table.ts_us >= passed_us)
            first_us = int(table.ts_us.min())
        self._parts[table.kind].append((first_us, table))
        self.pending_rows += len(table)
        return late

    def _cut_kind(self, table: Columns, to_us: int) -> Columns:
        """Return the rows of a kind before ``to_us``, and keep the others."""
        count = int(table.ts_us.searchsorted(to_us))
        if count == len(table):
            return table
        self._parts[table.kind].append((int(table.ts_us[count]), table.take(slice(count, None))))
        return table.take(slice(count))
