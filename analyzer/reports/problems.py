"""Problems: the findings of a report by rule, each with its hosts and when it was seen.

In: a dossier and the occasion. Out: one ``Problem`` per rule with findings, the most severe first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from analyzer.present.decisive import bucket_cells, buckets_text, window_line
from analyzer.present.evidence import evidence_lines
from analyzer.reports.dossier import Dossier
from analyzer.reports.occasion import Occasion
from analyzer.results.findings import Finding
from analyzer.words import counted, group_text, plain, printable, time_text
from rules.format import Rule

EVIDENCE: Final = 6  # events of a finding that can be unfolded
MAX_HITS: Final = 1_000  # findings of one rule that are told one by one; nobody reads more
MAX_HITS_IN_ALL: Final = 5_000  # of all rules together: setting so many takes 700 MB
BAR_WIDTH: Final = 5  # of one bucket, in the units of the drawing
BAR_STEP: Final = 6
BAR_HEIGHT: Final = 24


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram, from the top left of the drawing."""

    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram: how many of a finding's rows came when."""

    text: str
    width: int
    height: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """One finding of a problem."""

    host: str
    agent_id: str
    sentence: str
    group: str
    decided: str
    first_seen: str
    last_seen: str
    count: int
    bars: Bars | None
    events: tuple[str, ...]
    note: str
    """Whether it is new, or who accepted it; empty = neither."""


@dataclass(frozen=True, slots=True)
class Link:
    """Something to read; ``is_web`` tells whether it may be a link: a rule could name a script."""

    title: str
    url: str
    is_web: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """The findings of one rule."""

    rule_id: str
    version: int
    title: str
    severity: str
    package: str
    description: str
    recommendation: str
    rationale: str
    """Empty, as the other texts, where the rule is not known."""
    references: tuple[Link, ...]
    hosts: int
    findings: int
    hits: tuple[Hit, ...]
    more: str
    """How many findings more there are than hits; empty = none."""


def problems_of(dossier: Dossier, occasion: Occasion) -> Iterator[Problem]:
    """Yield the findings by rule; findings are ranked, so those of one rule stand together."""
    by_rule = groupby(dossier.result.findings, key=lambda finding: (finding.severity, finding.rule))
    groups = [list(group) for _, group in by_rule]
    most = min(MAX_HITS, MAX_HITS_IN_ALL // max(len(groups), 1))
    for group in groups:
        yield _problem(dossier, occasion, group, most=most)


def is_web_address(url: str) -> bool:
    """Tell whether a reference may be a link."""
    return url.startswith(("https://", "http://"))


def _problem(dossier: Dossier, occasion: Occasion, found: list[Finding], *, most: int) -> Problem:
    first, rule = found[0], dossier.rules.get(found[0].rule)
    return Problem(
        rule_id=printable(first.rule),
        version=first.rule_version,
        title=plain(first.title),
        severity=first.severity,
        package=plain(dossier.package_title(first.package)),
        description=plain(rule.description) if rule else "",
        recommendation=plain(rule.recommendation) if rule else "",
        rationale=plain(rule.rationale) if rule else "",
        references=_links(rule),
        hosts=len({finding.agent_id for finding in found}),
        findings=len(found),
        hits=tuple(_hit(dossier, occasion, finding) for finding in found[:most]),
        more=_more(len(found) - most),
    )


def _links(rule: Rule | None) -> tuple[Link, ...]:
    return tuple(
        Link(plain(reference.title), plain(reference.url), is_web_address(reference.url))
        for reference in (rule.references if rule else ())
    )


def _more(number: int) -> str:
    if number <= 0:
        return ""
    return f"{counted(number, 'more finding')} of this rule; the CSV export lists every one."


def _hit(dossier: Dossier, occasion: Occasion, finding: Finding) -> Hit:
    return Hit(
        host=dossier.host_name(finding.agent_id),
        agent_id=printable(finding.agent_id),
        sentence=dossier.sentence(finding),
        group=group_text(finding.group),
        decided=_decided(dossier, finding),
        first_seen=_to_the_second(finding.first_seen_us),
        last_seen=_to_the_second(finding.last_seen_us),
        count=finding.count,
        bars=_bars(finding),
        events=() if finding.is_closing else tuple(evidence_lines(finding, EVIDENCE)),
        note=_note(occasion, finding),
    )


def _note(occasion: Occasion, finding: Finding) -> str:
    accepted = occasion.accepted.get(finding.issue_id)
    if accepted is not None:
        return f"Accepted: {printable(accepted)}"
    is_new = occasion.trend is not None and finding.issue_id in occasion.trend.new
    return "New" if is_new else ""


def _decided(dossier: Dossier, finding: Finding) -> str:
    """Return what decided, where that says more than the times of the first and last row."""
    window, seen = finding.window, (finding.first_seen_us, finding.last_seen_us)
    says_more = (window.from_us, window.to_us) != seen or finding.measured is not None
    if finding.is_closing or not (says_more or window.coverage < 1):
        return ""
    rule = dossier.rules.get(finding.rule)
    is_known = rule is not None and rule.version == finding.rule_version
    return window_line(finding, rule.detection if rule and is_known else None)


def _to_the_second(ts_us: int) -> str:
    return time_text(ts_us).removesuffix(" us").split(".")[0]


def _bars(finding: Finding) -> Bars | None:
    """Return the histogram; none where all rows came in one stretch of time."""
    counts = finding.buckets.counts
    cells = bucket_cells(counts, finding.buckets.width_us) if len(counts) > 1 else []
    if not cells:
        return None
    heights = [-(-cell * BAR_HEIGHT // max(cells)) for cell in cells]
    bars = tuple(
        Bar(x=place * BAR_STEP, y=BAR_HEIGHT - height, height=height)
        for place, height in enumerate(heights)
        if height
    )
    text = f"{buckets_text(finding)}: {', '.join(map(str, cells))}"
    return Bars(text=text, width=len(cells) * BAR_STEP, height=BAR_HEIGHT, bars=bars)
