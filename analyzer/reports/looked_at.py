"""What a run looked at: its packages, rules and hosts, and what could not be evaluated.

In: a dossier. Out: the rows of a report's tables, in words and numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from analyzer.reports.charts import Segment, stacked
from analyzer.reports.dossier import Dossier
from analyzer.results.document import SEVERITIES, OutcomeResult
from analyzer.words import listed, percent, plain, printable

MAX_NAMES: Final = 6  # rules or hosts that are named in one cell
_ORDER: Final[dict[str, int]] = {name: place for place, name in enumerate(SEVERITIES)}


@dataclass(frozen=True, slots=True)
class Tested:
    """A rules package of the run, or one that found something."""

    title: str
    version: str
    provider: str
    description: str
    rules: int
    """How many of its rules were checked."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A reason for which rules could not be judged."""

    reason: str
    rules: str
    hosts: str
    coverage: str
    pairs: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule of the run, and on how many hosts it came to what."""

    rule_id: str
    title: str
    severity: str
    package: str
    outcome: str
    """In a word or two: what it came to over all hosts."""
    coverage: str
    """The share of the run that was watched for it: of the worst host to that of the best."""
    findings: int
    clean: int
    not_evaluated: int
    bar: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the run."""

    name: str
    agent_id: str
    events: str
    coverage: str
    findings: int
    not_evaluated: int


def packages_tested(dossier: Dossier) -> Iterator[Tested]:
    """Yield the packages whose rules were checked, by title."""
    found = {
        package.id: package for rule in dossier.checked if (package := dossier.package_of(rule))
    }
    for package in sorted(found.values(), key=lambda item: (item.title, item.id)):
        known = {rule.id for rule in package.rules}
        yield Tested(
            title=plain(package.title),
            version=plain(package.version),
            provider=plain(package.provider),
            description=plain(package.description),
            rules=len(known.intersection(dossier.checked)),
        )


def gaps_of(dossier: Dossier) -> Iterator[Gap]:
    """Yield why something was not evaluated, the widest gap first."""
    missing: dict[str, list[OutcomeResult]] = defaultdict(list)
    for outcome in dossier.result.outcomes:
        if outcome.outcome == "not_evaluated":
            missing[printable(outcome.reason or "no reason given")].append(outcome)
    for reason, outcomes in sorted(missing.items(), key=lambda item: (-len(item[1]), item[0])):
        rules = list(dict.fromkeys(outcome.rule for outcome in outcomes))
        hosts = list(dict.fromkeys(dossier.host_name(item.agent_id) for item in outcomes))
        yield Gap(
            reason=reason,
            rules=listed(rules, most=MAX_NAMES),
            hosts=listed(hosts, most=MAX_NAMES),
            coverage=_range(outcomes),
            pairs=len(outcomes),
        )


def rules_checked(dossier: Dossier) -> Iterator[Checked]:
    """Yield the rules of the run by package, severity and id."""
    by_rule: dict[str, list[OutcomeResult]] = defaultdict(list)
    for outcome in dossier.result.outcomes:
        by_rule[outcome.rule].append(outcome)
    titles = {finding.rule: finding.title for finding in dossier.result.findings}
    rows = [
        _checked(dossier, rule_id, outcomes, title=titles.get(rule_id, rule_id))
        for rule_id, outcomes in by_rule.items()
    ]
    yield from sorted(
        rows, key=lambda row: (row.package, _ORDER.get(row.severity, len(_ORDER)), row.rule_id)
    )


def hosts_of(dossier: Dossier) -> Iterator[Host]:
    """Yield the hosts of the run, by agent."""
    findings = Counter(finding.agent_id for finding in dossier.result.findings)
    missing = Counter(
        item.agent_id for item in dossier.result.outcomes if item.outcome == "not_evaluated"
    )
    for host in dossier.result.hosts:
        yield Host(
            name=dossier.host_name(host.agent_id),
            agent_id=printable(host.agent_id),
            events=f"{host.events:,}",
            coverage=percent(host.coverage),
            findings=findings[host.agent_id],
            not_evaluated=missing[host.agent_id],
        )


def _checked(
    dossier: Dossier, rule_id: str, outcomes: list[OutcomeResult], *, title: str
) -> Checked:
    rule, package = dossier.rules.get(rule_id), dossier.package_of(rule_id)
    counts: Counter[str] = Counter(outcome.outcome for outcome in outcomes)
    names = ("findings", "clean", "not_evaluated")
    return Checked(
        rule_id=printable(rule_id),
        title=plain(rule.title if rule else title),
        severity=rule.severity if rule else "",
        package=plain(package.title) if package else "",
        outcome=_in_words(counts),
        coverage=_range(outcomes),
        findings=counts["findings"],
        clean=counts["clean"],
        not_evaluated=counts["not_evaluated"],
        bar=stacked(((name, counts[name]) for name in names), whole=len(outcomes)),
    )


def _in_words(counts: Counter[str]) -> str:
    if counts["findings"]:
        return "findings"
    if not counts["not_evaluated"]:
        return "clean"
    return "partly clean" if counts["clean"] else "not evaluated"


def _range(outcomes: Iterable[OutcomeResult]) -> str:
    shares = [outcome.coverage for outcome in outcomes]
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low} to {high}"
