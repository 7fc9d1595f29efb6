"""Suite: which measurements make the report on the engine, and what follows from them.

In: sizes and a runner of tasks. Out: rows of the table of engines, and of the one of our own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from benchmarks.judging.task import Measured, Task, run_task
from benchmarks.peers.catalogue import PEERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.peers.peer import Counts, Peer

OURS: Final = "Proctor"
PACKS: Final = (40, 160, 500)
_OTHERWISE: Final[Mapping[str, dict[str, Any]]] = {
    "all hosts as time goes by": {"what": "ours", "order": "time"},
    "slices of 1,000": {"what": "ours", "slice": 1_000},
    "1 event in 100 violating": {"what": "ours", "violating": 100},
    "from wire messages": {"what": "wire"},
    "two workers": {"what": "workers", "core": None},
    "memory bandwidth": {"what": "bandwidth"},
    "streamed from disk": {"what": "memory"},
}
"""What changes in the task, by title."""


class OwnRow(NamedTuple):
    """What we reach in one way of using the engine."""

    title: str
    rules: int
    measured: Measured


class EngineRow(msgspec.Struct, kw_only=True):
    """One engine with one pack.

    Attributes:
        engine: Name and version.
        rules: Size of the pack.
        kinds: ``all`` or ``event``.
        measured: Of the engine.
        ours: Events per second of CPU that we reach with the same rules on the whole fleet.
        different: Rules whose counts differ from ours on the same events.
    """

    engine: str
    rules: int
    kinds: str
    measured: Measured
    ours: float = 0.0
    different: dict[str, tuple[int, int]] = {}

    @property
    def ratio(self) -> float | None:
        """Return how many times as many events we judge; None where the counts differ."""
        if self.different or not self.measured.rate:
            return None
        return self.ours / self.measured.rate


@dataclass(frozen=True, slots=True)
class Suite:
    """Measures one after the other.

    Attributes:
        task: What all measurements have in common.
        limit_s: Of one of them.
        say: Told what is under way.
    """

    task: Task
    limit_s: float
    say: Callable[[str], None]
    _known: dict[tuple[int, int, tuple[str, ...]], Counts] = field(default_factory=dict)

    def measure(self, title: str, **changes: Any) -> Measured:  # noqa: ANN401 (fields of a task)
        """Return one measurement that differs from the common task by ``changes``."""
        self.say(f"{title} ...")
        return run_task(msgspec.structs.replace(self.task, **changes), limit_s=self.limit_s)

    def engines(self, packs: tuple[int, ...], names: tuple[str, ...]) -> Iterator[EngineRow]:
        """Yield a row per engine and pack, ours first.

        Slow peers are measured with the smallest and the largest pack alone.

        Args:
            packs: Sizes.
            names: Peers to measure, by parts of their names; empty = all.
        """
        for rules in packs:
            full = self.measure(f"{OURS}, {rules} rules", what="ours", rules=rules)
            yield EngineRow(
                engine=f"{OURS} ({full.engine})",
                rules=rules,
                kinds="all",
                measured=full,
                ours=full.rate,
            )
            single = self.measure(
                f"{OURS}, rules on single events of {rules}",
                what="ours",
                rules=rules,
                kinds=("event",),
            )
            yield EngineRow(
                engine=f"{OURS} ({single.engine})",
                rules=rules,
                kinds="event",
                measured=single,
                ours=single.rate,
            )
            for peer in PEERS:
                is_wanted = not names or any(name.lower() in peer.name.lower() for name in names)
                is_quick = peer.sample_events is None
                if is_wanted and (is_quick or rules in (min(packs), max(packs))):
                    yield self._peer(peer, rules, full, single)

    def _peer(self, peer: type[Peer], rules: int, full: Measured, single: Measured) -> EngineRow:
        stateless = peer.kinds == {"event"}
        kinds = ("event",) if stateless else ()
        hosts = self._hosts(peer)
        ours = single if stateless else full
        measured = self.measure(
            f"{peer.name}, {rules} rules",
            what="peer",
            peer=peer.name,
            rules=rules,
            kinds=kinds,
            hosts=hosts,
            rounds=1 if hosts else self.task.rounds,
        )
        expected = ours.counts
        if hosts and not measured.problem:
            expected = self._counts_on(hosts, rules, kinds)
        return EngineRow(
            engine=measured.engine or peer.name,
            rules=rules,
            kinds="event" if stateless else "all",
            measured=measured,
            ours=ours.rate,
            different={} if measured.problem else _different(measured.counts, expected),
        )

    def _counts_on(self, hosts: int, rules: int, kinds: tuple[str, ...]) -> Counts:
        """Return our counts on the first hosts, which slow peers are held to."""
        known = self._known.get((hosts, rules, kinds))
        if known is None:
            title = f"{OURS} on the first {hosts} hosts"
            changes = {"rules": rules, "kinds": kinds, "hosts": hosts, "rounds": 1}
            known = self.measure(title, what="ours", **changes).counts
            self._known[hosts, rules, kinds] = known
        return known

    def _hosts(self, peer: type[Peer]) -> int | None:
        """Return how many hosts have as many events as a slow peer gets; None = all of them."""
        if peer.sample_events is None or peer.sample_events >= self.task.events:
            return None
        return self.task.fleet().hosts_with(peer.sample_events)

    def own(self, packs: tuple[int, ...], large: int) -> Iterator[OwnRow]:
        """Yield what we reach with each pack, and with the smallest one otherwise.

        Args:
            packs: Sizes.
            large: Events of a larger fleet, to compare the memory it takes.
        """
        rules = min(packs)
        for size in packs:
            yield OwnRow("host after host", size, self.measure("own", what="ours", rules=size))
        for title, changes in _OTHERWISE.items():
            yield OwnRow(title, rules, self.measure(title, rules=rules, **changes))
        title = f"streamed from disk, {large / self.task.events:g} times the events"
        yield OwnRow(title, rules, self.measure(title, what="memory", rules=rules, events=large))


def _different(counts: Counts, expected: Counts) -> dict[str, tuple[int, int]]:
    """Return the rules whose counts differ: theirs, ours."""
    return {
        rule: (counts.get(rule, 0), expected.get(rule, 0))
        for rule in sorted(counts.keys() | expected.keys())
        if counts.get(rule, 0) != expected.get(rule, 0)
    }
