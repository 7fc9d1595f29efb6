"""CSV: one line per finding, for spreadsheets and shell tools.

In: a dossier. Out: RFC 4180 with a header line, in UTF-8. Columns are only ever added, at the end.
"""

from __future__ import annotations

import csv
from io import StringIO
from typing import Final

from analyzer.reports.dossier import Dossier, iso_time
from analyzer.results.findings import Finding
from analyzer.words import group_text, printable

FORMULA_STARTS: Final = ("=", "+", "-", "@")
"""A spreadsheet takes a text that begins so for a formula."""
COLUMNS: Final = (
    "severity",
    "numeric_severity",
    "rule",
    "rule_version",
    "package",
    "title",
    "finding",
    "agent_id",
    "hostname",
    "group",
    "count",
    "first_seen",
    "last_seen",
    "window_from",
    "window_to",
    "window_coverage",
    "measured",
    "limit",
    "margin",
    "coverage",
    "and_more",
    "occurrence_id",
    "issue_id",
    "run",
)


def to_csv(dossier: Dossier) -> bytes:
    """Return the findings as CSV in their order.

    Texts are safe in a spreadsheet: control characters are escaped, so that a finding is one line,
    and a text that begins like a formula gets an apostrophe in front. Null is empty.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for finding in dossier.result.findings:
        values = _values(dossier, finding)
        writer.writerow([_cell(values[name]) for name in COLUMNS])
    return text.getvalue().encode()


def _values(dossier: Dossier, finding: Finding) -> dict[str, object]:
    host = dossier.hosts.get(finding.agent_id)
    return {
        "severity": finding.severity,
        "numeric_severity": finding.numeric_severity,
        "rule": finding.rule,
        "rule_version": finding.rule_version,
        "package": finding.package,
        "title": finding.title,
        "finding": dossier.sentence(finding),
        "agent_id": finding.agent_id,
        "hostname": host.hostname if host else None,
        "group": group_text(finding.group),
        "count": finding.count,
        "first_seen": iso_time(finding.first_seen_us),
        "last_seen": iso_time(finding.last_seen_us),
        "window_from": iso_time(finding.window.from_us),
        "window_to": iso_time(finding.window.to_us),
        "window_coverage": finding.window.coverage,
        "measured": finding.measured,
        "limit": finding.limit,
        "margin": finding.margin,
        "coverage": finding.coverage,
        "and_more": finding.and_more,
        "occurrence_id": finding.occurrence_id,
        "issue_id": finding.issue_id,
        "run": dossier.result.run.id,
    }


def _cell(value: object) -> object:
    """Return a cell's value; numbers stay numbers, also negative ones."""
    if not isinstance(value, str):
        return value
    safe = printable(value)
    return f"'{safe}" if safe.startswith(FORMULA_STARTS) else safe
