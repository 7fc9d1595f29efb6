"""Mutants: a rule changed in one small way, to see whether its tests notice.

In: a rule whose tests pass. Out: the changes that no test notices: conditions without a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from rules.detection import (
    AbsenceDetection,
    Detection,
    EventDetection,
    PeriodicDetection,
    SequenceDetection,
    ThresholdDetection,
)
from rules.durations import format_duration, smallest_step_us
from rules.faults import Location
from rules.format import Rule
from rules.rehearsal import mismatch, stages
from rules.selector import Condition, Conditions, Selector

_SHARE_STEP: Final = 0.01  # how far a share is moved
_ORDERED: Final = frozenset({"lt", "le", "gt", "ge"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a detection.

    Attributes:
        place: What was changed, in the rule file.
        change: The change in words, to follow "without a test: ".
        detection: What came of it.
    """

    place: Location
    change: str
    detection: Detection


@dataclass(frozen=True, slots=True)
class MutantReport:
    """How many mutants of a rule there are, and those that no test notices."""

    total: int
    survivors: tuple[Mutant, ...]

    @property
    def killed(self) -> int:
        """Return how many mutants some test notices."""
        return self.total - len(self.survivors)


def try_mutants(rule: Rule) -> MutantReport:
    """Return which mutants survive the tests of a rule; its own tests must pass."""
    ready = stages(rule)
    total = 0
    survivors: list[Mutant] = []
    for mutant in mutants(rule.detection):
        total += 1
        changed = rule.model_copy(update={"detection": mutant.detection})
        if all(mismatch(changed, stage) is None for stage in ready):
            survivors.append(mutant)
    return MutantReport(total, tuple(survivors))


def mutants(detection: Detection) -> Iterator[Mutant]:
    """Yield every mutant of a detection."""
    for key in ("select", "unless", "first", "then"):
        selector = getattr(detection, key, None)
        if selector is not None:
            for place, change, changed in _selectors(selector):
                yield _mutant(detection, (key, *place), change, {key: changed})
    yield from _names(detection, "group_by", 0)
    yield from _settings(detection)


def _mutant(detection: Detection, place: Location, change: str, update: dict[str, Any]) -> Mutant:
    return Mutant(("detection", *place), change, detection.model_copy(update=update))


def _selectors(selector: Selector) -> Iterator[tuple[Location, str, Selector]]:
    for place, change, where in _conditions(selector.where):
        yield ("where", *place), change, replace(selector, where=where)
    for place, change, groups in _groups(selector.any_of):
        yield ("any_of", *place), change, replace(selector, any_of=groups)
    for place, change, groups in _groups(selector.none_of):
        yield ("none_of", *place), change, replace(selector, none_of=groups)


def _groups(
    groups: tuple[Conditions, ...],
) -> Iterator[tuple[Location, str, tuple[Conditions, ...]]]:
    for index, group in enumerate(groups):
        before, after = groups[:index], groups[index + 1 :]
        yield (index,), "this group could be removed", before + after
        for place, change, conditions in _conditions(group):
            if conditions:  # without its last condition, the group is not there at all
                yield (index, *place), change, (*before, conditions, *after)


def _conditions(group: Conditions) -> Iterator[tuple[Location, str, Conditions]]:
    for index, condition in enumerate(group):
        before, after = group[:index], group[index + 1 :]
        place: Location = (condition.column, condition.operator)
        words = f"{condition.column} {condition.operator}"
        yield place, f"the condition on {words} could be removed", before + after
        for deeper, change, value in _values(condition):
            changed = Condition(condition.column, condition.operator, value)
            yield (*place, *deeper), f"{words}: {change}", (*before, changed, *after)


def _values(condition: Condition) -> Iterator[tuple[Location, str, Any]]:
    value = condition.value
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            if len(value) > 1:
                rest = value[:index] + value[index + 1 :]
                yield (index,), f"{item} could be removed", rest
    elif condition.operator in _ORDERED and isinstance(value, int):
        for other in (value - 1, value + 1):
            yield (), f"{value} could be {other}", other


def _names(detection: Detection, key: str, least: int) -> Iterator[Mutant]:
    names: tuple[str, ...] = getattr(detection, key)
    for index, name in enumerate(names):
        if len(names) > least:
            rest = names[:index] + names[index + 1 :]
            yield _mutant(detection, (key, index), f"{name} could be removed", {key: rest})


def _settings(detection: Detection) -> Iterator[Mutant]:
    match detection:
        case EventDetection():
            pass
        case ThresholdDetection():
            yield from _measures(detection)
            yield from _window(detection)
        case AbsenceDetection():
            yield from _names(detection, "match_on", 1)
            yield from _share(detection, "min_coverage", detection.min_coverage)
        case SequenceDetection():
            yield from _names(detection, "match_on", 1)
            yield from _window(detection)
        case _:
            for number in (detection.at_least - 1, detection.at_least + 1):
                change = f"{detection.at_least} could be {number}"
                yield _mutant(detection, ("at_least",), change, {"at_least": number})
            yield from _share(detection, "jitter", detection.jitter)
            yield from _span(detection)


def _measures(detection: ThresholdDetection) -> Iterator[Mutant]:
    for key in ("count", "distinct", "sum"):
        measure = getattr(detection, key)
        if measure is not None:
            for limit in (measure.gt - 1, measure.gt + 1):
                if limit >= 0:
                    changed = measure.model_copy(update={"gt": limit})
                    change = f"{measure.gt} could be {limit}"
                    yield _mutant(detection, (key, "gt"), change, {key: changed})


def _window(detection: ThresholdDetection | SequenceDetection) -> Iterator[Mutant]:
    for change, within_us in _durations(detection.within_us):
        if within_us > 0:
            yield _mutant(detection, ("within",), change, {"within_us": within_us})


def _span(detection: PeriodicDetection) -> Iterator[Mutant]:
    every = detection.every
    for key, value_us in (("min", every.min_us), ("max", every.max_us)):
        for change, moved_us in _durations(value_us):
            changed = every.model_copy(update={f"{key}_us": moved_us})
            yield _mutant(detection, ("every", key), change, {"every": changed})


def _share(detection: Detection, key: str, share: float) -> Iterator[Mutant]:
    for moved in (round(share - _SHARE_STEP, 6), round(share + _SHARE_STEP, 6)):
        if 0 <= moved <= 1:
            yield _mutant(detection, (key,), f"{share} could be {moved}", {key: moved})


def _durations(duration_us: int) -> Iterator[tuple[str, int]]:
    step_us = smallest_step_us(duration_us)
    for moved_us in (duration_us - step_us, duration_us + step_us):
        if moved_us >= 0:
            change = f"{format_duration(duration_us)} could be {format_duration(moved_us)}"
            yield change, moved_us
