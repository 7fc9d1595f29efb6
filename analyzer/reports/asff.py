"""ASFF: findings in the AWS Security Finding Format, as Security Hub imports them.

In: a dossier. Out: one ``{"Findings": [at most 100]}`` a line, each the input of one
``aws securityhub batch-import-findings``. Source: the ASFF reference, and how Amazon Inspector
Classic filled it.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from analyzer.reports.dossier import Dossier, is_instance, iso_time
from analyzer.results.findings import Finding
from analyzer.words import value_text
from rules.telemetry.ndjson import canonical

Json = dict[str, Any]

BATCH: Final = 100  # findings of one call
TYPE_NAMESPACE: Final = "Software and Configuration Checks"
TITLE_LENGTH: Final = 256
DESCRIPTION_LENGTH: Final = 1024
RECOMMENDATION_LENGTH: Final = 512
PRODUCT_FIELDS: Final = 50
KEY_LENGTH: Final = 128
VALUE_LENGTH: Final = 2048
_ID_LENGTH: Final = 512
_NAME_LENGTH: Final = 64
_PATH_LENGTH: Final = 512
_INT_MAX: Final = 2**31 - 1
_DIRECTIONS: Final = {"inbound": "IN", "outbound": "OUT"}


def to_asff(dossier: Dossier) -> bytes:
    """Return the findings in batches, one canonical JSON a line; nothing where there are none."""
    findings = [asff_finding(dossier, finding) for finding in dossier.result.findings]
    starts = range(0, len(findings), BATCH)
    return b"".join(
        canonical({"Findings": findings[start : start + BATCH]}) + b"\n" for start in starts
    )


def asff_finding(dossier: Dossier, finding: Finding) -> Json:
    """Return one finding; its id is the occurrence, so that each run reports its own.

    Title and texts are cut to the lengths that Security Hub takes.
    """
    ended = iso_time(dossier.result.run.to_us)
    severity = {
        "Label": finding.severity.upper(),
        "Original": f"{finding.numeric_severity:.1f}",
    }
    types = [f"{TYPE_NAMESPACE}/{_segment(dossier.package_title(finding.package))}"]
    account = dossier.aws
    return {
        "SchemaVersion": "2018-10-08",
        "Id": f"proctor/{finding.occurrence_id}",
        "ProductArn": account.arn("securityhub", f"product/{account.account_id}/default"),
        "ProductName": "Proctor",
        "CompanyName": "Proctor",
        "GeneratorId": _cut(f"proctor/{finding.package}/{finding.rule}", _ID_LENGTH),
        "AwsAccountId": account.account_id,
        "CreatedAt": ended,
        "UpdatedAt": ended,
        "FirstObservedAt": iso_time(finding.first_seen_us),
        "LastObservedAt": iso_time(finding.last_seen_us),
        "Title": _cut(finding.title, TITLE_LENGTH),
        "Description": _cut(_description(dossier, finding), DESCRIPTION_LENGTH),
        "Types": types,
        "Severity": severity,
        "FindingProviderFields": {"Severity": severity, "Types": types},
        "ProductFields": _product_fields(dossier, finding),
        "Resources": [_resource(dossier, finding.agent_id)],
        "RecordState": "ACTIVE",
        **_advice(dossier, finding),
        **_behind(finding),
    }


def _cut(text: str, length: int) -> str:
    """Return text of at most ``length`` characters with something in it."""
    text = text.strip() or "unknown"
    return text if len(text) <= length else text[: length - 1] + "…"


def _segment(text: str) -> str:
    return text.replace("/", " ").strip() or "unknown"


def _description(dossier: Dossier, finding: Finding) -> str:
    rule = dossier.rules.get(finding.rule)
    said = f"On {dossier.host_name(finding.agent_id)}: {dossier.sentence(finding)}."
    return f"{said} {rule.rationale}" if rule else said


def _product_fields(dossier: Dossier, finding: Finding) -> dict[str, str]:
    """Return what Inspector's findings had, under its keys, then what decided."""
    run = dossier.result.run
    fields = {
        "aws/inspector/id": finding.rule,
        "aws/inspector/RulesPackageName": dossier.package_title(finding.package),
        "aws/inspector/AssessmentTemplateName": run.name,
        "serviceAttributes/schemaVersion": "1",
        "serviceAttributes/assessmentRunArn": run.arn or run.id,
        "serviceAttributes/rulesPackage": finding.package,
        "attributes/INSTANCE_ID": finding.agent_id,
        "proctor/IssueId": finding.issue_id,
        "proctor/Count": str(finding.count),
        "proctor/Coverage": str(finding.coverage),
        "proctor/WindowFrom": iso_time(finding.window.from_us),
        "proctor/WindowTo": iso_time(finding.window.to_us),
    }
    numbers = {
        "Measured": finding.measured,
        "Limit": finding.limit,
        "Margin": finding.margin,
    }
    fields |= {
        f"proctor/{name}": str(value) for name, value in numbers.items() if value is not None
    }
    fields |= {
        _cut(f"attributes/{name.upper()}", KEY_LENGTH): value_text(value)
        for name, value in finding.group.items()
    }
    shown = list(fields.items())[:PRODUCT_FIELDS]
    return {key: _cut(value, VALUE_LENGTH) for key, value in shown}


def _resource(dossier: Dossier, agent_id: str) -> Json:
    """Return the host: an instance if its agent's id is that of one, else something other."""
    account = dossier.aws
    place = {"Partition": account.partition, "Region": account.region}
    if is_instance(agent_id):
        arn = account.arn("ec2", f"instance/{agent_id}")
        return {"Type": "AwsEc2Instance", "Id": _cut(arn, _ID_LENGTH), **place}
    name = _cut(dossier.host_name(agent_id), VALUE_LENGTH)
    details = {"Other": {"hostname": name}}
    return {"Type": "Other", "Id": _cut(agent_id, _ID_LENGTH), **place, "Details": details}


def _advice(dossier: Dossier, finding: Finding) -> Json:
    rule = dossier.rules.get(finding.rule)
    if rule is None:
        return {}
    text = _cut(rule.recommendation, RECOMMENDATION_LENGTH)
    return {"Remediation": {"Recommendation": {"Text": text, "Url": rule.references[0].url}}}


def _behind(finding: Finding) -> Json:
    """Return process and connection of the first event, where it has them."""
    if not finding.evidence:
        return {}
    row = finding.evidence[0]
    process = {
        "Name": _named(row.get("process_name"), _NAME_LENGTH),
        "Path": _named(row.get("process_path"), _PATH_LENGTH),
        "Pid": _number(row.get("pid")),
        "ParentPid": _number(row.get("parent_pid")),
        "LaunchedAt": None if "process_start_us" not in row else iso_time(row["process_start_us"]),
    }
    network = {
        "Direction": _DIRECTIONS.get(row.get("direction", "")),
        "Protocol": row.get("protocol"),
        **_ends(row),
    }
    parts = {"Process": _some(process), "Network": _some(network)}
    return _some(parts)


def _ends(row: Json) -> Json:
    local, remote = "Source", "Destination"
    if row["telemetry"] == "listener" or row.get("direction") == "inbound":
        local, remote = remote, local
    ends: Json = {}
    for end, name in ((local, "local"), (remote, "remote")):
        version = _ip_version(row.get(f"{name}_address"))
        if version:
            ends[f"{end}IpV{version}"] = row[f"{name}_address"]
        ends[f"{end}Port"] = row.get(f"{name}_port")
    return ends


def _ip_version(address: str | None) -> int | None:
    try:
        return ipaddress.ip_address(address or "").version
    except ValueError:
        return None


def _named(text: str | None, length: int) -> str | None:
    return _cut(text, length) if text and text.strip() else None


def _number(value: int | None) -> int | None:
    return value if value is not None and 0 <= value <= _INT_MAX else None


def _some(values: Json) -> Json:
    return {name: value for name, value in values.items() if value not in (None, {})}
