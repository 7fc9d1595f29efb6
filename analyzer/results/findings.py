"""Findings: what an outcome says to people and to other programs.

In: an outcome, its rule, and what was watched. Out: findings with severity, evidence, what decided
and how closely, and two ids: one for this occurrence, one for the issue behind it, by which runs
are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from rules.buckets import Buckets, bucket_width_us
from rules.columns import Value
from rules.detection import AbsenceDetection
from rules.format import Rule
from rules.margin import limit_of, margin_of
from rules.outcome import Group, Outcome
from rules.summary import summary_of
from rules.telemetry.ledger import Ledger
from rules.telemetry.ndjson import canonical
from rules.watched import Sight

ID_DIGITS: Final = 32  # hexadecimal digits of an id: 128 bits of a SHA-256
Share = int | float
"""0 to 1 with at most six digits; whole numbers are int, so that JSON has no 1.0."""


class DecisiveWindow(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when something decided, and the share of it that was watched."""

    from_us: int
    to_us: int
    coverage: Share


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the rows that count began in each stretch of time; empty ones are left out."""

    width_us: int
    counts: Buckets


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of a rule on a host, as it stands in the result document.

    ``and_more`` is 0 but for the closing finding.
    ``window`` is what decided: the first window that crosses, the first pair, else from the first
    to the last row; of absence the run, since all of it was searched. ``measured`` is held against
    ``limit``, and ``margin`` says by how much it fires. They are null where nothing is measured; a
    steady pace has neither limit nor margin.
    Of the closing finding, which stands for the groups above the cap, ``group`` and ``evidence``
    are empty, and ``count`` and ``and_more`` say how many groups it stands for.
    """

    rule: str
    rule_version: int
    package: str
    agent_id: str
    severity: str
    numeric_severity: int
    title: str
    group: dict[str, Value | None]
    count: int
    first_seen_us: int
    last_seen_us: int
    occurrence_id: str
    issue_id: str
    coverage: Share
    evidence: tuple[dict[str, Any], ...]
    and_more: int
    window: DecisiveWindow
    measured: int | None
    limit: int | None
    margin: int | None
    buckets: Histogram

    @property
    def is_closing(self) -> bool:
        """Tell whether it stands for the groups above the cap."""
        return not self.evidence


def make_findings(
    outcome: Outcome, rule: Rule, *, package: str, run_id: str, ledger: Ledger
) -> tuple[Finding, ...]:
    """Return the findings of one rule on one host, in the order of the outcome's groups."""
    sight = Sight(rule.detection, outcome.agent_id, ledger)
    return tuple(
        Finding(
            rule=rule.id,
            rule_version=rule.version,
            package=package,
            agent_id=outcome.agent_id,
            severity=rule.severity,
            numeric_severity=rule.numeric_severity,
            title=rule.title,
            group=dict(group.key),
            count=group.count,
            first_seen_us=group.first_seen_us,
            last_seen_us=group.last_seen_us,
            occurrence_id=id_of(run_id, rule.id, outcome.agent_id, _named(group, group.key)),
            issue_id=id_of(rule.id, outcome.agent_id, _named(group, rule.issue_key(group.key))),
            coverage=share_of(outcome.coverage),
            evidence=group.evidence,
            and_more=group.and_more if group.is_closing else 0,
            window=_window(rule, group, sight, ledger),
            measured=group.measured,
            limit=None if group.is_closing else limit_of(rule.detection),
            margin=margin_of(rule.detection, group.measured),
            buckets=Histogram(
                width_us=bucket_width_us(group.first_seen_us, group.last_seen_us),
                counts=group.buckets,
            ),
        )
        for group in outcome.groups
    )


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by severity (highest first), rule, agent and group."""
    return sorted(
        findings,
        key=lambda finding: (
            -finding.numeric_severity,
            finding.rule,
            finding.agent_id,
            canonical(finding.group),
        ),
    )


def id_of(*parts: object) -> str:
    """Return the id that parts make: a hash of their canonical JSON."""
    return hashlib.sha256(canonical(parts)).hexdigest()[:ID_DIGITS]


def share_of(share: float) -> Share:
    """Return a share as JSON has it: a whole number where it is one, else six digits."""
    rounded = round(share, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def text_of(finding: Finding, rule: Rule | None) -> str:
    """Return what was found, in a sentence.

    Args:
        finding: Of any run.
        rule: The rule in the version that made it; without it, the title has to do.
    """
    if rule is None or (rule.version != finding.rule_version and not finding.is_closing):
        return finding.title
    group = Group(
        key=finding.group,
        count=finding.count,
        first_seen_us=finding.first_seen_us,
        last_seen_us=finding.last_seen_us,
        evidence=finding.evidence,
        and_more=finding.and_more,
        window=(finding.window.from_us, finding.window.to_us),
        measured=finding.measured,
        buckets=finding.buckets.counts,
    )
    return summary_of(rule, group)


def _window(rule: Rule, group: Group, sight: Sight, ledger: Ledger) -> DecisiveWindow:
    searches_the_run = isinstance(rule.detection, AbsenceDetection) and not group.is_closing
    window = (ledger.from_us, ledger.to_us) if searches_the_run else group.window
    coverage = share_of(sight.share(window))
    return DecisiveWindow(from_us=window[0], to_us=window[1], coverage=coverage)


def _named(group: Group, key: Mapping[str, Value | None]) -> object:
    """Return what identifies a group; the closing one is told from an empty key."""
    return "and_more" if group.is_closing else dict(key)
