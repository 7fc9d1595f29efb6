"""A Python loop over single events with all kinds of rules: what one writes first.

Selectors are compiled lambdas on dictionaries; windows are queues per group, exact and sliding.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from benchmarks.peers.peer import ALL_KINDS, Counts, PeerData
from benchmarks.peers.python_source import selector_source
from rules.detection import (
    AbsenceDetection,
    EventDetection,
    SequenceDetection,
    ThresholdDetection,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rules.format import Rule
    from rules.selector import Selector
    from rules.telemetry.batch import Row

    Test = Callable[[Row], bool]
    Takes = list[tuple[Selector, Callable[[Row], None]]]

_Key = tuple[Any, ...]


class PythonLoop:
    """Every rule sees every event of its kinds."""

    name: ClassVar[str] = "Python loop, all rules"
    package: ClassVar[str | None] = None
    kinds: ClassVar[frozenset[str]] = ALL_KINDS
    sample_events: ClassVar[int | None] = 200_000

    def prepare(self, rules: Sequence[Rule]) -> None:
        """Compile the selectors."""
        self._rules = rules

    def load(self, data: PeerData) -> None:
        """Hold rows as dictionaries, in the order of hosts and times."""
        self._rows = list(data.rows())

    def run(self) -> Counts:
        """Let every row pass every rule."""
        states = [_state(rule) for rule in self._rules]
        takers: dict[str, list[tuple[Test, Callable[[Row], None]]]] = defaultdict(list)
        for state in states:
            for selector, take in state.takes:
                takers[selector.telemetry].append((_test(selector), take))
        for row in self._rows:
            for test, take in takers[row["telemetry"]]:
                if test(row):
                    take(row)
        return {
            rule.id: len(state.fired()) for rule, state in zip(self._rules, states, strict=True)
        }


class _State(Protocol):
    takes: Takes

    def fired(self) -> set[_Key]: ...


class _Event:
    def __init__(self, detection: EventDetection) -> None:
        self._key = _key(detection.group_by)
        self._fired: set[_Key] = set()
        self.takes: Takes = [(detection.select, self._take)]

    def _take(self, row: Row) -> None:
        self._fired.add(self._key(row))

    def fired(self) -> set[_Key]:
        return self._fired


class _Count:
    """The rows of the window by group; counts, adds up or tells apart."""

    def __init__(self, detection: ThresholdDetection) -> None:
        self._key = _key(detection.group_by)
        self._within_us = detection.within_us
        measure = detection.count or detection.sum or detection.distinct
        self._limit = 0 if measure is None else measure.gt
        self._column = getattr(measure, "column", None)
        self._is_distinct = detection.distinct is not None
        self._rows: dict[_Key, deque[tuple[int, Any]]] = defaultdict(deque)
        self._totals: Counter[_Key] = Counter()
        self._values: dict[_Key, Counter[Any]] = defaultdict(Counter)
        self._fired: set[_Key] = set()
        self.takes: Takes = [(detection.select, self._take)]

    def _take(self, row: Row) -> None:
        key, ts_us = self._key(row), row["ts_us"]
        value = 1 if self._column is None else row.get(self._column)
        if value is None:
            return
        rows = self._rows[key]
        rows.append((ts_us, value))
        self._change(key, value, 1)
        while rows[0][0] <= ts_us - self._within_us:
            self._change(key, rows.popleft()[1], -1)
        if self._total(key) > self._limit:
            self._fired.add(key)

    def _change(self, key: _Key, value: Any, by: int) -> None:  # noqa: ANN401 (a column's value)
        if self._is_distinct:
            values = self._values[key]
            values[value] += by
            if not values[value]:
                del values[value]
        else:
            self._totals[key] += by * value

    def _total(self, key: _Key) -> int:
        return len(self._values[key]) if self._is_distinct else self._totals[key]

    def fired(self) -> set[_Key]:
        return self._fired


class _Absence:
    def __init__(self, detection: AbsenceDetection) -> None:
        self._key = _key(detection.group_by)
        self._match = _key(detection.match_on)
        self._waiting: dict[_Key, set[_Key]] = defaultdict(set)
        self._used: set[_Key] = set()
        self.takes: Takes = [(detection.select, self._select), (detection.unless, self._unless)]

    def _select(self, row: Row) -> None:
        match = self._match(row)
        if None not in match:
            self._waiting[match].add(self._key(row))

    def _unless(self, row: Row) -> None:
        self._used.add(self._match(row))

    def fired(self) -> set[_Key]:
        return {
            key for match, keys in self._waiting.items() if match not in self._used for key in keys
        }


class _Sequence:
    def __init__(self, detection: SequenceDetection) -> None:
        self._key = _key(detection.group_by)
        self._match = _key(detection.match_on)
        self._within_us = detection.within_us
        self._firsts: dict[_Key, deque[int]] = defaultdict(deque)
        self._fired: set[_Key] = set()
        self.takes: Takes = [(detection.then, self._then), (detection.first, self._first)]

    def _first(self, row: Row) -> None:
        match = self._match(row)
        if None not in match:
            self._firsts[match].append(row["ts_us"])

    def _then(self, row: Row) -> None:
        firsts = self._firsts.get(self._match(row))
        while firsts and firsts[0] < row["ts_us"] - self._within_us:
            firsts.popleft()
        if firsts and firsts[0] < row["ts_us"]:
            self._fired.add(self._key(row))

    def fired(self) -> set[_Key]:
        return self._fired


def _state(rule: Rule) -> _State:
    match rule.detection:
        case EventDetection() as detection:
            return _Event(detection)
        case ThresholdDetection() as detection:
            return _Count(detection)
        case AbsenceDetection() as detection:
            return _Absence(detection)
        case SequenceDetection() as detection:
            return _Sequence(detection)
    raise TypeError(rule.id)


def _test(selector: Selector) -> Test:
    source = selector_source(selector, lambda column: f"row.get({column!r})")
    test: Test = eval(f"lambda row: {source}")  # noqa: S307 (rules of this repository)
    return test


def _key(columns: Sequence[str]) -> Callable[[Row], _Key]:
    names = ("agent_id", *columns)
    return lambda row: tuple([row.get(name) for name in names])
