"""OCSF: findings as events of the class Detection Finding (2004), schema 1.5.0.

In: a dossier. Out: NDJSON, one finding a line, as SIEMs and data lakes take it.
Source: https://schema.ocsf.io/1.5.0/classes/detection_finding
"""

from __future__ import annotations

from typing import Final

import msgspec

from analyzer.reports.dossier import Dossier, is_instance, milliseconds
from analyzer.reports.ocsf_evidence import Json, evidence_of
from analyzer.results.findings import Finding
from analyzer.words import value_text
from rules.format import Rule
from rules.telemetry.ndjson import canonical

VERSION: Final = "1.5.0"
CATEGORY_UID: Final = 2
CLASS_UID: Final = 2004
CREATE: Final = 1
SEVERITY_IDS: Final = {"Informational": 1, "Low": 2, "Medium": 3, "High": 4}


def to_ocsf(dossier: Dossier) -> bytes:
    """Return the findings as OCSF events, one canonical JSON a line, in their order."""
    events = (detection_finding(dossier, finding) for finding in dossier.result.findings)
    return b"".join(canonical(event) + b"\n" for event in events)


def detection_finding(dossier: Dossier, finding: Finding) -> Json:
    """Return one finding as an event; its time is the end of the run that found it."""
    host = _host(dossier, finding.agent_id)
    event: Json = {
        "activity_id": CREATE,
        "activity_name": "Create",
        "category_uid": CATEGORY_UID,
        "category_name": "Findings",
        "class_uid": CLASS_UID,
        "class_name": "Detection Finding",
        "type_uid": CLASS_UID * 100 + CREATE,
        "type_name": "Detection Finding: Create",
        "time": milliseconds(dossier.result.run.to_us),
        "start_time": milliseconds(finding.first_seen_us),
        "end_time": milliseconds(finding.last_seen_us),
        "severity_id": SEVERITY_IDS[finding.severity],
        "severity": finding.severity,
        "status_id": 1,
        "status": "New",
        "count": finding.count,
        "message": dossier.sentence(finding),
        "metadata": _metadata(dossier, finding),
        "finding_info": _finding_info(dossier, finding),
        "device": {"type_id": 0, "type": "Unknown", **host, **_instance(finding.agent_id)},
        "resources": [_resource(dossier, finding.agent_id)],
        "unmapped": _unmapped(finding),
    }
    if finding.evidence:
        event["evidences"] = [evidence_of(row, host) for row in finding.evidence]
    rule = dossier.rules.get(finding.rule)
    return event if rule is None else event | _advice(rule)


def _metadata(dossier: Dossier, finding: Finding) -> Json:
    return {
        "version": VERSION,
        "uid": finding.occurrence_id,
        "correlation_uid": dossier.result.run.id,
        "event_code": finding.rule,
        "product": _product(dossier),
    }


def _product(dossier: Dossier) -> Json:
    return {"name": "Proctor", "vendor_name": "Proctor", "version": dossier.version}


def _finding_info(dossier: Dossier, finding: Finding) -> Json:
    rule = dossier.rules.get(finding.rule)
    info: Json = {
        "uid": finding.issue_id,
        "uid_alt": finding.occurrence_id,
        "title": finding.title,
        "desc": rule.description if rule else dossier.sentence(finding),
        "types": [dossier.package_title(finding.package)],
        "first_seen_time": milliseconds(finding.first_seen_us),
        "last_seen_time": milliseconds(finding.last_seen_us),
        "created_time": milliseconds(dossier.result.run.to_us),
        "analytic": _analytic(finding, rule),
        "product": _product(dossier),
        "tags": [
            {"name": name, "value": value_text(value)} for name, value in finding.group.items()
        ],
    }
    if rule is not None:
        info["data_sources"] = list(rule.telemetry)
        info["attacks"] = [_attack(technique) for technique in rule.attack or ()]
    return {name: value for name, value in info.items() if value != []}


def _analytic(finding: Finding, rule: Rule | None) -> Json:
    analytic: Json = {
        "type_id": 1,
        "type": "Rule",
        "uid": finding.rule,
        "name": finding.title,
        "version": str(finding.rule_version),
        "category": finding.package,
    }
    if rule is None:
        return analytic
    return analytic | {"desc": rule.description, "algorithm": rule.detection.kind}


def _attack(technique: str) -> Json:
    """Return a technique or sub-technique of MITRE ATT&CK."""
    main, _, sub = technique.partition(".")
    attack: Json = {"technique": {"uid": main}}
    return attack | {"sub_technique": {"uid": technique}} if sub else attack


def _host(dossier: Dossier, agent_id: str) -> Json:
    host = dossier.hosts.get(agent_id)
    known: Json = {"uid": agent_id}
    return known | {"hostname": host.hostname} if host and host.hostname else known


def _instance(agent_id: str) -> Json:
    return {"instance_uid": agent_id} if is_instance(agent_id) else {}


def _resource(dossier: Dossier, agent_id: str) -> Json:
    return {"name": dossier.host_name(agent_id), "type": "Host", **_host(dossier, agent_id)}


def _advice(rule: Rule) -> Json:
    references = [reference.url for reference in rule.references]
    return {
        "remediation": {"desc": rule.recommendation, "references": references},
        "risk_details": rule.rationale,
    }


def _unmapped(finding: Finding) -> Json:
    """Return what OCSF has no place for, as it stands in the result document."""
    plain: Json = msgspec.to_builtins(finding)
    names = ("package", "group", "coverage", "and_more", "window", "measured", "limit", "margin")
    return {name: plain[name] for name in (*names, "buckets")}
