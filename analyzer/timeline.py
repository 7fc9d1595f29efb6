"""Timeline: batches of many hosts in any order, in; sealed slices in the order of time, out.

The way from ingest to the engine. It also keeps the ledger of the run: what was watched of each
host, what was lost, and what came too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.frontier import Arrival, Boot, Frontier
from analyzer.watched import Watched
from rules.telemetry.derive import derive
from rules.telemetry.ledger import Intervals, Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rules.telemetry.batch import Batch, Row
    from rules.telemetry.clock import Clock

GRACE_US = 60_000_000  # how long a missing batch, or a host at the end of the run, is waited for
MAX_PENDING = 1_000_000  # events of one host that may wait for a missing batch

_Keyed = tuple[int, str, int, str, int, "Row"]
"""A row after its place in the order: ts_us, stream, sequence, boot, row."""


@dataclass(frozen=True, slots=True)
class Slice:
    """All rows of one host in [from_us, to_us), in the order of time; nothing comes after it.

    Rows stand in the order of ts_us, stream, sequence and row, with their derived columns. The
    slices of a host follow each other without gap or overlap.
    """

    agent_id: str
    from_us: int
    to_us: int
    rows: tuple[Row, ...]


class Timeline:
    """The telemetry of one run [run_from_us, run_to_us), host by host.

    How slices are cut depends on when ``seal`` is called. Their rows in sequence, and the ledger,
    do not depend on it, nor on the order in which batches arrive, as long as no batch is missing
    for longer than ``grace_us``. A row is late if the interval of its own batch begins after it, or
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

    def add(self, batch: Batch) -> None:
        """Take one batch; one that came before is ignored, and so are rows outside the run."""
        header = batch.header
        host = self._host(header.agent_id)
        boot = Boot(header.boot_id, header.stream)
        if not host.receive(boot, header.sequence):
            return
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
        host.take(batch, run_to_us=self.run_to_us)
        self._ledger = None

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
        self._batches: list[tuple[int, Batch]] = []
        """Time of the first row, and the batch: columns stay columns until they are needed."""
        self._rows: list[_Keyed] = []

    def receive(self, boot: Boot, number: int) -> bool:
        """Note that a batch came; tell whether it is the first time."""
        received = self._received.get(boot, Intervals())
        if number in received:
            return False
        self._received[boot] = received | Intervals([(number, number + 1)])
        return True

    def take(self, batch: Batch, *, run_to_us: int) -> None:
        """Keep the rows that are on time, count those that are late."""
        passed_us = max(batch.header.from_us, self.sealed_us)
        first_us = min(
            (min(t.ts_us.tolist()) for t in batch.tables.values() if len(t)), default=None
        )
        if first_us is None:
            return
        if first_us >= passed_us:
            self._batches.append((first_us, batch))
            self.pending_rows += len(batch)
            return
        rows = list(_keyed(batch))
        self._rows += [keyed for keyed in rows if keyed[0] >= passed_us]
        self.pending_rows += sum(keyed[0] >= passed_us for keyed in rows)
        run_from_us = self.frontier.run_from_us
        late = [keyed for keyed in rows if run_from_us <= keyed[0] < min(passed_us, run_to_us)]
        self._count_late(batch, late)

    def cut(self, to_us: int) -> tuple[Row, ...]:
        """Return the rows before ``to_us`` that were not returned before, in order."""
        due = [batch for first_us, batch in self._batches if first_us < to_us]
        self._batches = [item for item in self._batches if item[0] >= to_us]
        for batch in due:
            self._rows.extend(_keyed(batch))
        self._rows.sort(key=lambda keyed: keyed[:-1])
        ready = [keyed for keyed in self._rows if keyed[0] < to_us]
        self._rows = self._rows[len(ready) :]
        self.pending_rows -= len(ready)
        self.sealed_rows += len(ready)
        self.sealed_us = to_us
        return tuple(derive(keyed[-1]) for keyed in ready)

    def _count_late(self, batch: Batch, late: list[_Keyed]) -> None:
        if not late:
            return
        for keyed in late:
            self.watched.add_late(keyed[-1]["telemetry"], keyed[0])
        times = [keyed[0] for keyed in late]
        self.watched.doubt(min(times), max(times) + 1)
        if max(times) >= batch.header.from_us:  # it came after it had been given up
            self.watched.doubt(batch.header.from_us, min(batch.header.to_us, self.sealed_us))


def _keyed(batch: Batch) -> Iterator[_Keyed]:
    header = batch.header
    for number, row in enumerate(batch.rows()):
        yield row["ts_us"], header.stream, header.sequence, header.boot_id, number, row
