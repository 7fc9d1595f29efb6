"""Explain: a rule in words: when it fires, what it needs to be watched, what it cannot see.

In: a rule. Out: lines of plain text.
"""

from __future__ import annotations

from collections.abc import Iterator

from rules.detection import (
    AbsenceDetection,
    Detection,
    EventDetection,
    SequenceDetection,
    ThresholdDetection,
)
from rules.durations import format_duration
from rules.format import Rule
from rules.selector import OPERATORS, Condition, Conditions, Selector
from rules.telemetry.sight import PARTIAL_SIGHT, sees


def explain(rule: Rule, package: str) -> str:
    """Return what a rule means, in words."""
    return "\n".join(_lines(rule, package))


def selector_words(selector: Selector) -> list[str]:
    """Return the conditions of a selector, one a line, groups indented."""
    lines = [condition_words(condition) for condition in selector.where]
    if selector.any_of:
        lines.append("and one of:" if lines else "one of:")
        lines += [f"  - {all_of_words(group)}" for group in selector.any_of]
    if selector.none_of:
        lines.append("but not:" if lines else "not:")
        lines += [f"  - {all_of_words(group)}" for group in selector.none_of]
    return lines or ["(any)"]


def firing_words(rule: Rule) -> Iterator[str]:
    """Yield when a rule fires, with its values, line by line."""
    columns = ", ".join(rule.group_by)
    yield f"Fires once per host and value of {columns}," if columns else "Fires once per host,"
    yield from _detection(rule.detection)


def all_of_words(group: Conditions) -> str:
    """Return conditions that must all hold."""
    return " and ".join(map(condition_words, group))


def condition_words(condition: Condition) -> str:
    """Return one condition, as it reads with its value."""
    if condition.operator == "is_null":
        return f"{condition.column} is {'null' if condition.value else 'not null'}"
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    shown = ", ".join("true" if v is True else "false" if v is False else str(v) for v in values)
    return f"{condition.column} {OPERATORS[condition.operator].words} {shown}"


def _lines(rule: Rule, package: str) -> Iterator[str]:
    yield f"{rule.id}: {rule.title}"
    yield f"{rule.severity} · package {package} · version {rule.version} · {rule.status}"
    yield ""
    yield from firing_words(rule)
    yield ""
    yield "Needs"
    yield from (f"  {line}" for line in _needs(rule.detection))
    yield ""
    yield "Two runs compare its findings by"
    identity = ", ".join(("host", *rule.identity_columns))
    yield f"  {identity}"
    yield ""
    yield "Cannot see"
    yield from (f"  - {text}" for text in rule.limitations or ("Nothing is stated.",))


def _detection(detection: Detection) -> Iterator[str]:
    match detection:
        case EventDetection():
            yield f"  when the run has at least one {detection.select.telemetry} row where"
            yield from _indented(detection.select)
        case ThresholdDetection():
            window = format_duration(detection.within_us)
            yield f"  when some window of {window} holds {_measure(detection)} where"
            yield from _indented(detection.select)
            yield f"  The window ends at a row's time t and is (t - {window}, t]: a row exactly"
            yield f"  {window} earlier is outside, rows of the same moment are all inside."
        case AbsenceDetection():
            keys = ", ".join(detection.match_on)
            yield f"  when the run has a {detection.select.telemetry} row where"
            yield from _indented(detection.select)
            yield f"  and, in the whole run, no {detection.unless.telemetry} row of the same"
            yield f"  host and the same {keys} where"
            yield from _indented(detection.unless)
        case SequenceDetection():
            keys, then = ", ".join(detection.match_on), detection.then
            yield f"  when a row of {detection.first.telemetry} where"
            yield from _indented(detection.first)
            yield f"  is followed by one of {then.telemetry}, of the same host and {keys},"
            yield f"  later, but by no more than {format_duration(detection.within_us)}, where"
            yield from _indented(then)
        case _:
            shortest = format_duration(detection.every.min_us)
            longest = format_duration(detection.every.max_us)
            yield f"  when {detection.select.telemetry} rows come at {detection.at_least} or more"
            yield f"  distinct times, with a median gap from {shortest} to {longest}, and 9 of 10"
            yield f"  gaps within {detection.jitter * 100:g} % of the median, where"
            yield from _indented(detection.select)


def _measure(detection: ThresholdDetection) -> str:
    kind = detection.select.telemetry
    distinct, total = detection.distinct, detection.sum
    if distinct is not None:
        return f"more than {distinct.gt} values of {distinct.column} in {kind} rows"
    if total is not None:
        return f"{kind} rows whose {total.column} adds up to more than {total.gt},"
    limit = 0 if detection.count is None else detection.count.gt
    return f"more than {limit} {kind} rows"


def _needs(detection: Detection) -> Iterator[str]:
    kinds = " and ".join(dict.fromkeys(selector.telemetry for selector in detection.selectors))
    if isinstance(detection, AbsenceDetection):
        share = f"{detection.min_coverage * 100:g} %"
        yield f"{kinds}, watched without loss for {share} of the run (min_coverage);"
        yield "below that the rule is not evaluated on a host, whatever was seen."
    else:
        yield f"{kinds}, watched for half of the run to call a host clean;"
        yield "findings stand whatever was watched."
    for selector in detection.selectors:
        for sensor, kind in PARTIAL_SIGHT:
            if kind == selector.telemetry and not sees(sensor, kind, selector.pinned):
                yield f"The sensor {sensor} sees only part of {kind} and does not count."


def _indented(selector: Selector) -> list[str]:
    return [f"    {line}" for line in selector_words(selector)]
