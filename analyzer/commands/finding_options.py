"""Options of ``proctor findings``: which findings are meant, and what is said about them.

In: texts from a command line. Out: a query, a matcher's group, a moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import typer

from analyzer.commands.options import words
from analyzer.errors import AssessmentError
from analyzer.results.document import SEVERITIES
from analyzer.suppression.finding_list import FindingQuery
from analyzer.suppression.status import STATES
from rules.durations import parse_duration

FindingId = Annotated[
    str,
    typer.Argument(metavar="FINDING", help="A finding: its id or ARN, or the start of its issue."),
]
OfRun = Annotated[
    str, typer.Option("--run", metavar="RUN", help="Id of a run, the start of one, or last.")
]
Severities = Annotated[
    str, typer.Option("--severity", metavar="NAMES", help="High, Medium, Low, Informational.")
]
RuleIds = Annotated[str, typer.Option("--rule", metavar="IDS", help="Rules, comma-separated.")]
PackageIds = Annotated[
    str, typer.Option("--package", metavar="IDS", help="Rules packages, comma-separated.")
]
Hosts = Annotated[
    str, typer.Option("--host", metavar="NAMES", help="Hosts by name or agent, comma-separated.")
]
StatusName = Annotated[
    Literal["open", "accepted", "resolved", "all"],
    typer.Option("--status", help="Which of them.", show_choices=True),
]
Owner = Annotated[str, typer.Option(metavar="NAME", help="Who answers for it.")]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def query_of(
    *, severities: str, rules: str, packages: str, hosts: str, status: str
) -> FindingQuery:
    """Return which findings are asked for.

    Raises:
        AssessmentError: A severity has no such name.
    """
    return FindingQuery(
        severities=tuple(map(_severity, words(severities))),
        rules=words(rules),
        packages=words(packages),
        hosts=words(hosts),
        states=tuple(state for state in STATES if state == status),
    )


def group_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return columns and values of ``column=value``.

    Raises:
        AssessmentError: One has no column or no value.
    """
    group = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise AssessmentError(f"--group {pair}: write it as column=value")
        group[name] = value
    return group


def expiry_us(*, until: str, duration: str, now_us: int) -> int:
    """Return the end of an acceptance: a date, whose whole day still counts, or a span from now.

    Raises:
        AssessmentError: Neither or both are given, or one cannot be read.
    """
    if bool(until) == bool(duration):
        raise AssessmentError("say when it ends: --until 2027-01-31, or --for 90d")
    try:
        if duration:
            return now_us + parse_duration(duration)
        day = datetime.strptime(until, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        given = f"--for {duration}" if duration else f"--until {until}"
        raise AssessmentError(f"{given}: {error}") from error
    return (day + timedelta(days=1) - _EPOCH) // timedelta(microseconds=1)


def _severity(name: str) -> str:
    found = [each for each in SEVERITIES if each.lower() == name.lower()]
    if not found:
        raise AssessmentError(f"--severity {name}: there are {', '.join(SEVERITIES)}")
    return found[0]
