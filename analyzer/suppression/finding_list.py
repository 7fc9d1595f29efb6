"""Lists of findings: those of a run that somebody asks for, each with its status.

In: a result, what is asked for, and what people said about issues. Out: findings with their status,
or a result that holds them alone, for every format that a result has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from analyzer.errors import AssessmentError
from analyzer.model import FindingRow
from analyzer.results.document import Result, count_by_severity
from analyzer.results.findings import Finding
from analyzer.suppression import Status, Statuses
from analyzer.suppression.status import STATES, State
from analyzer.words import listed
from rules.telemetry.ndjson import canonical

_ID_DIGITS: Final = 8  # of an occurrence, where there is no shorter name


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Which findings are asked for: those that match every given part by any of its values."""

    severities: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Ids or names."""
    states: tuple[State, ...] = ()

    def takes(self, finding: Finding, status: Status, *, hostname: str | None) -> bool:
        """Tell whether a finding is asked for."""
        return (
            (not self.severities or finding.severity in self.severities)
            and (not self.rules or finding.rule in self.rules)
            and (not self.packages or finding.package in self.packages)
            and (not self.hosts or finding.agent_id in self.hosts or hostname in self.hosts)
            and (not self.states or status.state in self.states)
        )


@dataclass(frozen=True, slots=True)
class ListedFinding:
    """A finding, and what is the case with it."""

    finding: Finding
    status: Status
    row: FindingRow | None = None
    """As it is listed and described elsewhere; None of runs that were stored without."""

    @property
    def id(self) -> str:
        """Return the id that a table names it by."""
        return self.row.id if self.row else self.finding.occurrence_id[:_ID_DIGITS]

    def is_named(self, name: str) -> bool:
        """Tell whether a name is its ARN or id, or the start of its occurrence or issue id."""
        ids = (self.finding.occurrence_id, self.finding.issue_id)
        is_row = self.row is not None and name in {self.row.id, self.row.arn}
        return is_row or any(each.startswith(name) for each in ids)


@dataclass(frozen=True, slots=True)
class FindingList:
    """The findings of a run that are asked for, ranked, and how many there are in each state."""

    result: Result
    items: tuple[ListedFinding, ...]
    states: Counter[State]
    """Of all findings of the run."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings alone."""
        return tuple(item.finding for item in self.items)

    def as_result(self) -> Result:
        """Return the run's result with these findings alone; outcomes stay as they are."""
        counts = count_by_severity(self.findings)
        summary = msgspec.structs.replace(self.result.summary, findings=counts)
        return msgspec.structs.replace(self.result, findings=self.findings, summary=summary)


def select(
    result: Result, query: FindingQuery, statuses: Statuses, *, rows: Iterable[FindingRow] = ()
) -> FindingList:
    """Return the findings of a result that are asked for.

    Args:
        result: Of a run.
        query: Which.
        statuses: What people said.
        rows: The run's findings as they are stored one by one.
    """
    by_occurrence = {row.occurrence_id: row for row in rows}
    names = {host.agent_id: host.hostname for host in result.hosts}
    states: Counter[State] = Counter()
    items = []
    for finding in result.findings:
        status = statuses.of(finding)
        states[status.state] += 1
        if query.takes(finding, status, hostname=names.get(finding.agent_id)):
            row = by_occurrence.get(finding.occurrence_id)
            items.append(ListedFinding(finding, status, row))
    return FindingList(result, tuple(items), states)


def one_of(findings: Sequence[ListedFinding], name: str) -> ListedFinding:
    """Return the finding of a name: its ARN or id, or the start of its occurrence or issue id.

    Raises:
        AssessmentError: There is none, or more than one.
    """
    found = [item for item in findings if item.is_named(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise AssessmentError(
            f"no finding of this run is named {name!r}; 'proctor findings list --status all' shows "
            "every finding"
        )
    ids = listed([item.id for item in found])
    raise AssessmentError(f"{name!r} names several findings: {ids}")


def to_list_json(found: FindingList) -> bytes:
    """Return the list as canonical JSON and one newline."""
    document = {
        "format": 1,
        "run": found.result.run.id,
        "findings": [_plain(item) for item in found.items],
        "summary": count_by_severity(found.findings),
        "states": {state: found.states[state] for state in STATES},
    }
    return canonical(document) + b"\n"


def to_list_ndjson(items: Iterable[ListedFinding]) -> bytes:
    """Return findings with their status as canonical JSON, one a line."""
    return b"".join(canonical(_plain(item)) + b"\n" for item in items)


def _plain(item: ListedFinding) -> dict[str, object]:
    finding: dict[str, object] = msgspec.to_builtins(item.finding)
    finding |= {"status": item.status.state, "status_text": item.status.text()}
    if item.row is not None:
        attributes = {tag.key: tag.value for tag in item.row.user_attributes}
        finding |= {"arn": item.row.arn, "user_attributes": attributes}
    return finding
