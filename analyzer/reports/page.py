"""The page of a report: what stands in it, in words and numbers, before any markup.

In: a dossier and its occasion. Out: one ``Page``; ``analyzer.reports.html`` lays it out for screens
and printers, ``analyzer.reports.pdf`` on sheets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from analyzer.present.outcome import count_line, looked_at, overall_coverage
from analyzer.reports.charts import Segment, stacked
from analyzer.reports.dossier import Dossier
from analyzer.reports.looked_at import (
    Checked,
    Gap,
    Host,
    Tested,
    gaps_of,
    hosts_of,
    packages_tested,
    rules_checked,
)
from analyzer.reports.occasion import Excluded, Fact, Kind, Occasion
from analyzer.reports.problems import Problem, problems_of
from analyzer.results.document import SEVERITIES
from analyzer.words import counted, plain, printable, span, time_text

AMBER_BELOW: Final = 0.9  # coverage under which an empty result is no good news


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the matrix: findings of a package by severity, from the highest."""

    package: str
    counts: tuple[int, ...]
    total: int
    bar: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a severity since the run that this one is compared with."""

    severity: str
    new: int
    resolved: int


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that a report says."""

    kind: Kind
    title: str
    name: str
    run_id: str
    state: str
    interval: str
    facts: tuple[Fact, ...]
    lead: str
    start_with: str
    """Title of the rule to start with; empty without findings."""
    accepted: str
    """How many of the findings are of an accepted risk; empty = none."""
    remarks: tuple[str, ...]
    is_amber: bool
    """Whether nothing was found because little was looked at."""
    looked_at: str
    severities: tuple[str, ...]
    totals: tuple[int, ...]
    matrix: tuple[Row, ...]
    changes: tuple[Change, ...]
    """By severity; empty where nothing is compared."""
    problems: tuple[Problem, ...]
    gaps: tuple[Gap, ...]
    excluded: tuple[Excluded, ...]
    evaluated: str
    tested: tuple[Tested, ...]
    checked: tuple[Checked, ...]
    """Every rule of the run; empty in a report of findings alone."""
    hosts: tuple[Host, ...]
    digests: dict[str, str]
    version: str


def page_of(dossier: Dossier, occasion: Occasion | None = None) -> Page:
    """Return the page of a result; it has no clock, so equal results make equal pages."""
    occasion = occasion or Occasion()
    result, run = dossier.result, dossier.result.run
    problems = tuple(problems_of(dossier, occasion))
    looked = looked_at(result)
    return Page(
        kind=occasion.kind,
        title=occasion.title,
        name=printable(run.name),
        run_id=printable(run.arn or run.id),
        state=run.state,
        interval=_interval(run.from_us, run.to_us),
        facts=occasion.facts(),
        lead=_lead(dossier),
        start_with=problems[0].title if problems else "",
        accepted=_accepted(dossier, occasion),
        remarks=tuple(map(printable, occasion.remarks)),
        is_amber=not problems and overall_coverage(result) < AMBER_BELOW,
        looked_at=f"{looked[0].upper()}{looked[1:]}.",
        severities=SEVERITIES,
        totals=tuple(result.summary.findings.get(name, 0) for name in SEVERITIES),
        matrix=tuple(_matrix(dossier)),
        changes=tuple(_changes(dossier, occasion)),
        problems=problems,
        gaps=tuple(gaps_of(dossier)),
        excluded=tuple(_printable(item) for item in occasion.excluded),
        evaluated=f"{result.summary.evaluated_pairs:,} of {counted(result.summary.pairs, 'check')}",
        tested=tuple(packages_tested(dossier)),
        checked=tuple(rules_checked(dossier)) if occasion.kind == "full" else (),
        hosts=tuple(hosts_of(dossier)),
        digests={
            "telemetry": run.digests.events,
            "rules": run.digests.rules,
            "settings": run.digests.settings,
        },
        version=dossier.version,
    )


def _interval(from_us: int, to_us: int) -> str:
    begin, end = (time_text(moment).split(".")[0] for moment in (from_us, to_us))
    return f"{begin} to {end} UTC ({span((to_us - from_us) / 1e6)})"


def _lead(dossier: Dossier) -> str:
    result = dossier.result
    if not result.findings:
        return "No findings."
    hit = len({finding.agent_id for finding in result.findings})
    return f"{count_line(result)[:-1]}, on {hit:,} of {counted(len(result.hosts), 'host')}."


def _accepted(dossier: Dossier, occasion: Occasion) -> str:
    number = sum(item.issue_id in occasion.accepted for item in dossier.result.findings)
    return f"{number:,} of them of an accepted risk." if number else ""


def _matrix(dossier: Dossier) -> Iterator[Row]:
    """Yield the packages that were checked or found something, by title."""
    counts = Counter((item.package, item.severity) for item in dossier.result.findings)
    names = {package for package, _ in counts}
    names |= {package.id for rule in dossier.checked if (package := dossier.package_of(rule))}
    rows = {name: tuple(counts[name, severity] for severity in SEVERITIES) for name in names}
    most = max(map(sum, rows.values()), default=0)
    for name in sorted(names, key=lambda name: (dossier.package_title(name), name)):
        bar = stacked(zip(SEVERITIES, rows[name], strict=True), whole=most)
        yield Row(plain(dossier.package_title(name)), rows[name], sum(rows[name]), bar)


def _changes(dossier: Dossier, occasion: Occasion) -> Iterator[Change]:
    trend = occasion.trend
    if trend is None:
        return
    new = Counter(item.severity for item in dossier.result.findings if item.issue_id in trend.new)
    for name in SEVERITIES:
        yield Change(name, new[name], trend.resolved.get(name, 0))


def _printable(item: Excluded) -> Excluded:
    return Excluded(
        title=plain(item.title),
        description=plain(item.description),
        recommendation=plain(item.recommendation),
        hosts=tuple(map(printable, item.hosts)),
    )
