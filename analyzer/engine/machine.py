"""The machine: the plan of an engine, and how packs go through it.

In: slices of many hosts that waited. Out: what judges know of them; and all of it as a state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.engine.arrays import grown
from analyzer.engine.packs import packs_of
from analyzer.engine.plan import compile_rules
from analyzer.engine.retained import Retained
from analyzer.engine.selection import Selection
from analyzer.engine.snapshot import columns_of, columns_state
from rules.telemetry.kinds import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.engine.arrays import Int64s
    from analyzer.engine.operations import Operations
    from analyzer.engine.packs import Pack
    from analyzer.engine.plan import KindPlan, Plan
    from analyzer.engine.snapshot import State
    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.slices import Columns, Slice
    from rules.format import Rule


class Machine:
    """The plan of an engine that knows its dictionary, and what it retains of hosts."""

    def __init__(
        self, rules: Sequence[Rule], dictionary: Dictionary, operations: Operations
    ) -> None:
        self.dictionary = dictionary
        self.plan: Plan = compile_rules(rules, dictionary, operations)
        self._operations = operations
        self._retained = {
            kind: Retained(plan.within_us, operations) for kind, plan in self.plan.kinds.items()
        }
        self._rows = dict.fromkeys(self.plan.kinds, 0)
        """Rows that ever came, by kind: each has its number."""
        self._progress_us: Int64s = np.zeros(0, np.int64)
        """By host: before which moment all rows have come."""

    def feed(self, slices: Mapping[int, Sequence[Slice]]) -> None:
        """Let every rule see the next slices of hosts."""
        self._progress_us = grown(self._progress_us, max(slices) + 1, INT64_MIN)
        from_us = {host: pieces[0].from_us for host, pieces in slices.items()}
        to_us = {host: pieces[-1].to_us for host, pieces in slices.items()}
        found: list[tuple[KindPlan, Pack, Selection, int]] = []
        for kind, pack in packs_of(slices, self.plan.kinds).items():
            plan = self._prepared(kind, pack.columns)
            found.append((plan, pack, Selection(pack.columns, plan.classifier), self._rows[kind]))
            self._rows[kind] += len(pack.columns)
        for plan, pack, selection, first_serial in found:
            self._put_aside(plan, pack, selection, first_serial, from_us)
            for used in plan.used:
                if selection.has(used.side.selector):
                    used.feed(pack, selection)
            self._feed_windows(plan, pack, selection, first_serial, to_us)
        for plan, pack, selection, first_serial in found:
            for candidates in plan.candidates:
                if selection.has(candidates.rule.then.selector):
                    candidates.pick(pack, selection, first_serial)
            selection.forget()
        for host, end_us in to_us.items():
            self._progress_us[host] = min(end_us, INT64_MAX)
        if any(plan.survivors.is_full for plan, *_ in found):
            self.flush()

    def touched(self) -> Iterator[tuple[int, int]]:
        """Yield the rules and hosts for which something new counts since the last call."""
        self.flush()
        rules = {place: rule for rule, place in enumerate(self.plan.judge_of)}
        for number, judge in enumerate(self.plan.judges):
            for place, host in judge.touched():
                yield rules[number, place], host

    def state(self) -> State:
        """Return what it holds."""
        self.flush()
        kinds = self.plan.kinds.items()
        return {
            "judges": [judge.state() for judge in self.plan.judges],
            "used": {kind: [used.state() for used in plan.used] for kind, plan in kinds},
            "candidates": [
                [self.plan.sequences.index(item.rule), item.state()]
                for _, plan in kinds
                for item in plan.candidates
            ],
            "samples": {kind: columns_state(plan.sample) for kind, plan in kinds if plan.sample},
            "retained": {kind: item.state() for kind, item in self._retained.items()},
            "rows": self._rows,
            "progress_us": self._progress_us,
        }

    def load(self, state: State) -> None:
        """Hold what a state says."""
        for judge, own in zip(self.plan.judges, state["judges"], strict=True):
            judge.load(own, self.dictionary)
        for kind, plan in self.plan.kinds.items():
            for used, own in zip(plan.used, state["used"][kind], strict=True):
                used.load(own)
            if kind in state["samples"]:
                sample = columns_of(state["samples"][kind], self.dictionary)
                plan.prepare(sample, self.plan.kinds, self._operations)
        candidates = {
            self.plan.sequences.index(item.rule): item
            for plan in self.plan.kinds.values()
            for item in plan.candidates
        }
        for number, own in state["candidates"]:
            candidates[number].load(own)
        for kind, own in state["retained"].items():
            classifier = self.plan.kinds[kind].classifier
            if classifier.is_ready:
                self._retained[kind].load(own, self.dictionary, classifier)
        self._rows.update(state["rows"])
        self._progress_us = state["progress_us"]

    def flush(self) -> None:
        """Let the judges see what was put aside."""
        for plan in self.plan.kinds.values():
            plan.survivors.flush()
        for sequences in self.plan.sequences:
            sequences.settle(self._progress_us)

    def _prepared(self, kind: str, table: Columns) -> KindPlan:
        """Return the plan of a kind that has rows."""
        plan = self.plan.kinds[kind]
        if not plan.classifier.is_ready:
            self.flush()  # what follows asks which rows wait
            plan.prepare(table, self.plan.kinds, self._operations)
        return plan

    def _put_aside(
        self,
        plan: KindPlan,
        pack: Pack,
        selection: Selection,
        first_serial: int,
        from_us: Mapping[int, int],
    ) -> None:
        """Keep the rows that judges of single rows and sequences look at, few as they are."""
        bits = plan.survivors.bits
        if not any(own & wanted for own, wanted in zip(selection.bits, bits, strict=True)):
            return
        few, places = selection.having(bits)
        hosts = pack.host_of_rows()[places]
        plan.survivors.add(hosts, few, places + first_serial)
        for candidates in plan.arming:
            if few.has(candidates.rule.first.selector):
                candidates.arm(hosts, few, from_us)

    def _feed_windows(
        self,
        plan: KindPlan,
        pack: Pack,
        selection: Selection,
        first_serial: int,
        to_us: Mapping[int, int],
    ) -> None:
        awake = [windows for windows in plan.windows if selection.has(windows.frame.selector)]
        if not awake:
            return
        retained = self._retained[pack.columns.kind]
        retained.add(pack, selection, first_serial)
        for windows in awake:
            windows.feed(pack, retained, to_us)
        retained.trim(to_us)
