"""Expectations: how many findings a replay must have, as stated in a file.

In: a YAML or JSON file and a result. Out: one check per stated count, with what was found. Counted
are all findings, those of a severity and those of a rule; over all hosts or on one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, ValidationError

from rules.columns import suggestion
from rules.document import MAX_BYTES, Document, read_document
from rules.errors import Problem, RuleFileError
from rules.faults import Location, StrictModel, dotted, faults_of
from rules.format import Severity

if TYPE_CHECKING:
    from analyzer.results.document import Result
    from analyzer.results.findings import Finding

_Count = Annotated[int, Field(ge=0)]
_COUNT_KEYS: Final = ("total", "severities", "rules")


class Counts(StrictModel):
    """Findings that are expected; what is not stated may be anything."""

    total: _Count | None = None
    severities: dict[Severity, _Count] = Field(default_factory=dict)
    rules: dict[str, _Count] = Field(default_factory=dict)


class Expectations(Counts):
    """What a file states: counts over all hosts, and on single ones by agent id or name."""

    hosts: dict[str, Counts] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExpectationFile:
    """Expectations, and where they stand."""

    path: str
    document: Document
    stated: Expectations

    def problem(self, place: Location, text: str) -> Problem:
        """Return a problem at a place of the file."""
        return Problem(self.path, self.document.line_of(place), text)


@dataclass(frozen=True, slots=True)
class Check:
    """One stated count, and what was found.

    Attributes:
        name: What is counted, such as ``rule telnet-client on i-web``.
        findings: Those that were counted.
    """

    name: str
    expected: int
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Tell whether as many were found as expected."""
        return len(self.findings) == self.expected


def read_expectations(path: Path) -> ExpectationFile:
    """Return what a file states.

    Raises:
        OSError: It cannot be read.
        RuleFileError: With everything that is wrong with it.
    """
    with path.open("rb") as file:
        document = read_document(file.read(MAX_BYTES + 1))
    problems = [Problem(str(path), line, text) for line, text in document.problems]
    if problems:
        raise RuleFileError(problems)
    try:
        stated = Expectations.model_validate(document.value)
    except ValidationError as error:
        raise RuleFileError(
            Problem(str(path), document.line_of(place), _at(place, text))
            for place, text in faults_of(error, _keys_at)
        ) from error
    read = ExpectationFile(str(path), document, stated)
    if not list(_counts(stated, ())):
        raise RuleFileError([read.problem((), "expects nothing; state total, severities or rules")])
    return read


def checks(file: ExpectationFile, result: Result, rules: Iterable[str]) -> list[Check]:
    """Return one check per stated count, in the order of the file's kinds and names.

    Args:
        file: What is expected.
        result: What was found.
        rules: Ids of every rule that judged.

    Raises:
        RuleFileError: It names rules or hosts that there are not.
    """
    known, hosts = sorted(rules), _hosts(result)
    problems = [*_unknown_rules(file, known), *_unknown_hosts(file, hosts)]
    if problems:
        raise RuleFileError(problems)
    made = list(_checks(file.stated, result.findings, ""))
    for name, counts in file.stated.hosts.items():
        own = [finding for finding in result.findings if finding.agent_id == hosts[name]]
        made += _checks(counts, own, f" on {name}")
    return made


def _checks(counts: Counts, findings: Iterable[Finding], where: str) -> Iterator[Check]:
    own = tuple(findings)
    if counts.total is not None:
        yield Check(f"all findings{where}", counts.total, own)
    for severity, expected in counts.severities.items():
        found = tuple(finding for finding in own if finding.severity == severity)
        yield Check(f"severity {severity}{where}", expected, found)
    for rule, expected in counts.rules.items():
        found = tuple(finding for finding in own if finding.rule == rule)
        yield Check(f"rule {rule}{where}", expected, found)


def _hosts(result: Result) -> dict[str, str]:
    """Return agent ids by what hosts may be called: their id, or a name that only one has."""
    names = Counter(host.hostname for host in result.hosts)
    named = {
        host.hostname: host.agent_id
        for host in result.hosts
        if host.hostname is not None and names[host.hostname] == 1
    }
    return named | {host.agent_id: host.agent_id for host in result.hosts}


def _unknown_rules(file: ExpectationFile, known: list[str]) -> Iterator[Problem]:
    places: list[tuple[Location, Counts]] = [((), file.stated)]
    places += [(("hosts", name), counts) for name, counts in file.stated.hosts.items()]
    for place, counts in places:
        for rule in counts.rules:
            if rule not in known:
                text = f"there is no rule {rule}{suggestion(rule, known)}"
                yield file.problem((*place, "rules", rule), text)


def _unknown_hosts(file: ExpectationFile, hosts: Iterable[str]) -> Iterator[Problem]:
    known = sorted(hosts)
    for name in file.stated.hosts:
        if name not in known:
            yield file.problem(("hosts", name), f"there is no host {name}{suggestion(name, known)}")


def _counts(stated: Counts, place: Location) -> Iterator[Location]:
    if stated.total is not None:
        yield (*place, "total")
    yield from ((*place, "severities", name) for name in stated.severities)
    yield from ((*place, "rules", name) for name in stated.rules)
    if isinstance(stated, Expectations):
        for name, counts in stated.hosts.items():
            yield from _counts(counts, ("hosts", name))


def _keys_at(place: Location) -> Iterable[str]:
    return (*_COUNT_KEYS, "hosts") if not place else _COUNT_KEYS


def _at(place: Location, text: str) -> str:
    where = dotted(place)
    return f"{where}: {text}" if where else text
