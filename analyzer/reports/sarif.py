"""SARIF 2.1.0: findings as the results of a static analysis tool, for code scanning services.

In: a dossier. Out: one JSON document. A finding lies on a host, so its location is logical (host
and process); the physical one that services ask for is the rule's file.
Source: Static Analysis Results Interchange Format 2.1.0, OASIS, with errata 01.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from analyzer.reports.dossier import Dossier, iso_time
from analyzer.results.document import OutcomeResult
from analyzer.results.findings import Finding
from analyzer.words import group_text, printable
from rules.format import Rule
from rules.telemetry.ndjson import canonical

Json = dict[str, Any]

VERSION: Final = "2.1.0"
SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
FINGERPRINT: Final = "proctorIssue/v1"
LEVELS: Final = {"High": "error", "Medium": "warning", "Low": "note", "Informational": "note"}
SCORES: Final = {"High": "8.9", "Medium": "6.0", "Low": "3.0", "Informational": "0.0"}
"""``security-severity`` as GitHub reads it: critical above 9, high from 7, medium from 4."""
_COUNT_MAX: Final = 2**31 - 1
_PLACEHOLDER: Final = re.compile(r"\{(\d+)\}")


def to_sarif(dossier: Dossier) -> bytes:
    """Return the run as a SARIF log with one run; what was not evaluated are notifications."""
    result = dossier.result
    ids = sorted({*dossier.checked, *(finding.rule for finding in result.findings)})
    titles = {finding.rule: finding.title for finding in result.findings}
    places = {rule_id: index for index, rule_id in enumerate(ids)}
    driver = {
        "name": "Proctor",
        "version": dossier.version,
        "rules": [_rule(dossier, rule_id, titles.get(rule_id, rule_id)) for rule_id in ids],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"proctor/{quote(result.run.id)}"},
        "invocations": [_invocation(dossier, places)],
        "results": [_result(dossier, finding, places) for finding in result.findings],
        "columnKind": "unicodeCodePoints",
    }
    return canonical({"$schema": SCHEMA, "version": VERSION, "runs": [run]}) + b"\n"


def _rule(dossier: Dossier, rule_id: str, title: str) -> Json:
    """Return a rule with its texts; of one that is not known any more, id and title."""
    rule = dossier.rules.get(rule_id)
    if rule is None:
        return {"id": rule_id, "shortDescription": {"text": title}}
    package = dossier.package_of(rule_id)
    tags = ["security", *(f"external/cwe/{weakness.lower()}" for weakness in rule.cwe or ())]
    tags += rule.attack or ()
    return {
        "id": rule_id,
        "name": _pascal(rule_id),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.description} {rule.rationale}"},
        "help": {"text": rule.recommendation, "markdown": _help(rule)},
        "helpUri": rule.references[0].url,
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {
            "tags": list(dict.fromkeys(tags)),
            "security-severity": SCORES[rule.severity],
            "package": package.id if package else "",
            "version": rule.version,
        },
    }


def _pascal(rule_id: str) -> str:
    return "".join(word.capitalize() for word in rule_id.split("-"))


def _help(rule: Rule) -> str:
    lines = [rule.recommendation, "", rule.rationale, ""]
    lines += [f"- [{reference.title}]({reference.url})" for reference in rule.references]
    if rule.limitations:
        lines += ["", "What this rule cannot see:", ""]
        lines += [f"- {limitation}" for limitation in rule.limitations]
    return "\n".join(lines)


def _result(dossier: Dossier, finding: Finding, places: dict[str, int]) -> Json:
    text = f"{dossier.host_name(finding.agent_id)}: {dossier.sentence(finding)}"
    return {
        "ruleId": finding.rule,
        "ruleIndex": places[finding.rule],
        "kind": "fail",
        "level": LEVELS[finding.severity],
        "message": {"text": _plain(text)},
        "partialFingerprints": {FINGERPRINT: finding.issue_id},
        "occurrenceCount": min(max(finding.count, 1), _COUNT_MAX),
        "locations": [_location(dossier, finding)],
        "properties": {
            "severity": finding.severity,
            "package": finding.package,
            "agentId": finding.agent_id,
            "group": group_text(finding.group),
            "occurrenceId": finding.occurrence_id,
            "firstSeen": iso_time(finding.first_seen_us),
            "lastSeen": iso_time(finding.last_seen_us),
            "windowFrom": iso_time(finding.window.from_us),
            "windowTo": iso_time(finding.window.to_us),
            "measured": finding.measured,
            "limit": finding.limit,
            "margin": finding.margin,
            "coverage": finding.coverage,
        },
    }


def _plain(text: str) -> str:
    """Return text that SARIF shows as it is: no placeholder and no embedded link."""
    return _PLACEHOLDER.sub(r"{{\1}}", text).replace("](", "]\\(")


def _location(dossier: Dossier, finding: Finding) -> Json:
    host = dossier.host_name(finding.agent_id)
    logical: list[Json] = [{"name": host, "fullyQualifiedName": host, "kind": "host"}]
    if finding.evidence and (process := finding.evidence[0].get("process_name")):
        name = printable(process)
        logical.append({"name": name, "fullyQualifiedName": f"{host}/{name}", "kind": "process"})
    location: Json = {"logicalLocations": logical}
    physical = _rule_file(dossier, finding.rule)
    return location | ({"physicalLocation": physical} if physical else {})


def _rule_file(dossier: Dossier, rule_id: str) -> Json | None:
    """Return the place of a rule: as its path was given, else inside the folder of packages."""
    package = dossier.package_of(rule_id)
    source = package.sources.get(rule_id) if package else None
    if package is None or source is None:
        return None
    path = PurePosixPath(source.path)
    if path.is_absolute() or ".." in path.parts:  # no path of a repository
        path = PurePosixPath(package.id, path.name)
    return {
        "artifactLocation": {"uri": quote(str(path))},
        "region": {"startLine": source.document.line_of(("detection",))},
    }


def _invocation(dossier: Dossier, places: dict[str, int]) -> Json:
    run = dossier.result.run
    missing = [out for out in dossier.result.outcomes if out.outcome == "not_evaluated"]
    return {
        "executionSuccessful": True,
        "startTimeUtc": iso_time(run.from_us),
        "endTimeUtc": iso_time(run.to_us),
        "toolExecutionNotifications": [_notification(dossier, out, places) for out in missing],
    }


def _notification(dossier: Dossier, outcome: OutcomeResult, places: dict[str, int]) -> Json:
    reason = printable(outcome.reason or "no reason given")
    text = f"Not evaluated on {dossier.host_name(outcome.agent_id)}: {reason}"
    return {
        "level": "note",
        "message": {"text": _plain(text)},
        "associatedRule": {"id": outcome.rule, "index": places[outcome.rule]},
    }
