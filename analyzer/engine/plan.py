"""Plan: what a set of rules comes to, once for all of them.

In: rules of any packages. Out: per telemetry kind one classifier of every selector that some rule
uses, and who wants its rows: judges of single rows, windows, sequences, keys that count as used.
Rules share whatever they have in common.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import numpy as np

from analyzer.engine.absence import Absence, Side, Used
from analyzer.engine.candidates import Candidates
from analyzer.engine.classify import SAMPLE, Classifier
from analyzer.engine.conjunctions import alternatives
from analyzer.engine.keys import KeyMaker
from analyzer.engine.measures import Measures
from analyzer.engine.occurrences import Occurrences
from analyzer.engine.panes import PaneTable
from analyzer.engine.periodic import Pace
from analyzer.engine.processes import Processes
from analyzer.engine.sequences import Sequences
from analyzer.engine.slots import Slot
from analyzer.engine.survivors import Survivors
from analyzer.engine.windows import Frame, Windows
from rules.detection import (
    AbsenceDetection,
    PeriodicDetection,
    SequenceDetection,
    ThresholdDetection,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analyzer.engine.measures import Measure
    from analyzer.engine.operations import Operations
    from analyzer.engine.snapshot import State
    from analyzer.engine.survivors import Found
    from analyzer.engine.tally import Fired, Hosts
    from analyzer.telemetry.dictionary import Dictionary
    from analyzer.telemetry.slices import Columns
    from rules.detection import Detection
    from rules.format import Rule
    from rules.selector import Selector


_FEW: Final = 0.02  # share of rows of a kind that may wait for their ``first`` rows


class Judge(Protocol):
    """Holds what one rule, or several that share state, know of every host."""

    def groups(self, place: int, hosts: Hosts, max_groups: int | None) -> Fired:
        """Return the findings of one of its rules on some hosts, as far as they are known."""
        ...

    def touched(self) -> list[tuple[int, int]]:
        """Return for which of its rules and which hosts more counts since the last call."""
        ...

    def state(self) -> State:
        """Return what it holds."""
        ...

    def load(self, state: State, dictionary: Dictionary) -> None:
        """Hold what a state says, of a judge of the same rules."""
        ...


@dataclass(slots=True)
class KindPlan:
    """Who wants the rows of one kind.

    Attributes:
        within_us: The longest window.
    """

    classifier: Classifier
    survivors: Survivors
    windows: list[Windows] = field(default_factory=list)
    used: list[Used] = field(default_factory=list)
    sequences: list[Sequences] = field(default_factory=list)
    """Those whose ``then`` rows are of this kind."""
    candidates: list[Candidates] = field(default_factory=list)
    """Those whose ``then`` rows are many."""
    arming: list[Candidates] = field(default_factory=list)
    """Those whose ``first`` rows are of this kind."""
    within_us: int = 0
    sample: Columns | None = None
    """The rows that bits were chosen by."""

    def prepare(
        self, sample: Columns, kinds: Mapping[str, KindPlan], operations: Operations
    ) -> None:
        """Choose bits, and which ``then`` rows are too many to wait, now that there are rows."""
        self.sample = sample.take(np.arange(min(len(sample), SAMPLE)))
        self.classifier.prepare(self.sample)
        for rule in self.sequences:
            if self.classifier.rates[rule.then.selector] <= _FEW:
                self.survivors.wanted.append((rule.then.selector, rule.collect_then))
            else:
                candidates = Candidates(rule, rule.within_us, operations)
                candidates.arm_by(rule.waiting())
                self.candidates.append(candidates)
                kinds[rule.first.kind].arming.append(candidates)
        self.survivors.prepare()


@dataclass(frozen=True, slots=True)
class Plan:
    """Rules, compiled.

    Attributes:
        kinds: By telemetry kind.
        judges: Every judge.
        sequences: Those of them that look for pairs.
        judge_of: By rule: its judge, and the rule's place in it.
    """

    kinds: dict[str, KindPlan]
    judges: list[Judge]
    sequences: list[Sequences]
    judge_of: list[tuple[int, int]]


def compile_rules(rules: Sequence[Rule], dictionary: Dictionary, operations: Operations) -> Plan:
    """Return the plan of some rules for telemetry that ``dictionary`` explains."""
    return _Compiler(rules, dictionary, operations).plan()


_Collecting = TypeVar("_Collecting", Absence, Occurrences, Pace)


class _Compiler:
    def __init__(
        self, rules: Sequence[Rule], dictionary: Dictionary, operations: Operations
    ) -> None:
        self._rules = rules
        self._operations = operations
        self._processes = Processes(dictionary)
        self._maker = KeyMaker(self._processes, operations)
        self._selectors: dict[str, dict[Selector, int]] = defaultdict(dict)
        self._collectors: dict[str, list[tuple[int, Callable[[Found], None]]]] = defaultdict(list)
        self._used: dict[tuple[str, int, tuple[str, ...]], Used] = {}
        self._windows: list[Windows] = []
        self._table = PaneTable()
        self._sequences: list[Sequences] = []
        self._judges: list[Judge] = []
        self._judge_of: dict[int, tuple[int, int]] = {}

    def plan(self) -> Plan:
        frames: dict[Frame, list[int]] = defaultdict(list)
        for number, rule in enumerate(self._rules):
            detection = rule.detection
            if isinstance(detection, ThresholdDetection):
                frames[self._frame(detection)].append(number)
            else:
                self._judge_of[number] = len(self._judges), 0
                self._judges.append(self._judge(detection))
        for frame, numbers in frames.items():
            self._add_windows(frame, numbers)
        kinds = {kind: self._kind(kind) for kind in self._selectors}
        self._subscribe(kinds)
        ordered = [self._judge_of[number] for number in range(len(self._rules))]
        return Plan(kinds, self._judges, self._sequences, ordered)

    def _kind(self, kind: str) -> KindPlan:
        selectors = [alternatives(selector) for selector in self._selectors[kind]]
        at_once = {item.frame.selector for item in self._windows if item.frame.kind == kind}
        at_once |= {item.side.selector for item in self._used.values() if item.side.kind == kind}
        classifier = Classifier(kind, selectors, at_once, self._processes, self._operations)
        return KindPlan(classifier, Survivors(classifier, self._collectors[kind]))

    def _subscribe(self, kinds: dict[str, KindPlan]) -> None:
        for windows in self._windows:
            plan = kinds[windows.frame.kind]
            plan.windows.append(windows)
            plan.within_us = max(plan.within_us, windows.frame.within_us)
        for used in self._used.values():
            kinds[used.side.kind].used.append(used)
        for rule in self._sequences:
            kinds[rule.then.kind].sequences.append(rule)

    def _selector(self, selector: Selector) -> int:
        known = self._selectors[selector.telemetry]
        return known.setdefault(selector, len(known))

    def _judge(self, detection: Detection) -> Judge:
        selector = detection.selectors[0]  # group_by names its columns
        kind, operations = selector.telemetry, self._operations
        keys = self._maker.keys(kind, detection.group_by)
        match detection:
            case SequenceDetection(match_on=match_on):
                first, then = (self._side(item, match_on) for item in (detection.first, selector))
                judge = Sequences(first, then, detection.within_us, keys, operations)
                self._sequences.append(judge)
                self._collectors[first.kind].append((first.selector, judge.collect_first))
                return judge
            case AbsenceDetection(match_on=match_on):
                used = self._used_by(detection.unless, match_on)
                select_keys = self._maker.keys(kind, match_on)
                return self._collecting(selector, Absence(select_keys, used, keys, operations))
            case PeriodicDetection():
                return self._collecting(selector, Pace(detection, keys, operations))
        return self._collecting(selector, Occurrences(keys, operations))

    def _collecting(self, selector: Selector, judge: _Collecting) -> _Collecting:
        place = self._selector(selector)
        self._collectors[selector.telemetry].append((place, judge.collect))
        return judge

    def _side(self, selector: Selector, match_on: Sequence[str]) -> Side:
        kind = selector.telemetry
        return Side(kind, self._selector(selector), self._maker.keys(kind, match_on))

    def _used_by(self, selector: Selector, match_on: tuple[str, ...]) -> Used:
        side = self._side(selector, match_on)
        known = side.kind, side.selector, match_on
        if known not in self._used:
            self._used[known] = Used(side, self._operations)
        return self._used[known]

    def _frame(self, detection: ThresholdDetection) -> Frame:
        selector = detection.select
        place = self._selector(selector)
        return Frame(selector.telemetry, place, detection.group_by, detection.within_us)

    def _add_windows(self, frame: Frame, numbers: list[int]) -> None:
        slots: dict[tuple[Measure, str | None], list[tuple[int, int]]] = defaultdict(list)
        for number in numbers:
            detection = self._rules[number].detection
            if isinstance(detection, ThresholdDetection):
                slots[_measured(detection)].append((detection.gt, number))
        ordered: list[Slot] = []
        first = 0
        for (measure, column), own in slots.items():
            keys = self._maker.keys(frame.kind, () if column is None else (column,))
            limits = [limit for limit, _ in own]
            ordered.append(Slot(len(ordered), Measures(measure, column, keys), limits, first))
            for place, (_, number) in enumerate(own, start=first):
                self._judge_of[number] = len(self._judges), place
            first += len(own)
        keys = self._maker.keys(frame.kind, frame.group_by)
        windows = Windows(frame, ordered, keys, self._table, self._operations)
        self._windows.append(windows)
        self._judges.append(windows)


def _measured(detection: ThresholdDetection) -> tuple[Measure, str | None]:
    if detection.distinct is not None:
        return "distinct", detection.distinct.column
    if detection.sum is not None:
        return "sum", detection.sum.column
    return "count", None
