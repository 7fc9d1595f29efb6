"""The fused engine: every rule in one pass over the columns of many slices.

In: slices. Out: outcomes, equal to what ``rules.reference`` says of their rows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from analyzer.engine.machine import Machine
from analyzer.engine.operations import operations
from analyzer.engine.protocol import PROVISIONAL_SHARE, Budget, Effort
from analyzer.engine.snapshot import FORMAT, packed, unpacked
from analyzer.engine.waiting import Waiting
from analyzer.errors import SnapshotError
from analyzer.telemetry.dictionary import Dictionary
from rules.format import digest_of
from rules.outcome import MAX_GROUPS
from rules.telemetry.clock import SystemClock
from rules.telemetry.event import Process
from rules.verdict import conclude, conclude_all
from rules.watched import need_of, watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.engine.snapshot import State
    from analyzer.engine.tally import Fired
    from analyzer.telemetry.slices import Slice
    from rules.format import Rule
    from rules.outcome import Outcome
    from rules.telemetry.clock import Clock
    from rules.telemetry.ledger import Ledger
    from rules.watched import Watched

_SYSTEM_CLOCK: Final = SystemClock()


class FusedEngine:
    """Judges the columns of slices by all rules at once."""

    def __init__(
        self,
        rules: Iterable[Rule],
        *,
        clock: Clock = _SYSTEM_CLOCK,
        provisional_share: float = PROVISIONAL_SHARE,
        effort: Effort = time.thread_time,
        dictionary: Dictionary | None = None,
        use_numba: bool = True,
    ) -> None:
        """Judge by ``rules``.

        Args:
            rules: Their ids are unique.
            clock: Shows the time that provisional outcomes have a share of.
            provisional_share: How much of it they may take.
            effort: Measures what they cost.
            dictionary: What the ids in slices mean; None = the one of the first slice.
            use_numba: Whether loops are compiled; the results are the same.
        """
        self._rules = sorted(rules, key=lambda rule: rule.id)
        needs = [need_of(rule.detection) for rule in self._rules]
        numbers = {need: number for number, need in enumerate(dict.fromkeys(needs))}
        self._needs = [numbers[need] for need in needs]
        self._hosts: dict[str, int] = {}
        self._known: dict[tuple[int, str], Outcome] = {}
        self._outdated: dict[tuple[int, str], None] = {}  # in the order in which rows came
        self._budget = Budget(clock, provisional_share, effort=effort)
        self._use_numba = use_numba
        self._waiting = Waiting()
        self._machine = None if dictionary is None else self._made(dictionary)

    def feed(self, piece: Slice) -> None:
        """Take the next slice of a host; those of many hosts are judged together.

        Raises:
            ValueError: The slice is of another dictionary than those before it.
        """
        rows = 0
        for table in piece.tables.values():
            count = len(table.ts_us)
            if not count:
                continue
            machine = self._machine
            if machine is None:
                machine = self._machine = self._made(table.dictionary)
            if table.dictionary is not machine.dictionary:
                message = "a slice is of another dictionary than the engine"
                raise ValueError(message)
            rows += count
        if not rows:
            return
        self._waiting.add(piece, rows)
        if self._waiting.is_full:
            self._judge_waiting()

    def snapshot(self) -> bytes:
        """Return all state, the dictionary included, for ``restore``."""
        self._judge_waiting()
        dictionary = None if self._machine is None else self._machine.dictionary
        return packed(
            {
                "format": FORMAT,
                "rules": self._rules_digest,
                "hosts": list(self._hosts),
                "texts": [] if dictionary is None else dictionary.texts[1:],
                "processes": [] if dictionary is None else dictionary.processes[1:],
                "machine": None if self._machine is None else self._machine.state(),
            }
        )

    def restore(self, data: bytes) -> Dictionary:
        """Take up where an engine with the same rules was when it gave a snapshot.

        To be called before anything is fed. Returns the dictionary: slices that are fed on must be
        of it.

        Raises:
            SnapshotError: The snapshot is damaged, or of other rules or another version.
        """
        try:
            return self._restore(unpacked(data))
        except (LookupError, TypeError, ValueError, msgspec.MsgspecError) as error:
            message = f"the snapshot cannot be read: {error}"
            raise SnapshotError(message) from error

    def provisional(self, ledger: Ledger, agents: Sequence[str]) -> list[Outcome]:
        """Return outcomes of the rules whose rows have come, by rule and host.

        Only pairs with new rows are judged again, in turn and while the budget lasts. Absence shows
        at the end only: until then too little was watched.
        """
        self._note_new()
        seen = _Seen(ledger)
        while self._outdated and self._budget.is_open:
            rule, agent_id = next(iter(self._outdated))
            del self._outdated[rule, agent_id]
            with self._budget:
                self._known[rule, agent_id] = self._judge(rule, agent_id, seen, MAX_GROUPS)
        wanted = set(agents)
        return [outcome for key, outcome in sorted(self._known.items()) if key[1] in wanted]

    def outcomes(
        self, ledger: Ledger, agents: Sequence[str], *, max_groups: int | None = MAX_GROUPS
    ) -> list[Outcome]:
        """Return the outcome of every rule on every host, by rule and host."""
        self._judge_waiting()
        if self._machine is not None:
            self._machine.flush()
        agents = sorted(agents)
        seen = _Seen(ledger)
        found: list[Outcome] = []
        for number, rule in enumerate(self._rules):
            own = seen.of_all(rule, self._needs[number], agents)
            found += conclude_all(rule, agents, own, self._groups(number, agents, max_groups))
        return found

    def _judge_waiting(self) -> None:
        waiting = self._waiting.take()
        if self._machine is not None and waiting:
            hosts = self._hosts
            slices = {hosts.setdefault(name, len(hosts)): own for name, own in waiting.items()}
            self._machine.feed(slices)

    def _made(self, dictionary: Dictionary) -> Machine:
        return Machine(self._rules, dictionary, operations(use_numba=self._use_numba))

    @property
    def _rules_digest(self) -> str:
        return digest_of([(rule.id, rule.digest) for rule in self._rules])

    def _restore(self, state: State) -> Dictionary:
        if state["format"] != FORMAT or state["rules"] != self._rules_digest:
            message = "the snapshot is of other rules or another version"
            raise SnapshotError(message)
        dictionary = Dictionary()
        dictionary.text_ids(state["texts"])
        dictionary.process_ids([Process(*process) for process in state["processes"]])
        self._hosts = {agent_id: host for host, agent_id in enumerate(state["hosts"])}
        self._machine = self._made(dictionary)
        if state["machine"] is not None:
            self._machine.load(state["machine"])
        return dictionary

    def _note_new(self) -> None:
        """Note the rules and hosts for which something new counts."""
        self._judge_waiting()
        if self._machine is None:
            return
        agents = list(self._hosts)
        for rule, host in self._machine.touched():
            self._outdated.setdefault((rule, agents[host]))

    def _judge(self, rule: int, agent_id: str, seen: _Seen, max_groups: int | None) -> Outcome:
        return conclude(
            self._rules[rule],
            agent_id,
            seen.of(self._rules[rule], self._needs[rule], agent_id),
            lambda: self._groups(rule, [agent_id], max_groups).get(agent_id, ()),
        )

    def _groups(self, rule: int, agents: Sequence[str], max_groups: int | None) -> Fired:
        hosts = {self._hosts[name]: name for name in agents if name in self._hosts}
        if self._machine is None or not hosts:
            return {}
        judge, place = self._machine.plan.judge_of[rule]
        return self._machine.plan.judges[judge].groups(place, hosts, max_groups)


class _Seen:
    """How much was watched of what rules need, asked once for all rules of the same need."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[tuple[int, str], Watched] = {}
        self._lists: dict[int, list[Watched]] = {}

    def of(self, rule: Rule, need: int, agent_id: str) -> Watched:
        """Return how much of what a rule needs was watched on a host."""
        asked = need, agent_id
        found = self._known.get(asked)
        if found is None:
            found = self._known[asked] = watched(rule.detection, agent_id, self._ledger)
        return found

    def of_all(self, rule: Rule, need: int, agents: Sequence[str]) -> list[Watched]:
        """Return how much of what a rule needs was watched on each of some hosts, always these."""
        if need not in self._lists:
            self._lists[need] = [self.of(rule, need, agent_id) for agent_id in agents]
        return self._lists[need]
