"""Comparison of two runs: which findings are new, persisting or resolved since the earlier one.

In: the results of two runs, with the rules that they were judged by. Out: what became of every
issue, and why some cannot be compared: a finding that is not there again proves nothing where its
rule did not look, or looked less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

import msgspec

from analyzer.results.differences import RuleChange, rule_changes
from analyzer.results.document import SEVERITIES, OutcomeResult, Result
from analyzer.results.findings import Finding
from analyzer.words import percent
from rules.columns import Value
from rules.format import Rule
from rules.loader import Package
from rules.telemetry.ndjson import canonical

Fate = Literal["new", "persisting", "resolved", "not_comparable"]
FATES: Final[tuple[Fate, ...]] = ("new", "persisting", "resolved", "not_comparable")
LESS_WATCHED: Final = 0.05  # share of a run: with so much less seen, nothing found is no news


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run came to, and the rules that it was judged by."""

    result: Result
    rules: Sequence[Rule]

    @classmethod
    def of(cls, result: Result, packages: Iterable[Package]) -> Self:
        """Return what a run came to by these packages."""
        return cls(result, [rule for package in packages for rule in package.rules])


class ComparedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs."""

    run: str
    name: str
    from_us: int
    to_us: int
    hosts: int
    findings: int


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one issue; described as it is now, or as it was where it is not there.

    Attributes:
        state: Whether it is new, persisting, resolved, or cannot be compared.
        reason: Why it cannot be compared; None where it can.
        count_before: Its rows in the earlier run; None where it was not found.
        count: Its rows in the later run; None where it was not found.
    """

    state: Fate
    reason: str | None
    issue_id: str
    rule: str
    rule_version: int
    agent_id: str
    hostname: str | None
    severity: str
    numeric_severity: int
    title: str
    group: dict[str, Value | None]
    count_before: int | None
    count: int | None


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every issue, by severity, rule, agent and group.

    Attributes:
        rules: Rules that are not the same in both runs.
        hosts_gone: Agents that only the earlier run assessed.
        hosts_added: Agents that only the later one assessed.
    """

    format: Literal[1]
    before: ComparedRun
    after: ComparedRun
    rules: tuple[RuleChange, ...]
    hosts_gone: tuple[str, ...]
    hosts_added: tuple[str, ...]
    findings: tuple[Issue, ...]
    summary: dict[Fate, dict[str, int]]
    """By state: how many of each severity, all of them listed."""

    def count(self, state: Fate) -> int:
        """Return how many issues are in a state."""
        return sum(self.summary[state].values())


def compare_runs(before: Judgement, after: Judgement) -> RunComparison:
    """Return what became of the issues of ``before`` in ``after``."""
    sides = (_Side(before), _Side(after))
    issues = sorted(_issues(*sides), key=_rank)
    return RunComparison(
        format=1,
        before=_described(before.result),
        after=_described(after.result),
        rules=tuple(rule_changes(_checked(before), _checked(after))),
        hosts_gone=tuple(sorted(sides[0].hosts.keys() - sides[1].hosts.keys())),
        hosts_added=tuple(sorted(sides[1].hosts.keys() - sides[0].hosts.keys())),
        findings=tuple(issues),
        summary=_summary(issues),
    )


def to_comparison_json(comparison: RunComparison) -> bytes:
    """Return the comparison as canonical JSON and one newline."""
    return canonical(msgspec.to_builtins(comparison)) + b"\n"


def to_comparison_ndjson(comparison: RunComparison) -> bytes:
    """Return the issues as canonical JSON, one a line."""
    lines = (canonical(msgspec.to_builtins(issue)) for issue in comparison.findings)
    return b"".join(line + b"\n" for line in lines)


class _Side:
    """One run, by what is looked up in it."""

    def __init__(self, judgement: Judgement) -> None:
        result = judgement.result
        self.findings = {finding.issue_id: finding for finding in result.findings}
        self.hosts = {host.agent_id: host.hostname for host in result.hosts}
        self.outcomes = {(item.rule, item.agent_id): item for item in result.outcomes}
        self.checked = {item.rule for item in result.outcomes}
        self.rules = {rule.id: rule for rule in judgement.rules if rule.id in self.checked}
        self.capped = {(item.rule, item.agent_id) for item in result.findings if item.is_closing}


def _issues(before: _Side, after: _Side) -> Iterator[Issue]:
    for issue_id in before.findings.keys() | after.findings.keys():
        was, now = before.findings.get(issue_id), after.findings.get(issue_id)
        found = now or was
        if found is None:  # it is of one of the two
            continue
        reason = _doubt(found, before, after)
        state: Fate = "persisting" if was and now else "new" if now else "resolved"
        yield Issue(
            state=state if reason is None else "not_comparable",
            reason=reason,
            issue_id=issue_id,
            rule=found.rule,
            rule_version=found.rule_version,
            agent_id=found.agent_id,
            hostname=after.hosts.get(found.agent_id) or before.hosts.get(found.agent_id),
            severity=found.severity,
            numeric_severity=found.numeric_severity,
            title=found.title,
            group=found.group,
            count_before=was.count if was else None,
            count=now.count if now else None,
        )


def _doubt(found: Finding, before: _Side, after: _Side) -> str | None:
    """Return why the issue says nothing about what changed, or None."""
    for side, when in ((before, "in the earlier run"), (after, "in the later run")):
        if found.rule not in side.checked:
            return f"the rule was not {when}"
        if found.agent_id not in side.hosts:
            return f"the host was not {when}"
    changed = _other_rule(before.rules.get(found.rule), after.rules.get(found.rule))
    if changed is not None:
        return changed
    if found.issue_id in before.findings and found.issue_id in after.findings:
        return None
    there, absent = (before, after) if found.issue_id in before.findings else (after, before)
    return _unseen(found, there, absent, when="in the later run" if absent is after else "before")


def _other_rule(before: Rule | None, after: Rule | None) -> str | None:
    if before is None or after is None:
        return None
    if before.version != after.version:
        return f"version {before.version} of the rule before, {after.version} now"
    if before.detection_digest != after.detection_digest:
        return f"the rule decides otherwise now, still as version {after.version}"
    return None


def _unseen(found: Finding, there: _Side, absent: _Side, *, when: str) -> str | None:
    """Return why it may have been there all the same, where it was not found."""
    pair = (found.rule, found.agent_id)
    outcome = absent.outcomes.get(pair)
    if outcome is None or outcome.outcome == "not_evaluated":
        reason = outcome.reason if outcome else "the rule did not judge this host"
        return f"not evaluated {when}: {reason}"
    if pair in absent.capped:
        return f"the rule found more {when} than are listed"
    watched = _coverage(there.outcomes.get(pair))
    if outcome.coverage < watched - LESS_WATCHED:
        return f"{percent(outcome.coverage)} watched {when}, {percent(watched)} when it was found"
    return None


def _coverage(outcome: OutcomeResult | None) -> float:
    return outcome.coverage if outcome else 0.0


def _checked(judgement: Judgement) -> list[Rule]:
    checked = {item.rule for item in judgement.result.outcomes}
    return [rule for rule in judgement.rules if rule.id in checked]


def _described(result: Result) -> ComparedRun:
    run = result.run
    return ComparedRun(
        run=run.id,
        name=run.name,
        from_us=run.from_us,
        to_us=run.to_us,
        hosts=len(result.hosts),
        findings=len(result.findings),
    )


def _rank(issue: Issue) -> tuple[object, ...]:
    group = canonical(issue.group)
    return (-issue.numeric_severity, issue.rule, issue.agent_id, group, issue.issue_id)


def _summary(issues: Sequence[Issue]) -> dict[Fate, dict[str, int]]:
    counts: Mapping[Fate, Counter[str]] = {fate: Counter() for fate in FATES}
    for issue in issues:
        counts[issue.state][issue.severity] += 1
    return {fate: {name: counts[fate][name] for name in SEVERITIES} for fate in FATES}
