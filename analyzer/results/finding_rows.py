"""Finding rows: a run's result as findings that are listed, filtered and described one by one.

In: a result document, the rules packages, the hosts of the run. Out: one row for each finding, and
one for each rules package that was evaluated as a whole on a host and found nothing. Pure: the same
result makes the same rows with the same ids.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from analyzer.arns import stable_id
from analyzer.model import CLEAN_RULE, CLEAN_TITLE, FindingRow, Tag
from analyzer.results.document import finding_json
from analyzer.results.findings import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from analyzer.model import Interface, Run, RunAgent
    from analyzer.results.document import Result
    from analyzer.results.findings import Finding
    from rules.format import Rule
    from rules.loader import Package

_MAX_VALUE: Final = 256  # characters of an attribute's value
_MAX_ATTRIBUTES: Final = 50
_CLEAN_RECOMMENDATION: Final = "No remediation needed."


def finding_rows(
    run: Run,
    result: Result,
    packages: Sequence[Package],
    agents: Mapping[str, RunAgent],
    *,
    at_us: int,
    interfaces: Mapping[str, tuple[Interface, ...]] | None = None,
) -> list[FindingRow]:
    """Return the rows of an ended run, in the order of its findings, the clean ones last.

    Args:
        run: The run.
        result: What it came to.
        packages: What it was judged by.
        agents: Its hosts, by id; what they do not say stays empty.
        at_us: When the run ended: every finding is made then.
        interfaces: The network interfaces of hosts, as far as they are known.
    """
    rules = {rule.id: rule for package in packages for rule in package.rules}
    ids = _Ids()
    rows = [
        _row(run, finding, rules.get(finding.rule), ids=ids, at_us=at_us)
        for finding in result.findings
    ]
    rows += _clean_rows(run, result, packages, ids=ids, at_us=at_us)
    known = interfaces or {}
    return [
        _with_host(replace(row, interfaces=known.get(row.agent_id, ())), agents.get(row.agent_id))
        for row in rows
    ]


class _Ids:
    """Gives ids made from names; two names of one run never share one."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, *name: str) -> str:
        attempt = 0
        while (id_ := stable_id("finding", *name, *([attempt] if attempt else []))) in self._taken:
            attempt += 1
        self._taken.add(id_)
        return id_


def _row(run: Run, finding: Finding, rule: Rule | None, *, ids: _Ids, at_us: int) -> FindingRow:
    return FindingRow(
        id=ids.of(finding.occurrence_id),
        run_arn=run.arn,
        package=finding.package,
        rule=finding.rule,
        agent_id=finding.agent_id,
        severity=finding.severity,
        numeric_severity=finding.numeric_severity,
        title=f"Instance {finding.agent_id}: {text_of(finding, rule)}",
        description=f"{rule.description} {rule.rationale}".strip() if rule else finding.title,
        recommendation=rule.recommendation if rule else "",
        attributes=_attributes(finding),
        user_attributes=run.user_attributes,
        created_us=at_us,
        updated_us=at_us,
        occurrence_id=finding.occurrence_id,
        issue_id=finding.issue_id,
        body=finding_json(finding).decode(),
    )


def _attributes(finding: Finding) -> tuple[Tag, ...]:
    named = {
        "INSTANCE_ID": finding.agent_id,
        **{column.upper(): value for column, value in finding.group.items()},
        "COUNT": finding.count,
        "FIRST_SEEN": _time(finding.first_seen_us),
        "LAST_SEEN": _time(finding.last_seen_us),
        "COVERAGE": finding.coverage,
        "RULE_VERSION": finding.rule_version,
        "ISSUE_ID": finding.issue_id,
    }
    pairs = [(key, _text(value)) for key, value in named.items() if value is not None]
    return tuple(Tag(key, value) for key, value in pairs if value)[:_MAX_ATTRIBUTES]


def _text(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("\0", "")[:_MAX_VALUE]  # PostgreSQL has no text with a null character


def _time(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _clean_rows(
    run: Run, result: Result, packages: Sequence[Package], *, ids: _Ids, at_us: int
) -> Iterator[FindingRow]:
    """Yield a finding for each package and host where all rules were evaluated and none fired."""
    clean = Counter[tuple[str, str]]()
    package_of = {rule.id: package.id for package in packages for rule in package.rules}
    for outcome in result.outcomes:
        clean[package_of[outcome.rule], outcome.agent_id] += outcome.outcome == "clean"
    for package in packages:
        for host in result.hosts:
            if package.rules and clean[package.id, host.agent_id] == len(package.rules):
                yield FindingRow(
                    id=ids.of(CLEAN_RULE, package.id, host.agent_id),
                    run_arn=run.arn,
                    package=package.id,
                    rule=CLEAN_RULE,
                    agent_id=host.agent_id,
                    severity="Informational",
                    numeric_severity=0,
                    title=CLEAN_TITLE,
                    description=(
                        f"Every rule of {package.title} was evaluated on {host.agent_id}, and none "
                        "found anything."
                    ),
                    recommendation=_CLEAN_RECOMMENDATION,
                    user_attributes=run.user_attributes,
                    created_us=at_us,
                    updated_us=at_us,
                    occurrence_id=stable_id(run.id, CLEAN_RULE, package.id, host.agent_id),
                    issue_id=stable_id(CLEAN_RULE, package.id, host.agent_id),
                )


def _with_host(row: FindingRow, agent: RunAgent | None) -> FindingRow:
    if agent is None:
        return row
    return replace(
        row,
        hostname=agent.hostname,
        auto_scaling_group=agent.auto_scaling_group,
        host_tags=agent.tags,
    )
