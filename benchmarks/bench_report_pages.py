"""How long does a report take, and how large is it?

A result of a simulated fleet, made here from shipped rules with a fixed seed, is laid out as the
HTML and the PDF report, full with a cover. A finding has three events and a histogram. The best of
three rounds counts, wall time; the peak is what the whole process needed after the largest report.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable
from typing import NamedTuple

from analyzer.reports.dossier import Dossier, dossier_of
from analyzer.reports.html import to_html
from analyzer.reports.occasion import Occasion
from analyzer.reports.pdf import to_pdf
from analyzer.results.document import (
    Digests,
    HostResult,
    OutcomeResult,
    Result,
    RunInfo,
    Summary,
    count_by_severity,
)
from analyzer.results.findings import DecisiveWindow, Finding, Histogram, ranked
from benchmarks.reports import make_parser, write_report
from rules.format import Rule
from rules.loader import load_packages

NAME = "report_pages"
SIZES = (0, 50, 500, 2_000, 10_000)
QUICK_SIZES = (0, 50)
HOSTS = 40
ROUNDS = 3
START_US = 1_795_000_000_000_000
MINUTE_US = 60_000_000
OCCASION = Occasion(template="whole fleet", target="all", started_us=START_US)


class Cell(NamedTuple):
    """What one report came to."""

    form: str
    findings: int
    seconds: float
    size_bytes: int


def main() -> None:
    """Measure and print the table."""
    options = make_parser(__doc__, NAME).parse_args()
    cells = [
        _measure(form, make, findings)
        for findings in (QUICK_SIZES if options.quick else SIZES)
        for form, make in (("html", to_html), ("pdf", to_pdf))
    ]
    for cell in cells:
        print(f"{cell.form:5} {cell.findings:7,} {cell.seconds:8.2f} s {cell.size_bytes:12,} B")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak {peak_mb} MB")
    write_report(options, __doc__, NAME, cells=[cell._asdict() for cell in cells], peak_mb=peak_mb)


def _measure(form: str, make: Callable[[Dossier, Occasion], bytes], findings: int) -> Cell:
    dossier = dossier_of(_result(findings), load_packages(), version="bench")
    best, size = float("inf"), 0
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        size = len(make(dossier, OCCASION))
        best = min(best, time.perf_counter() - begin)
    return Cell(form, findings, round(best, 3), size)


def _result(number: int) -> Result:
    rng = random.Random(7)
    rules = [(package.id, rule) for package in load_packages() for rule in package.rules]
    agents = [f"i-{host:017x}" for host in range(HOSTS)]
    found = ranked(
        _finding(place, *rng.choice(rules), agent_id=rng.choice(agents)) for place in range(number)
    )
    hit = {(finding.rule, finding.agent_id) for finding in found}
    outcomes = tuple(
        OutcomeResult(
            rule=rule.id,
            agent_id=agent_id,
            outcome="findings" if (rule.id, agent_id) in hit else "clean",
            reason=None,
            coverage=1,
            findings=0,
        )
        for _, rule in sorted(rules, key=lambda item: item[1].id)
        for agent_id in agents
    )
    return Result(
        format=1,
        run=RunInfo(
            id="0-bench",
            name="whole fleet",
            state="COMPLETED",
            from_us=START_US,
            to_us=START_US + 60 * MINUTE_US,
            digests=Digests(events="e", rules="r", settings="s"),
        ),
        hosts=tuple(
            HostResult(agent_id=agent_id, hostname=None, events=1_000, coverage=1)
            for agent_id in agents
        ),
        outcomes=outcomes,
        findings=tuple(found),
        summary=Summary(
            findings=count_by_severity(found),
            rules=len(rules),
            evaluated_pairs=len(outcomes),
            pairs=len(outcomes),
            events=1_000 * HOSTS,
        ),
    )


def _finding(place: int, package: str, rule: Rule, *, agent_id: str) -> Finding:
    seen = (START_US, START_US + 10 * MINUTE_US)
    row = {"telemetry": "connection", "agent_id": agent_id, "direction": "outbound"}
    row |= {"process_name": "nginx", "remote_address": "10.0.9.8"}
    return Finding(
        rule=rule.id,
        rule_version=rule.version,
        package=package,
        agent_id=agent_id,
        severity=rule.severity,
        numeric_severity=rule.numeric_severity,
        title=rule.title,
        group=dict.fromkeys(rule.group_by, place),
        count=3,
        first_seen_us=seen[0],
        last_seen_us=seen[1],
        occurrence_id=f"{place:032x}",
        issue_id=f"{place:032x}",
        coverage=1,
        evidence=tuple({**row, "ts_us": START_US + step, "remote_port": 23} for step in range(3)),
        and_more=0,
        window=DecisiveWindow(from_us=seen[0], to_us=seen[1], coverage=1),
        measured=None,
        limit=None,
        margin=None,
        buckets=Histogram(
            width_us=MINUTE_US,
            counts=tuple((START_US + step * MINUTE_US, 1 + step) for step in range(0, 10, 2)),
        ),
    )


if __name__ == "__main__":
    main()
