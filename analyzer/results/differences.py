"""Comparison: what became of each finding between two results.

In: a result, and another one of the same telemetry or of later one. Out: findings as new, gone, the
same or not comparable, and the rules that differ. Findings are the same by their issue id.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from analyzer.results.document import SEVERITIES, Digests, Result
from analyzer.results.findings import Finding
from rules.columns import Value
from rules.format import Rule
from rules.telemetry.ndjson import canonical

State = Literal["new", "gone", "same", "not_comparable"]
STATES: Final[tuple[State, ...]] = ("new", "gone", "same", "not_comparable")
_WEIGHED: Final = ("severity", "title", "count", "first_seen_us", "last_seen_us")


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two results."""

    run: str
    name: str
    digests: Digests
    findings: int


class RuleChange(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is not the same on both sides; a version of None = it is not there."""

    rule: str
    version_before: int | None
    version_after: int | None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one finding; it is described as it is now, or as it was where it is gone.

    Attributes:
        state: Whether it is new, gone, the same, or cannot be compared.
        reason: Why it cannot be compared; None where it can.
        changed: Of a finding that is the same: what is said otherwise now.
    """

    state: State
    reason: str | None
    issue_id: str
    rule: str
    rule_version: int
    agent_id: str
    severity: str
    numeric_severity: int
    title: str
    group: dict[str, Value | None]
    count: int
    changed: tuple[str, ...] = ()


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every finding, by severity, rule, agent and group."""

    format: Literal[1]
    before: Side
    after: Side
    rules: tuple[RuleChange, ...]
    findings: tuple[Compared, ...]
    summary: dict[State, dict[str, int]]
    """By state: how many of each severity, all of them listed."""

    @property
    def differs(self) -> bool:
        """Tell whether any finding is not the same."""
        return any(item.state != "same" or item.changed for item in self.findings)

    def count(self, state: State) -> int:
        """Return how many findings are in a state."""
        return sum(self.summary[state].values())


def compare(
    before: Result, after: Result, *, rules: tuple[Iterable[Rule], Iterable[Rule]] | None = None
) -> Comparison:
    """Return what became of the findings of ``before``.

    Of the same telemetry, a rule of another version is compared: its effect is what is asked for.
    Of other telemetry it is not, for then nobody can tell which of the two made the difference.

    Args:
        before: The earlier result.
        after: The later one.
        rules: The rules of both, where they are known; else only versions of findings are.
    """
    doubts = _Doubts(before, after)
    compared = [*_there_now(before, after, doubts), *_gone(before, after, doubts)]
    ordered = sorted(compared, key=_rank)
    return Comparison(
        format=1,
        before=_side(before),
        after=_side(after),
        rules=tuple(rule_changes(*rules) if rules else _version_changes(before, after)),
        findings=tuple(ordered),
        summary=_summary(ordered),
    )


def to_diff_json(comparison: Comparison) -> bytes:
    """Return the comparison as canonical JSON and one newline."""
    return canonical(msgspec.to_builtins(comparison)) + b"\n"


def rule_changes(before: Iterable[Rule], after: Iterable[Rule]) -> Iterable[RuleChange]:
    """Yield the rules that are not the same in both, by id."""
    earlier = {rule.id: rule for rule in before}
    later = {rule.id: rule for rule in after}
    for name in sorted(earlier.keys() | later.keys()):
        was, now = earlier.get(name), later.get(name)
        if was is None or now is None or was.digest != now.digest:
            yield _rule_change(name, was.version if was else None, now.version if now else None)


def _there_now(before: Result, after: Result, doubts: _Doubts) -> Iterable[Compared]:
    earlier = {finding.issue_id: finding for finding in before.findings}
    for finding in after.findings:
        known = earlier.get(finding.issue_id)
        reason = doubts.reason(finding)
        if reason is not None:
            yield _compared(finding, "not_comparable", reason)
        elif known is None:
            yield _compared(finding, "new")
        else:
            yield _compared(finding, "same", changed=_changes(known, finding))


def _gone(before: Result, after: Result, doubts: _Doubts) -> Iterable[Compared]:
    now = {finding.issue_id for finding in after.findings}
    for finding in before.findings:
        if finding.issue_id not in now:
            reason = doubts.reason(finding)
            yield _compared(finding, "gone" if reason is None else "not_comparable", reason)


class _Doubts:
    """Knows why a rule's findings on a host say nothing about what changed there."""

    def __init__(self, before: Result, after: Result) -> None:
        self._is_same_telemetry = before.run.digests.events == after.run.digests.events
        self._before, self._after = _outcomes(before), _outcomes(after)
        self._rules_before = {item.rule for item in before.outcomes}
        self._versions = [_versions(before), _versions(after)]
        self._columns = [_columns(before), _columns(after)]

    def reason(self, finding: Finding) -> str | None:
        pair = (finding.rule, finding.agent_id)
        if finding.rule not in self._rules_before:
            return None  # a rule that is new finds what is new
        for outcomes, when in ((self._before, "before"), (self._after, "now")):
            reason = outcomes.get(pair, "the rule did not judge this host")
            if reason is not None:
                return f"not evaluated {when}: {reason}"
        versions = [known.get(finding.rule) for known in self._versions]
        if not self._is_same_telemetry and None not in versions and versions[0] != versions[1]:
            return f"version {versions[0]} of the rule before, {versions[1]} now"
        columns = [known.get(finding.rule) for known in self._columns]
        if None not in columns and columns[0] != columns[1]:
            return "the rule groups its findings otherwise now"
        return None


def _outcomes(result: Result) -> dict[tuple[str, str], str | None]:
    """Return, for each rule and host, why it was not evaluated; None where it was."""
    return {
        (item.rule, item.agent_id): item.reason if item.outcome == "not_evaluated" else None
        for item in result.outcomes
    }


def _versions(result: Result) -> dict[str, int]:
    return {finding.rule: finding.rule_version for finding in result.findings}


def _columns(result: Result) -> dict[str, frozenset[str]]:
    return {
        finding.rule: frozenset(finding.group)
        for finding in result.findings
        if not finding.is_closing
    }


def _changes(before: Finding, after: Finding) -> tuple[str, ...]:
    return tuple(name for name in _WEIGHED if getattr(before, name) != getattr(after, name))


def _compared(
    finding: Finding, state: State, reason: str | None = None, *, changed: tuple[str, ...] = ()
) -> Compared:
    return Compared(
        state=state,
        reason=reason,
        issue_id=finding.issue_id,
        rule=finding.rule,
        rule_version=finding.rule_version,
        agent_id=finding.agent_id,
        severity=finding.severity,
        numeric_severity=finding.numeric_severity,
        title=finding.title,
        group=finding.group,
        count=finding.count,
        changed=changed,
    )


def _rank(item: Compared) -> tuple[object, ...]:
    group = canonical(item.group)
    return (-item.numeric_severity, item.rule, item.agent_id, group, item.issue_id)


def _version_changes(before: Result, after: Result) -> Iterable[RuleChange]:
    earlier, later = _versions(before), _versions(after)
    for name in sorted(earlier.keys() & later.keys()):
        if earlier[name] != later[name]:
            yield _rule_change(name, earlier[name], later[name])


def _rule_change(name: str, before: int | None, after: int | None) -> RuleChange:
    return RuleChange(rule=name, version_before=before, version_after=after)


def _side(result: Result) -> Side:
    run = result.run
    return Side(run=run.id, name=run.name, digests=run.digests, findings=len(result.findings))


def _summary(findings: Sequence[Compared]) -> dict[State, dict[str, int]]:
    counts: Mapping[State, Counter[str]] = defaultdict(Counter)
    for item in findings:
        counts[item.state][item.severity] += 1
    return {state: {name: counts[state][name] for name in SEVERITIES} for state in STATES}
