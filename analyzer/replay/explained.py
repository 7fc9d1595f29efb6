"""Explained: why a rule fired on a host, or why not.

In: a rule and the telemetry of one host. Out: outcome, findings with their witnesses, what each
condition left, what came closest, what was not watched; as values and as canonical JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from analyzer.results.findings import Finding, make_findings, share_of, text_of
from rules.margin import limit_of, margin_of
from rules.reference import judge
from rules.telemetry.ndjson import canonical
from rules.whynot import SequenceMiss, ThresholdMiss, WhyNot, why_not
from rules.witness import witnesses

if TYPE_CHECKING:
    from analyzer.replay.replayed import HostTelemetry
    from rules.format import Rule
    from rules.outcome import Outcome
    from rules.telemetry.batch import Row

MAX_EXPLAINED: Final = 10  # findings that are explained one by one; the others are counted
_FINDING_FIELDS: Final = (
    "group",
    "count",
    "first_seen_us",
    "last_seen_us",
    "window",
    "measured",
    "limit",
    "margin",
    "buckets",
)


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A finding, and the rows that alone make it again."""

    finding: Finding
    witnesses: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a rule makes of one host, and why.

    Attributes:
        findings: The earliest ones.
        and_more: How many there are beyond them.
        why: Counts for each condition, and what was not watched; what came closest is left out
            where there are findings.
    """

    rule: Rule
    package: str
    host: HostTelemetry
    outcome: Outcome
    findings: tuple[Witnessed, ...]
    and_more: int
    why: WhyNot


def explained(rule: Rule, package: str, host: HostTelemetry) -> Explanation:
    """Return what ``rule`` makes of a host, and why."""
    rows_by_kind = host.rows_by_kind
    outcome = judge(rule, host.agent_id, rows_by_kind, host.ledger, max_groups=MAX_EXPLAINED)
    why = why_not(rule.detection, host.agent_id, rows_by_kind, host.ledger)
    findings = make_findings(outcome, rule, package=package, run_id=host.run, ledger=host.ledger)
    return Explanation(
        rule=rule,
        package=package,
        host=host,
        outcome=outcome,
        findings=tuple(
            Witnessed(finding, witnesses(rule.detection, group, rows_by_kind))
            for finding, group in zip(findings, outcome.groups, strict=True)
            if not group.is_closing
        ),
        and_more=sum(finding.and_more for finding in findings),
        why=replace(why, nearest=None) if findings else why,
    )


def explanation_json(explanation: Explanation) -> bytes:
    """Return an explanation as canonical JSON and one newline; witnesses are all there."""
    outcome, host = explanation.outcome, explanation.host
    document: dict[str, Any] = {
        "format": 1,
        "rule": explanation.rule.id,
        "rule_version": explanation.rule.version,
        "package": explanation.package,
        "kind": explanation.rule.detection.kind,
        "run": {"name": host.run, "from_us": host.ledger.from_us, "to_us": host.ledger.to_us},
        "agent_id": host.agent_id,
        "hostname": host.hostname,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "coverage": share_of(outcome.coverage),
        "findings": [_finding(item, explanation.rule) for item in explanation.findings],
        "and_more": explanation.and_more,
        "limit": limit_of(explanation.rule.detection),
        "margin": _margin(explanation),
        **msgspec.to_builtins(explanation.why),
    }
    return canonical(document) + b"\n"


def _margin(explanation: Explanation) -> int | None:
    """Return by how much what came closest missed; below 0, or 0 at a threshold's limit."""
    detection, nearest = explanation.rule.detection, explanation.why.nearest
    match nearest:
        case ThresholdMiss():
            return margin_of(detection, nearest.measured)
        case SequenceMiss():
            return margin_of(detection, nearest.too_late_us)
    return None


def _finding(item: Witnessed, rule: Rule) -> dict[str, Any]:
    plain = msgspec.to_builtins(item.finding)
    return {
        "text": text_of(item.finding, rule),
        **{name: plain[name] for name in _FINDING_FIELDS},
        "witnesses": list(item.witnesses),
    }
