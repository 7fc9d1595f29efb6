"""Results: the document that a run ends in, as values and as canonical JSON.

In: outcomes, packages, ledger, digests. Out: ``Result``, and bytes that are the same for the same
input. Source: the results contract, format 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from analyzer.results.findings import Finding, Share, id_of, make_findings, ranked, share_of
from rules.format import NUMERIC_SEVERITY
from rules.loader import Package
from rules.outcome import Outcome
from rules.telemetry.ledger import Ledger
from rules.telemetry.ndjson import canonical

SEVERITIES: Final = tuple(NUMERIC_SEVERITY)
"""From the highest to the lowest."""
_SHARE_SCALE: Final = 1_000_000


class Digests(msgspec.Struct, frozen=True, kw_only=True):
    """Hashes of what a run was made from: telemetry, rules, settings."""

    events: str
    rules: str
    settings: str

    @property
    def run_id(self) -> str:
        """Return the id of a run that is known by its input alone."""
        return id_of(self.events, self.rules, self.settings)


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which run it was, and the interval that was judged."""

    id: str
    name: str
    state: str
    from_us: int
    to_us: int
    digests: Digests
    arn: str | None = None


class HostResult(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the run; ``coverage`` is the mean over the kinds that the run's rules need."""

    agent_id: str
    hostname: str | None
    events: int
    coverage: Share


class OutcomeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule came to on one host."""

    rule: str
    agent_id: str
    outcome: Literal["findings", "clean", "not_evaluated"]
    reason: str | None
    coverage: Share
    findings: int


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run came to, in numbers; ``skipped`` counts lines, where lines may be skipped."""

    findings: dict[str, int]
    rules: int
    evaluated_pairs: int
    pairs: int
    events: int
    skipped: int | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to: hosts by agent, outcomes by rule and agent, findings by severity."""

    format: Literal[1]
    run: RunInfo
    hosts: tuple[HostResult, ...]
    outcomes: tuple[OutcomeResult, ...]
    findings: tuple[Finding, ...]
    summary: Summary


def assemble(
    *,
    run: RunInfo,
    packages: Iterable[Package],
    outcomes: Iterable[Outcome],
    ledger: Ledger,
    events: Mapping[str, int],
    hostnames: Mapping[str, str] | None = None,
    skipped: int | None = None,
) -> Result:
    """Return the result of a run.

    Args:
        run: Which run.
        packages: The rules packages it was judged by.
        outcomes: Of every rule on every host.
        ledger: What was watched; its hosts are the run's hosts.
        events: Rows of each host inside the run.
        hostnames: Names of hosts, as far as they are known.
        skipped: Lines of a recording that were skipped, where that is allowed.
    """
    packages = list(packages)
    ordered = sorted(outcomes, key=lambda outcome: (outcome.rule_id, outcome.agent_id))
    findings = _findings(run.id, packages, ordered, ledger)
    hosts = _hosts(packages, ledger, events, hostnames or {})
    return Result(
        format=1,
        run=run,
        hosts=hosts,
        outcomes=tuple(_outcome(outcome) for outcome in ordered),
        findings=findings,
        summary=Summary(
            findings=count_by_severity(findings),
            rules=sum(len(package.rules) for package in packages),
            evaluated_pairs=sum(outcome.outcome != "not_evaluated" for outcome in ordered),
            pairs=len(ordered),
            events=sum(host.events for host in hosts),
            skipped=skipped,
        ),
    )


def merged(documents: Iterable[bytes]) -> Result:
    """Return the result of all hosts from result documents of some each, at least one."""
    parts = [from_json(document) for document in documents]
    hosts = [host for part in parts for host in part.hosts]
    outcomes = [outcome for part in parts for outcome in part.outcomes]
    findings = ranked(finding for part in parts for finding in part.findings)
    first = parts[0]
    return Result(
        format=1,
        run=first.run,
        hosts=tuple(sorted(hosts, key=lambda host: host.agent_id)),
        outcomes=tuple(sorted(outcomes, key=lambda item: (item.rule, item.agent_id))),
        findings=tuple(findings),
        summary=Summary(
            findings=count_by_severity(findings),
            rules=first.summary.rules,
            evaluated_pairs=sum(part.summary.evaluated_pairs for part in parts),
            pairs=len(outcomes),
            events=sum(part.summary.events for part in parts),
            skipped=first.summary.skipped,
        ),
    )


def host_coverage(ledger: Ledger, agent_id: str, kinds: Iterable[str]) -> Share:
    """Return the mean share of the run in which ``kinds`` were watched on a host."""
    shares = [round(ledger.share(agent_id, kind) * _SHARE_SCALE) for kind in kinds]
    return share_of(sum(shares) // len(shares) / _SHARE_SCALE) if shares else 0


def count_by_severity(findings: Iterable[Finding]) -> dict[str, int]:
    """Return how many findings each severity has, all four listed."""
    counts = Counter(finding.severity for finding in findings)
    return {severity: counts[severity] for severity in SEVERITIES}


def to_json(result: Result) -> bytes:
    """Return the result document: canonical JSON and one newline."""
    return canonical(msgspec.to_builtins(result)) + b"\n"


def to_ndjson(result: Result) -> bytes:
    """Return the findings as canonical JSON, one a line."""
    return b"".join(finding_json(finding) + b"\n" for finding in result.findings)


def finding_json(finding: Finding) -> bytes:
    """Return one finding as canonical JSON without a newline."""
    return canonical(msgspec.to_builtins(finding))


def from_json(document: bytes) -> Result:
    """Return the result that a document of ``to_json`` holds.

    Raises:
        msgspec.ValidationError: It is no result document of format 1.
    """
    return msgspec.json.decode(document, type=Result)


def _findings(
    run_id: str, packages: Iterable[Package], outcomes: Iterable[Outcome], ledger: Ledger
) -> tuple[Finding, ...]:
    rules = {rule.id: (package.id, rule) for package in packages for rule in package.rules}
    made: list[Finding] = []
    for outcome in outcomes:
        package, rule = rules[outcome.rule_id]
        made += make_findings(outcome, rule, package=package, run_id=run_id, ledger=ledger)
    return tuple(ranked(made))


def _hosts(
    packages: Iterable[Package],
    ledger: Ledger,
    events: Mapping[str, int],
    hostnames: Mapping[str, str],
) -> tuple[HostResult, ...]:
    kinds = {kind for package in packages for kind in package.telemetry}
    return tuple(
        HostResult(
            agent_id=agent_id,
            hostname=hostnames.get(agent_id),
            events=events.get(agent_id, 0),
            coverage=host_coverage(ledger, agent_id, kinds),
        )
        for agent_id in ledger.agents
    )


def _outcome(outcome: Outcome) -> OutcomeResult:
    return OutcomeResult(
        rule=outcome.rule_id,
        agent_id=outcome.agent_id,
        outcome=outcome.outcome,
        reason=outcome.reason,
        coverage=share_of(outcome.coverage),
        findings=len(outcome.groups),
    )
